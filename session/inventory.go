package session

import "slices"

// Inventory is how many keys a source holds now, and for which algorithms, in
// the order of the alphabet.
func Inventory(source KeySource) (count int, algorithms []string) {
	holder, ok := source.(interface{ held() []Key })
	if !ok {
		return 0, nil
	}
	keys := holder.held()
	for _, key := range keys {
		algorithms = append(algorithms, key.Algorithms...)
	}
	slices.Sort(algorithms)
	return len(keys), slices.Compact(algorithms)
}

func (s *HS256) held() []Key { return []Key{{Algorithms: s.Algorithms()}} }

func (s *PEM) held() []Key { return s.keys.Load().keys }

func (s *JWKS) held() (keys []Key) {
	if set := s.usable(); set != nil {
		for _, key := range set.keys {
			keys = append(keys, key.Key)
		}
	}
	return keys
}
