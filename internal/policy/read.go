package policy

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"

	"farebox/internal/limit"

	"cel.dev/cel-go/cel"
	"go.yaml.in/yaml/v4"
)

// MaxSize is the most bytes of a policy file.
const MaxSize = 256 << 10

// mostFaults bounds a report; who has so many has another file in mind.
const mostFaults = 100

// Read reads a policy file's content. The types that it may name are
// tokenTypes. It is read whole or not at all: an error is of type Faults and
// holds everything that is wrong, in the file's order. Where the YAML itself is
// broken, that is one fault, and what follows it was not looked at.
func Read(data []byte, tokenTypes []string) (*Policy, error) {
	return read(data, tokenTypes, standardBounds)
}

func read(data []byte, tokenTypes []string, limits bounds) (*Policy, error) {
	if len(data) > MaxSize {
		return nil, Faults{{Mend: fmt.Sprintf("the file has more than %d bytes", MaxSize)}}
	}
	text, faults := plainText(data)
	if len(faults) > 0 {
		return nil, faults
	}
	root, faults := parse(text)
	if len(faults) > 0 {
		return nil, faults
	}
	env, err := newEnvironment()
	if err != nil {
		return nil, fmt.Errorf("policy: %w", err)
	}
	r := &reader{env: env, bounds: limits, tokenTypes: tokenTypes}
	for line := range strings.Lines(text) {
		r.lines = append(r.lines, []rune(line))
	}
	p := r.policy(root)
	if len(r.faults) == 0 {
		return p, nil
	}
	return nil, r.faults[:min(len(r.faults), mostFaults)]
}

// plainText is data as text with \n at the ends of lines, which is what
// positions count in. Characters that some take for an end of line are refused.
func plainText(data []byte) (string, Faults) {
	text := strings.TrimPrefix(string(data), "\ufeff")
	text = strings.ReplaceAll(text, "\r\n", "\n")
	line, column := 1, 1
	for i, r := range text {
		_, width := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && width == 1:
			return "", Faults{{line, column, "the file is not in UTF-8; save it as that"}}
		case r < ' ' && r != '\n' && r != '\t', r >= 0x7f && r <= 0x9f, r == '\u2028', r == '\u2029', r == '\ufeff':
			return "", Faults{{line, column, fmt.Sprintf("there is a control character, %U; take it out", r)}}
		case r == '\n':
			line, column = line+1, 1
			continue
		}
		column++
	}
	return text, nil
}

// parse reads the one document of a file.
func parse(text string) (*yaml.Node, Faults) {
	loader, err := yaml.NewLoader(bytes.NewReader([]byte(text)))
	if err != nil {
		return nil, Faults{yamlFault(err)}
	}
	var document, second yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF), err == nil && document.Content[0].ShortTag() == "!!null":
		return nil, Faults{{1, 1, "the file is empty; write at least tokens: {}, which lets nobody have anything"}}
	case err != nil:
		return nil, Faults{yamlFault(err)}
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, Faults{{second.Line, second.Column, "a second document begins here; the file must hold one"}}
	case !errors.Is(err, io.EOF):
		return nil, Faults{yamlFault(err)}
	}
	return document.Content[0], nil
}

// yamlFault says where the YAML breaks. Messages of the library that would show
// parts of the file are not passed on.
func yamlFault(err error) Fault {
	var at *yaml.LoadError
	if !errors.As(err, &at) {
		return Fault{Mend: "the file is no YAML"}
	}
	words := "the YAML breaks off here: " + oneLine(at.Message)
	switch {
	case strings.Contains(at.Message, "anchor"), strings.Contains(at.Message, "alias"):
		words = "anchors and aliases are not taken; write it out"
	case strings.Contains(at.Message, "expected key"), strings.Contains(at.Message, "mapping values"):
		words += "; an expression stands best in single quotes, as in allow: '\"speech\" in scopes'"
	case strings.Contains(at.Message, "cannot start any token"):
		words += "; indent with spaces, not tabs, and put expressions in single quotes"
	}
	return Fault{max(at.Mark.Line, 1), max(at.Mark.Column, 1), words}
}

