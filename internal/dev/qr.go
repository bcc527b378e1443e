package dev

import (
	"fmt"
	"io"
	"strings"

	qr "github.com/piglig/go-qr"
)

// quiet is the light border that ISO/IEC 18004 asks for, in modules.
const quiet = 4

// writeQR draws text as a QR code for a terminal, two modules to a character,
// dark on light whatever the terminal's own colours are: not every camera reads
// one that is light on dark.
func writeQR(w io.Writer, text string) error {
	code, err := qr.EncodeText(text, qr.Low)
	if err != nil {
		return err
	}
	const darkOnLight, reset = "\x1b[30;107m", "\x1b[0m"
	var b strings.Builder
	for y := -quiet; y < code.Size()+quiet; y += 2 {
		b.WriteString("  " + darkOnLight)
		for x := -quiet; x < code.Size()+quiet; x++ {
			b.WriteString(halves[code.Module(x, y)][code.Module(x, y+1)])
		}
		b.WriteString(reset + "\n")
	}
	_, err = fmt.Fprintln(w, b.String())
	return err
}

// halves are the characters by whether their upper and lower halves are dark.
var halves = map[bool]map[bool]string{
	true:  {true: "█", false: "▀"},
	false: {true: "▄", false: " "},
}
