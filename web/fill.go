package web

import (
	"bytes"
	"errors"
	"fmt"
	"html"
	"strings"
)

// document is HTML with places to be filled in. {{name}} is a text, which is
// escaped; an attribute that holds one must be quoted. What stands between
// {{if name}} and {{end}} is there where the condition holds. There is no more
// to it, and no reflection: that of html/template has the linker keep every
// method of every package. It is immutable and safe for concurrent use.
type document struct{ parts []part }

// part is one of: HTML as it is, a text's name, or a condition's name and what
// it is about.
type part struct {
	html, text, condition string
	inner                 []part
}

// values are what a document is filled with. The names are always the same.
type values struct {
	texts      map[string]string
	conditions map[string]bool
}

// parse reads a document that is to be filled with values of the same names as
// v's. It fails where there is no value for a place, or no place for a value.
func parse(source string, v values) (*document, error) {
	p := parser{rest: source, names: v, used: map[string]bool{}}
	parts, err := p.parts(false)
	if err != nil {
		return nil, err
	}
	for name := range v.texts {
		if !p.used[name] {
			return nil, fmt.Errorf("there is no place for the text %s", name)
		}
	}
	for name := range v.conditions {
		if !p.used["if "+name] {
			return nil, fmt.Errorf("nothing hangs on the condition %s", name)
		}
	}
	return &document{parts}, nil
}

type parser struct {
	rest  string
	names values
	used  map[string]bool // what stands between braces
}

// parts reads up to the end, of a condition or else of the document.
func (p *parser) parts(conditional bool) (all []part, err error) {
	for {
		before, after, found := strings.Cut(p.rest, "{{")
		if before != "" {
			all = append(all, part{html: before})
		}
		if !found && conditional {
			return nil, errors.New("a condition has no end")
		}
		if !found {
			return all, nil
		}
		place, rest, found := strings.Cut(after, "}}")
		if !found {
			return nil, fmt.Errorf("a place has no end: {{%.20s", after)
		}
		p.rest, p.used[place] = rest, true
		condition, isCondition := strings.CutPrefix(place, "if ")
		_, isText := p.names.texts[place]
		_, isKnown := p.names.conditions[condition]
		switch {
		case place == "end" && conditional:
			return all, nil
		case isCondition && isKnown:
			inner, err := p.parts(true)
			if err != nil {
				return nil, err
			}
			all = append(all, part{condition: condition, inner: inner})
		case isText:
			all = append(all, part{text: place})
		default:
			return nil, fmt.Errorf("nothing is known of {{%s}}", place)
		}
	}
}

// fill is the document with v, whose names are those that it was read for.
func (d *document) fill(v values) []byte {
	var b bytes.Buffer
	write(&b, d.parts, v)
	return b.Bytes()
}

func write(b *bytes.Buffer, parts []part, v values) {
	for _, p := range parts {
		switch {
		case p.text != "":
			b.WriteString(html.EscapeString(v.texts[p.text]))
		case p.condition == "":
			b.WriteString(p.html)
		case v.conditions[p.condition]:
			write(b, p.inner, v)
		}
	}
}
