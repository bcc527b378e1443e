package shard

import "context"

// Watch reports whether all of Redis answers, as far as a call to each shard
// that was down, and to one of the others, can say. turn is to be another each
// time.
func (s *Set) Watch(ctx context.Context, turn int) bool {
	all, err := s.All(ctx)
	if err != nil {
		return false
	}
	well := true
	for i, sh := range all {
		if i == turn%len(all) || sh.Down() {
			_, err := s.Do(ctx, sh, "exists", sh.Key("g"))
			well = well && err == nil
		}
	}
	return well
}
