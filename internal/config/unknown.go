package config

import (
	"regexp"
	"slices"
	"strings"
)

// kubernetesService matches what Kubernetes puts into every container for a
// Service called "farebox", or "farebox-" and more.
var kubernetesService = regexp.MustCompile(
	`^(FAREBOX(?:_[A-Z0-9_]+?)??)_(?:SERVICE_HOST|SERVICE_PORT(?:_[A-Z0-9_]+)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$`)

// ofKubernetes reports whether name is one that Kubernetes added. For a Service
// with a longer name its SERVICE_HOST has to be there too, since a misspelt
// setting could end in PORT.
func (l *loader) ofKubernetes(name string) bool {
	found := kubernetesService.FindStringSubmatch(name)
	return found != nil && (found[1] == "FAREBOX" || l.values[found[1]+"_SERVICE_HOST"] != "")
}

// refuseUnknown reports FAREBOX_… names that mean nothing, since a misspelt
// limit would otherwise silently be no limit.
func (l *loader) refuseUnknown() {
	var names []string
	for name := range l.values {
		names = append(names, name)
	}
	slices.Sort(names)
	known := Names()
	for _, name := range names {
		switch {
		case l.command == Dev && slices.Contains(known, name) && !usedBy(strings.TrimSuffix(name, "_FILE"), Dev) && !usedBy(name, Dev):
			l.fault(name, "is not for dev, whose vendor is the sandbox and whose addresses are its own; unset it")
		case !strings.HasPrefix(name, "FAREBOX_"), slices.Contains(known, name), l.ofKubernetes(name):
		default:
			l.fault(name, "is no setting; the nearest is "+nearest(name, known))
		}
	}
}

func nearest(name string, known []string) string {
	return slices.MinFunc(known, func(a, b string) int { return distance(name, a) - distance(name, b) })
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		previous := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			previous, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, previous+cost)
		}
	}
	return row[len(b)]
}
