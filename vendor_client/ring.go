package vendorclient

import (
	"crypto/hkdf"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"farebox/internal/secret"
)

// RingConfig is what a Ring needs. Fields are required unless said otherwise.
type RingConfig struct {
	Keys []secret.Text // in the order in which they are to be used
	Host string        // the vendor's; ids of keys are bound to it
	// Changed is told when a key is set aside or usable again; nil for nobody. It
	// is called in the order of what happens and not concurrently, and may ask
	// nothing of the ring but Usable and Trouble.
	Changed func(KeyChange)
	Now     func() time.Time
	Log     *slog.Logger
}

// KeyChange is one change of a key's state.
type KeyChange struct {
	Position int    // in the ring, from 1
	Kind     Kind   // why it was set aside; "" where it is usable again
	Only     string // the token type or operation that this is for; "" for all
}

// Ring is the API keys that the vendor is asked with. The first that is good
// serves. One that the vendor refuses is set aside, and tried again after
// growing pauses, by one call at a time, until a call with it succeeds. It is
// safe for concurrent use.
type Ring struct {
	cfg RingConfig

	mu   sync.Mutex
	keys []*Key
	seen atomic.Pointer[view]
}

// Key is one API key of a ring. It is the same for as long as the ring has it.
type Key struct {
	value  secret.Text
	id     string
	asides map[purpose]*aside // held by the ring
}

// Value is the key itself.
func (k *Key) Value() secret.Text { return k.value }

// ID tells keys, and hosts that they are for, apart. It says nothing of the key.
func (k *Key) ID() string { return k.id }

// purpose is what a key may be refused for alone: a token type, or an operation
// of agents.
type purpose string

// everything is all purposes.
const everything purpose = ""

func purposes() []purpose {
	all := []purpose{operationSignedURL, operationConversationToken}
	for _, t := range TokenTypes() {
		all = append(all, purpose(t))
	}
	return all
}

// view is the ring's state for those who only read it. It is immutable.
type view struct {
	keys    []*Key
	good    map[purpose][]*Key
	usable  []bool
	trouble string
}

// NewRing returns a Ring in which all keys are good.
func NewRing(cfg RingConfig) (*Ring, error) {
	if cfg.Now == nil || cfg.Log == nil || cfg.Host == "" {
		return nil, errors.New("vendorclient: a required field is missing")
	}
	if cfg.Changed == nil {
		cfg.Changed = func(KeyChange) {}
	}
	r := &Ring{cfg: cfg}
	return r, r.Replace(cfg.Keys)
}

// Replace has the ring be of these keys from now on. Those that it has already
// keep their state; calls under way with others end as they may. An error
// changes nothing.
func (r *Ring) Replace(keys []secret.Text) error {
	if len(keys) == 0 {
		return errors.New("vendorclient: there is no API key")
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	var all []*Key
	for _, value := range keys {
		same := func(k *Key) bool { return k.value.Reveal() == value.Reveal() }
		switch i := slices.IndexFunc(r.keys, same); {
		case !usable(value.Reveal()):
			return errors.New("vendorclient: an API key is empty or has characters that no header can carry")
		case slices.ContainsFunc(all, same):
			return errors.New("vendorclient: an API key is there twice")
		case i >= 0:
			all = append(all, r.keys[i])
		default:
			id, err := keyID(value, r.cfg.Host)
			if err != nil {
				return err
			}
			all = append(all, &Key{value: value, id: id, asides: map[purpose]*aside{}})
		}
	}
	r.keys = all
	r.refresh()
	return nil
}

// keyID is derived, so that Redis can be told it.
func keyID(key secret.Text, host string) (string, error) {
	sum, err := hkdf.Key(sha256.New, []byte(key.Reveal()), []byte(host), "farebox pool name", 12)
	if err != nil {
		return "", fmt.Errorf("derive an id: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(sum), nil
}

// Keys are all keys, in order.
func (r *Ring) Keys() []*Key { return r.seen.Load().keys }

// Good are the keys whose tokens of type t can be expected to work, in order.
func (r *Ring) Good(t TokenType) []*Key { return r.seen.Load().good[purpose(t)] }

// Refused reports whether the key of this id is in the ring, and set aside
// altogether or for tokens of type t; of "" whether altogether.
func (r *Ring) Refused(id string, t TokenType) bool {
	v := r.seen.Load()
	i := slices.IndexFunc(v.keys, func(k *Key) bool { return k.id == id })
	return i >= 0 && (!v.usable[i] || t != "" && !slices.Contains(v.good[purpose(t)], v.keys[i]))
}

// Usable reports for each key, in order, whether it is not set aside altogether.
func (r *Ring) Usable() []bool { return r.seen.Load().usable }

// Trouble is what operators have to see of the ring, in a few words: a key that
// is set aside altogether, or something that no key may do. "" is none.
func (r *Ring) Trouble() string { return r.seen.Load().trouble }

// refresh makes the view anew; r.mu is held.
func (r *Ring) refresh() {
	v := &view{keys: r.keys, good: map[purpose][]*Key{}}
	for i, k := range r.keys {
		why := k.asides[everything]
		v.usable = append(v.usable, why == nil)
		if why != nil && v.trouble == "" {
			v.trouble = fmt.Sprintf("key %d: %s", i+1, why.kind)
		}
	}
	for _, p := range purposes() {
		for _, k := range r.keys {
			if len(k.asidesOf(p)) == 0 {
				v.good[p] = append(v.good[p], k)
			}
		}
		if why := r.keys[0].asides[p]; len(v.good[p]) == 0 && why != nil && v.trouble == "" {
			v.trouble = fmt.Sprintf("no key for %s: %s", p, why.kind)
		}
	}
	r.seen.Store(v)
}
