package preflight

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"

	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// vendorChecks try each key by itself. Where there are several, the names of their
// checks end in the key's position.
func (cfg Config) vendorChecks() []check {
	var checks []check
	for i, key := range cfg.APIKeys {
		position := ""
		if len(cfg.APIKeys) > 1 {
			position = fmt.Sprint("_", i+1)
		}
		checks = append(checks, check{"vendor_key" + position, cfg.vendorKey(key)})
		for _, name := range cfg.Policy.TokenTypes() {
			checks = append(checks, check{"mint_" + name + position, cfg.mint(key, vendorclient.TokenType(name))})
		}
	}
	if len(cfg.APIKeys) > 1 {
		checks = append(checks, check{"vendor_workspace", cfg.oneWorkspace})
	}
	return checks
}

// client is a new one for each check, of one key: what one failure leads to is not
// the next one's.
func (cfg Config) client(key secret.Text) (*vendorclient.Client, error) {
	v := cfg.Vendor
	var err error
	if v.Keys, err = vendorclient.NewRing(vendorclient.RingConfig{
		Keys: []secret.Text{key}, Host: v.BaseURL.Host, Now: v.Now, Log: v.Log,
	}); err != nil {
		return nil, err
	}
	return vendorclient.New(v)
}

func (cfg Config) vendorKey(key secret.Text) func(context.Context) Result {
	return func(ctx context.Context) Result {
		client, err := cfg.client(key)
		if err != nil {
			return fail("the vendor's client cannot be made", "mend ELEVENLABS_API_KEY and ELEVENLABS_BASE_URL")
		}
		defer client.Close()
		host := cfg.Vendor.BaseURL.Host
		err = client.Models(ctx)
		var refused *vendorclient.Error
		switch {
		case err == nil:
			return ok(host + " accepts the key")
		case errors.As(err, &refused) && refused.Kind == vendorclient.KindScopeMissing:
			return ok(host + " knows the key, which may not list models; farebox does not need that")
		default:
			return vendorFailure(err, host, "list models")
		}
	}
}

// oneWorkspace compares what the vendor says of the keys' subscriptions. Keys of
// several workspaces can be meant, so that is no failure.
func (cfg Config) oneWorkspace(ctx context.Context) Result {
	var others, untold []string
	first, firstMark := 0, ""
	for i, key := range cfg.APIKeys {
		client, err := cfg.client(key)
		if err != nil {
			return fail("the vendor's client cannot be made", "mend ELEVENLABS_API_KEY and ELEVENLABS_BASE_URL")
		}
		mark, err := client.Workspace(ctx)
		client.Close()
		switch position := fmt.Sprint(i + 1); {
		case err != nil || mark == "":
			untold = append(untold, position)
		case firstMark == "":
			first, firstMark = i+1, mark
		case mark != firstMark:
			others = append(others, position)
		}
	}
	detail := "the keys' subscriptions are one"
	switch {
	case len(others) > 0:
		detail = fmt.Sprintf("key %s: another subscription than key %d has, so another workspace", strings.Join(others, ", "), first)
	case len(cfg.APIKeys)-len(untold) < 2:
		detail = "it cannot be told"
	}
	if len(untold) > 0 {
		detail += fmt.Sprintf("; key %s does not tell: that takes the permission user_read, which farebox does not need otherwise", strings.Join(untold, ", "))
	}
	if len(others) > 0 {
		return warn(detail, "take keys of one workspace, unless it is meant: agents, credits and history are a workspace's own")
	}
	return ok(detail)
}

func (cfg Config) mint(key secret.Text, t vendorclient.TokenType) func(context.Context) Result {
	return func(ctx context.Context) Result {
		client, err := cfg.client(key)
		if err != nil {
			return fail("the vendor's client cannot be made", "mend ELEVENLABS_API_KEY and ELEVENLABS_BASE_URL")
		}
		defer client.Close()
		if _, err := client.Mint(ctx, t); err != nil {
			return vendorFailure(err, cfg.Vendor.BaseURL.Host, "create single-use tokens")
		}
		return ok("one token was minted, and thrown away")
	}
}