// reader makes a Policy of YAML nodes and gathers what is wrong.
type reader struct {
	env        *cel.Env
	bounds     bounds
	tokenTypes []string
	lines      [][]rune
	faults     Faults
}

func (r *reader) fault(at *yaml.Node, format string, args ...any) {
	r.faults = append(r.faults, Fault{at.Line, at.Column, fmt.Sprintf(format, args...)})
}

// field is one member of a mapping.
type field struct {
	key, value *yaml.Node
	name       string
}

// fields are the members of a mapping that are plain, each once.
func (r *reader) fields(node *yaml.Node, what string) []field {
	if !r.plain(node) {
		return nil
	}
	if node.Kind != yaml.MappingNode {
		if node.ShortTag() == "!!null" {
			r.fault(node, "%s is empty; write {} to mean that, or leave it out", what)
		} else {
			r.fault(node, "%s must be a mapping, name: value", what)
		}
		return nil
	}
	var all []field
	first := map[string]int{}
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		switch {
		case !r.plain(key):
			continue
		case key.Kind != yaml.ScalarNode || key.ShortTag() != "!!str":
			r.fault(key, "this name is no text; put it in quotes if it is one")
			continue
		case first[key.Value] > 0:
			r.fault(key, "this name is there twice, first in line %d; take one out", first[key.Value])
			continue
		}
		first[key.Value] = key.Line
		all = append(all, field{key, value, key.Value})
	}
	return all
}

// plain refuses what would make a node another than it looks.
func (r *reader) plain(node *yaml.Node) bool {
	switch {
	case node.Kind == yaml.AliasNode || node.Anchor != "":
		r.fault(node, "anchors and aliases are not taken; write it out")
	case node.Style&yaml.TaggedStyle != 0:
		r.fault(node, "tags are not taken; an expression that begins with ! stands in single quotes")
	default:
		return true
	}
	return false
}

// each reads the members of a mapping, each by the function of its name.
func (r *reader) each(node *yaml.Node, what string, known map[string]func(*yaml.Node)) {
	for _, f := range r.fields(node, what) {
		if read, ok := known[f.name]; ok {
			read(f.value)
			continue
		}
		r.fault(f.key, "%s has no such field; it has %s", what, list(known))
	}
}

func list(known map[string]func(*yaml.Node)) string {
	var names []string
	for name := range known {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, ", ")
}

func (r *reader) policy(root *yaml.Node) *Policy {
	p := &Policy{tokens: map[string]entry{}, agents: map[string]entry{}, global: defaults().Global}
	before, named := len(r.faults), false
	r.each(root, "the file", map[string]func(*yaml.Node){
		"tokens": func(n *yaml.Node) { named = true; r.tokens(n, p) },
		"agents": func(n *yaml.Node) { named = true; r.agents(n, p) },
		"plans":  func(n *yaml.Node) { r.plans(n, p) },
		"global": func(n *yaml.Node) {
			if rate := r.rate(n); rate != nil {
				p.global = *rate
			}
		},
	})
	if !named && len(r.faults) == before {
		r.fault(root, "the file names neither tokens nor agents, so that nobody could have anything; write tokens: {} to mean that")
	}
	return p
}

func (r *reader) tokens(node *yaml.Node, p *Policy) {
	for _, f := range r.fields(node, "tokens") {
		if !slices.Contains(r.tokenTypes, f.name) {
			r.fault(f.key, "this is no token type; they are %s", strings.Join(r.tokenTypes, ", "))
		}
		p.tokens[f.name] = r.entry(f.value, "tokens."+f.name, "a token type")
	}
}

func (r *reader) agents(node *yaml.Node, p *Policy) {
	for _, f := range r.fields(node, "agents") {
		if !GoodAgentID(f.name) {
			r.fault(f.key, "this is no agent id: it must be of 1 to %d visible ASCII characters", longestAgentID)
		}
		p.agents[f.name] = r.entry(f.value, "agents."+f.name, "an agent")
	}
}

func (r *reader) entry(node *yaml.Node, rule, what string) entry {
	var e entry
	known := r.terms(&e.terms)
	known["allow"] = func(n *yaml.Node) { e.allow = r.expression(n, rule+".allow") }
	r.each(node, what, known)
	return e
}

