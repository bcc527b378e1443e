package policy

import (
	"unicode"

	"go.yaml.in/yaml/v4"
)

// place is a place in the file, both from 1, columns in code points.
type place struct{ line, column int }

// places are where the code points of a scalar's value stand in the file, and
// last where it ends. White space, which YAML folds, is said to stand where what
// comes before it ends.
//
// It walks value and source side by side, since the parser keeps only where a
// scalar begins; where the two do not agree, it all stands there.
func places(lines [][]rune, node *yaml.Node) []place {
	start := place{node.Line, node.Column}
	value := []rune(node.Value)
	found := make([]place, 0, len(value)+1)
	source := walker{lines: lines, at: start}
	switch {
	case node.Style&(yaml.LiteralStyle|yaml.FoldedStyle) != 0:
		source.at = place{start.line + 1, 1} // the line of the | is no part of it
	case node.Style&(yaml.DoubleQuotedStyle|yaml.SingleQuotedStyle) != 0:
		source.at.column++
	}
	end := source.at
	for _, r := range value {
		if unicode.IsSpace(r) {
			found = append(found, end)
			continue
		}
		at, width, ok := source.next(r, node.Style)
		if !ok {
			for i := range found {
				found[i] = start
			}
			for len(found) <= len(value) {
				found = append(found, start)
			}
			return found
		}
		found = append(found, at)
		end = place{at.line, at.column + width}
	}
	return append(found, end)
}

// walker walks over a file.
type walker struct {
	lines [][]rune
	at    place
}

// rest is what is left of the line, or nil at the file's end.
func (w *walker) rest() ([]rune, bool) {
	if w.at.line > len(w.lines) {
		return nil, false
	}
	line := w.lines[w.at.line-1]
	return line[min(w.at.column-1, len(line)):], true
}

// next finds where the value's next code point r, which is no white space,
// stands, and how wide it is written there.
func (w *walker) next(r rune, style yaml.Style) (at place, width int, ok bool) {
	for {
		rest, more := w.rest()
		switch {
		case !more:
			return place{}, 0, false
		case len(rest) == 0:
			w.at = place{w.at.line + 1, 1}
			continue
		case unicode.IsSpace(rest[0]):
			w.at.column++
			continue
		}
		at, width = w.at, 1
		written := rest[0]
		switch {
		case style&yaml.SingleQuotedStyle != 0 && len(rest) > 1 && rest[0] == '\'' && rest[1] == '\'':
			width = 2
		case style&yaml.DoubleQuotedStyle != 0 && rest[0] == '\\':
			written, width = unescape(rest)
		}
		w.at.column += width
		if unicode.IsSpace(written) { // an escape for white space, or for a line that goes on
			continue
		}
		return at, width, written == r
	}
}

// unescape reads an escape of YAML's double quotes, and how wide it is.
func unescape(text []rune) (rune, int) {
	if len(text) < 2 {
		return ' ', len(text)
	}
	digits := 0
	switch text[1] {
	case 'x':
		digits = 2
	case 'u':
		digits = 4
	case 'U':
		digits = 8
	case '"', '/', '\\':
		return text[1], 2
	case '0':
		return 0, 2
	case 'a':
		return '\a', 2
	case 'b':
		return '\b', 2
	case 'e':
		return 0x1b, 2
	default: // all others are white space
		return ' ', 2
	}
	if len(text) < 2+digits {
		return ' ', len(text)
	}
	var r rune
	for _, digit := range text[2 : 2+digits] {
		r = r<<4 | hexadecimal(digit)
	}
	return r, 2 + digits
}

func hexadecimal(digit rune) rune {
	switch {
	case digit >= 'a':
		return digit - 'a' + 10
	case digit >= 'A':
		return digit - 'A' + 10
	default:
		return digit - '0'
	}
}