// vendorFailure says in our own words what the vendor has against a call, and
// what to do. doing is what the key would have to be permitted.
func vendorFailure(err error, host, doing string) Result {
	var e *vendorclient.Error
	if !errors.As(err, &e) {
		return fail("the call was broken off", "run the check again")
	}
	found, mend := explain(e, host, doing)
	if e.Status != 0 {
		found += fmt.Sprintf(" (status %d)", e.Status)
	}
	if e.RequestID != "" {
		found += ", the vendor's request id is " + e.RequestID
	}
	return fail(found, mend)
}

func explain(e *vendorclient.Error, host, doing string) (found, mend string) {
	const again = "run the check again in a moment"
	switch e.Kind {
	case vendorclient.KindKeyInvalid:
		return host + " does not know the key", "set ELEVENLABS_API_KEY to a key that exists; each host with data residency has keys of its own, so if the key is of another, set ELEVENLABS_BASE_URL to that: " + otherHosts(host)
	case vendorclient.KindKeyIDAsKey:
		return "this is the key's id, not the key", "set ELEVENLABS_API_KEY to the key itself, which is shown once, when it is created"
	case vendorclient.KindScopeMissing:
		return "the key lacks the permission " + cmp.Or(e.Permission, "to "+doing), "give it to the key in the vendor's settings of API keys"
	case vendorclient.KindCreditsExhausted:
		return "the credits of the key or its workspace are used up", "raise the key's credit quota, or buy credits"
	case vendorclient.KindPlanTooLow:
		return "the workspace's plan does not include this", "use a key of a workspace whose plan does, or change the plan"
	case vendorclient.KindAddressRefused:
		return "the vendor refuses the address that this call came from" + named(e.Address) + quoted(e.Said), "add the address by which this server reaches the internet to the key's allowed addresses"
	case vendorclient.KindTooManyAtOnce:
		return "too many calls of the workspace are under way at once", "lower FAREBOX_MINT_CONCURRENCY, or " + again
	case vendorclient.KindRateLimited:
		return "the workspace calls too often", again + "; it may share its limit with others"
	case vendorclient.KindBusy:
		return "the vendor is busy", again
	case vendorclient.KindServerError:
		return "the vendor fails", again + ", and look at the vendor's status page"
	case vendorclient.KindTimeout:
		return host + " does not answer in time", "let this server reach it, and raise FAREBOX_MINT_TIMEOUT where the way is long"
	case vendorclient.KindUnreachable:
		return host + " cannot be reached", "let this server reach it (name, port, TLS, HTTPS_PROXY), and look at ELEVENLABS_BASE_URL"
	case vendorclient.KindRedirected:
		return host + " redirects, and the key follows no redirect", "set ELEVENLABS_BASE_URL to the address that answers itself"
	case vendorclient.KindNoToken, vendorclient.KindNoList, vendorclient.KindBodyTooLarge:
		return host + " answers something else than the vendor", "look at ELEVENLABS_BASE_URL and at proxies between"
	case vendorclient.KindValidation, vendorclient.KindUnexpectedStatus:
		return host + " does not know this call", "look at ELEVENLABS_BASE_URL; where it is the vendor's host, farebox is too old for it"
	default:
		return "the call was not made", again
	}
}

// otherHosts are the vendor's hosts besides this one, which do not know each
// other's keys.
func otherHosts(host string) string {
	var others []string
	for _, other := range []string{
		"api.elevenlabs.io", "api.eu.residency.elevenlabs.io", "api.in.residency.elevenlabs.io", "api.sg.residency.elevenlabs.io",
	} {
		if other != host {
			others = append(others, "https://"+other)
		}
	}
	return strings.Join(others[:len(others)-1], ", ") + " or " + others[len(others)-1]
}

func quoted(said string) string {
	if said == "" {
		return ""
	}
	return fmt.Sprintf(", and says %q", said)
}

func named(address string) string {
	if address == "" {
		return ""
	}
	return ", " + address
}
