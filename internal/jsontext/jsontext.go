// Package jsontext writes JSON where there is so much of one shape that reflection
// would cost too much.
package jsontext

import "encoding/json"

// AppendString appends a JSON string (RFC 8259, section 7).
func AppendString(to []byte, text string) []byte {
	for i := range len(text) {
		if c := text[i]; c < ' ' || c > '~' || c == '"' || c == '\\' {
			quoted, _ := json.Marshal(text) // a text never fails
			return append(to, quoted...)
		}
	}
	return append(append(append(to, '"'), text...), '"')
}
