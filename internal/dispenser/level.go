package dispenser

import vendorclient "farebox/vendor_client"

// Level is a type's pool in Redis, of all replicas together, as this replica
// saw it last. It asks nobody, so it may be some seconds old.
type Level struct {
	Ready  int // tokens there
	Target int // tokens that there are to be
}

// Level returns the level of a type's pool. What nobody has looked at for as
// long as a token may be old is empty.
func (d *Dispenser) Level(t vendorclient.TokenType) (l Level) {
	r, now := d.refill, d.cfg.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.stocks[t] {
		if now.UnixNano()-s.seen.Load() <= int64(d.cfg.Pool.MaxAge) {
			l.Ready += int(max(s.ready.Load(), 0))
			l.Target += int(s.target.Load())
		}
	}
	return l
}

// Fenced reports whether Redis says who it is, on all shards, as far as it was
// asked. An answer stands while Redis is away.
func (d *Dispenser) Fenced() bool {
	d.refill.mu.Lock()
	defer d.refill.mu.Unlock()
	for _, fenced := range d.refill.fenced {
		if !fenced {
			return false
		}
	}
	return len(d.refill.fenced) > 0
}
