package dispenser

import (
	"strings"
	"sync/atomic"

	"farebox/internal/revocation"
	"farebox/internal/shard"
)

// Memo keeps what was worked out of who asks, for the next request of the same
// session. Its zero value is an empty one. It is for one session and one
// Dispenser alone, and safe for concurrent use.
type Memo struct{ caller atomic.Pointer[caller] }

// caller is who asks, as Redis knows them. It is immutable, save for the keys that
// were made last.
type caller struct {
	spread  uint32   // which shard is theirs
	callers []string // their hashes, one a secret
	marks   revocation.Marks
	issued  []any // when the session was, as the scripts are told: one argument
	made    atomic.Pointer[callerKeys]
}

// callerKeys are where a caller's own is kept under a name.
type callerKeys struct {
	at    *shard.Shard
	name  string // of what has limits of its own
	keys  []string
	local digest // where it is counted here
}

// callerOf returns who asks, out of the request's Memo where it is known.
func (d *Dispenser) callerOf(r *Request) *caller {
	if r.Memo != nil {
		if known := r.Memo.caller.Load(); known != nil {
			return known
		}
	}
	who := &caller{
		spread:  shard.Spread("caller", r.Issuer, r.Subject),
		callers: d.cfg.Hasher.Sums("caller", r.Issuer, r.Subject),
		marks: d.cfg.Revocations.MarksOf(revocation.Session{
			Issuer: r.Issuer, Subject: r.Subject, ID: r.SessionID, TokenID: r.TokenID, IssuedAt: r.IssuedAt,
		}),
	}
	who.issued = []any{who.marks.Issued()}
	if r.Memo != nil {
		r.Memo.caller.Store(who)
	}
	return who
}

// localKey is where what a caller uses under a name is counted here.
func (c *caller) localKey(name string) digest {
	if known := c.made.Load(); known != nil && known.name == name {
		return known.local
	}
	return digestOf(c.callers[0], name)
}

// keysAt are the caller's states under a name, one a secret, and where it would
// stand that the session was ended. They are not to be changed.
func (c *caller) keysAt(sh *shard.Shard, name string) []string {
	if known := c.made.Load(); known != nil && known.at == sh && known.name == name {
		return known.keys
	}
	keys := make([]string, 0, len(c.callers)+c.marks.Count())
	for _, hash := range c.callers {
		keys = append(keys, userKey(sh, hash, name))
	}
	keys = c.marks.AppendKeys(keys, sh)
	// An agent's name may be part of a whole query, which would stay with it.
	c.made.Store(&callerKeys{sh, strings.Clone(name), keys, digestOf(c.callers[0], name)})
	return keys
}
