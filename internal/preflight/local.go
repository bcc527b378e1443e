package preflight

import (
	"context"
	"fmt"
	"strings"
	"time"

	"farebox/session"
)

// settled waits until a key source holds keys, or has failed to load them, or
// ctx ends.
func settled(ctx context.Context, keys session.KeySource) session.KeyStatus {
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		status := keys.Status()
		if status.Usable || status.LastError != "" {
			return status
		}
		select {
		case <-ctx.Done():
			return status
		case <-ticker.C:
		}
	}
}

func (cfg Config) sessionKeys(ctx context.Context) Result {
	status := settled(ctx, cfg.Keys)
	count, algorithms := session.Inventory(cfg.Keys)
	switch {
	case !status.Usable && status.LastError == "":
		return fail("session keys are not loaded in time", "look at "+cfg.KeysSetting+", and whether this server can reach what it names")
	case !status.Usable:
		return fail("session keys cannot be loaded: "+status.LastError, "look at "+cfg.KeysSetting+", and whether this server can reach what it names")
	case count == 0:
		return fail("there is no session key that can be used", "look at "+cfg.KeysSetting)
	default:
		return ok(plural(count, "key") + " for " + strings.Join(algorithms, ", "))
	}
}

func (cfg Config) policy(context.Context) Result {
	tokens, agents := cfg.Policy.TokenTypes(), cfg.Policy.Agents()
	switch {
	case cfg.PolicyFile == "":
		return ok("without FAREBOX_POLICY_FILE, each valid session may have " + strings.Join(tokens, ", "))
	case len(tokens)+len(agents) == 0:
		return warn(cfg.PolicyFile+" names neither token types nor agents, so that nobody may have anything", "name some in FAREBOX_POLICY_FILE")
	case len(tokens) == 0:
		return ok(cfg.PolicyFile + " names no token type and " + plural(len(agents), "agent"))
	default:
		return ok(cfg.PolicyFile + " names " + strings.Join(tokens, ", ") + " and " + plural(len(agents), "agent"))
	}
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
