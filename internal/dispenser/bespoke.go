package dispenser

import (
	"context"
	"errors"
	"strings"
	"time"

	"farebox/internal/secret"
	vendorclient "farebox/vendor_client"
)

// Bespoke is a credential that is made for one caller alone and never pooled.
// Everything else that holds of single-use tokens holds of it: ended sessions,
// replay, limits, and that it is handed out once.
type Bespoke struct {
	// Name is what limits are counted by, and none of the token types.
	Name string
	// Mint has the vendor make it. Its errors are those of Minter's.
	Mint func(ctx context.Context) (vendorclient.Credential, error)
	// Lifetime is how long it is good, from the moment before the vendor was
	// called.
	Lifetime time.Duration
}

// name is what the request's limits are counted by.
func (r *Request) name() string {
	if r.Bespoke != nil {
		return r.Bespoke.Name
	}
	return string(r.Type)
}

// lifetime is how long what the attempt asks for is good.
func (d *Dispenser) lifetime(a *attempt) time.Duration {
	if a.Bespoke != nil {
		return a.Bespoke.Lifetime
	}
	return d.cfg.TokenLifetime
}

// mintFor waits for what the attempt asks for, which the vendor never gave before.
func (d *Dispenser) mintFor(ctx context.Context, a *attempt) (vendorclient.Credential, error) {
	if a.Bespoke != nil {
		return d.mintBespoke(ctx, a.Bespoke)
	}
	token, err := d.mintToken(ctx, a.Type)
	return asCredential(token), err
}

func asCredential(t vendorclient.Token) vendorclient.Credential {
	return vendorclient.Credential{Value: t.Value, RequestedAt: t.RequestedAt, Key: t.Key}
}

// mintBespoke makes it within the caller's own time: nobody else could use it.
func (d *Dispenser) mintBespoke(ctx context.Context, b *Bespoke) (vendorclient.Credential, error) {
	for try := range mostRepeats {
		made, err := b.Mint(ctx)
		switch {
		case err != nil:
			d.observeBespoke(err)
			return vendorclient.Credential{}, afterRepeats(try, err)
		case d.cfg.Now().Sub(made.RequestedAt) > b.Lifetime-MinimumLife:
			d.discard("", DiscardExpired)
			return vendorclient.Credential{}, tookTooLong()
		}
		d.cfg.VendorState.Up()
		if d.seen.firstHere(made.Value) && d.seen.firstAnywhere(ctx, made.Value) {
			return made, nil
		}
		d.warnOfRepeat(b.Name)
		d.discard("", DiscardRepeated)
	}
	return vendorclient.Credential{}, ErrRepeatedToken
}

// observeBespoke tells of the vendor's state where an error speaks of it, and
// not of the one thing that was asked for.
func (d *Dispenser) observeBespoke(err error) {
	var vendorError *vendorclient.Error
	if errors.As(err, &vendorError) && (vendorError.Kind.Refused() || vendorError.Kind.Unavailable()) {
		d.observeVendor(err)
	}
}

// toKept is what is sealed of a credential, a line each: its value, the
// conversation's id or "", and the id of the key that it was made with. None
// holds a line break.
func toKept(c vendorclient.Credential) secret.Text {
	id := ""
	if c.Key != nil {
		id = c.Key.ID()
	}
	return secret.New(c.Value.Reveal() + "\n" + c.ConversationID + "\n" + id)
}

func fromKept(kept secret.Text) (made vendorclient.Credential, keyID string) {
	value, rest, _ := strings.Cut(kept.Reveal(), "\n")
	made.Value = secret.New(value)
	made.ConversationID, keyID, _ = strings.Cut(rest, "\n")
	return made, keyID
}