func (r *reader) plans(node *yaml.Node, p *Policy) {
	if !r.plain(node) {
		return
	}
	if node.Kind != yaml.SequenceNode {
		r.fault(node, "plans must be a list, each plan with - before it")
		return
	}
	first := map[string]int{}
	for i, n := range node.Content {
		p.plans = append(p.plans, r.plan(n, i, first))
	}
}

// plan reads the plan at index i; first holds the lines of the names before it.
func (r *reader) plan(node *yaml.Node, i int, first map[string]int) plan {
	var (
		read             plan
		hasName, hasWhen bool
		before           = len(r.faults)
		known            = r.terms(&read.terms)
	)
	known["name"] = func(n *yaml.Node) {
		hasName = true
		switch {
		case !r.text(n, "a name"):
		case first[n.Value] > 0:
			r.fault(n, "this plan's name is there twice, first in line %d; give it another", first[n.Value])
		default:
			read.name, first[n.Value] = n.Value, n.Line
		}
	}
	known["when"] = func(n *yaml.Node) {
		hasWhen = true
		read.when = r.expression(n, fmt.Sprintf("plans[%d].when", i))
	}
	r.each(node, "a plan", known)
	if len(r.faults) > before {
		return read
	}
	if !hasName {
		r.fault(node, "this plan has no name; write name: and a word for it")
	}
	if !hasWhen {
		r.fault(node, "this plan has no when; write when: and an expression that says whose it is, or 'true' for everybody's")
	}
	return read
}

// terms are the fields of limits, read into t.
func (r *reader) terms(t *terms) map[string]func(*yaml.Node) {
	return map[string]func(*yaml.Node){
		"per_user": func(n *yaml.Node) { t.perUser = r.rate(n) },
		"per_user_daily": func(n *yaml.Node) {
			if !r.plain(n) {
				return
			}
			number, ok := parseDaily(n.Value)
			if n.Kind != yaml.ScalarNode || n.Value != noLimit && n.ShortTag() != "!!int" || !ok {
				r.fault(n, "%s", howToDaily)
				return
			}
			t.daily = &number
		},
	}
}

// rate reads a rate, or reports it and returns nil.
func (r *reader) rate(node *yaml.Node) *limit.Rate {
	if !r.plain(node) {
		return nil
	}
	rate, ok := parseRate(node.Value)
	if node.Kind != yaml.ScalarNode || !ok {
		r.fault(node, "%s", howToRate)
		return nil
	}
	return &rate
}

// text reports whether node is text with something in it.
func (r *reader) text(node *yaml.Node, what string) bool {
	switch {
	case !r.plain(node):
	case node.Kind == yaml.ScalarNode && node.ShortTag() == "!!str" && strings.TrimSpace(node.Value) != "":
		return true
	case node.Kind == yaml.ScalarNode && (node.ShortTag() == "!!null" || node.ShortTag() == "!!str"):
		r.fault(node, "%s is empty; fill it in or take it out", what)
	default:
		r.fault(node, "%s must be text; put it in single quotes", what)
	}
	return false
}

// expression compiles an expression, or reports it and returns nil.
func (r *reader) expression(node *yaml.Node, name string) *rule {
	if !r.text(node, "an expression") {
		return nil
	}
	compiled, faults := compile(r.env, name, node.Value, r.bounds)
	if len(faults) == 0 {
		compiled.line = node.Line
		return compiled
	}
	at := places(r.lines, node)
	for _, f := range faults {
		p := at[offset(node.Value, f.line, f.column)]
		r.faults = append(r.faults, Fault{p.line, p.column, f.message})
	}
	return nil
}

// offset is how many code points of text lie before a place in it, its line
// from 1 and its column from 0.
func offset(text string, line, column int) int {
	before := 0
	for ; line > 1; line-- {
		first, rest, more := strings.Cut(text, "\n")
		if !more {
			break
		}
		before += utf8.RuneCountInString(first) + 1
		text = rest
	}
	return before + min(max(column, 0), utf8.RuneCountInString(text))
}
