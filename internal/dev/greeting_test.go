package dev_test

import (
	"image"
	"image/color"
	"strings"
	"testing"

	"farebox/internal/dev"

	qr "github.com/piglig/go-qr"
)

// scan reads the QR code that is drawn in text as a camera would; "" where there
// is none.
func scan(t *testing.T, text string) string {
	t.Helper()
	const scale = 4
	var rows [][2]string // dark halves of a line: upper, lower
	for line := range strings.Lines(text) {
		_, cells, found := strings.Cut(line, "\x1b[30;107m")
		if !found {
			continue
		}
		cells, _, _ = strings.Cut(cells, "\x1b[0m")
		rows = append(rows, [2]string{
			strings.NewReplacer("█", "x", "▀", "x", "▄", " ").Replace(cells),
			strings.NewReplacer("█", "x", "▀", " ", "▄", "x").Replace(cells),
		})
	}
	if len(rows) == 0 {
		return ""
	}
	picture := image.NewGray(image.Rect(0, 0, len(rows[0][0])*scale, len(rows)*2*scale))
	for y := range picture.Rect.Dy() {
		for x := range picture.Rect.Dx() {
			if rows[y/scale/2][y/scale%2][x/scale] == ' ' {
				picture.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	read, err := qr.Decode(picture)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestAPhoneGetsItsAddressAsAQRCodeWhereSomebodyLooks(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		greeting dev.Greeting
		line     bool
		qr       string
	}{
		"a terminal":                  {dev.Greeting{Page: true, Phone: "192.168.1.23", Terminal: true}, true, "http://192.168.1.23:8080"},
		"the longest address":         {dev.Greeting{Page: true, Phone: "255.255.255.255", Terminal: true}, true, "http://255.255.255.255:8080"},
		"no terminal":                 {dev.Greeting{Page: true, Phone: "192.168.1.23"}, true, ""},
		"a terminal without the page": {dev.Greeting{Phone: "192.168.1.23", Terminal: true}, true, ""},
		"loopback alone":              {dev.Greeting{Page: true, Terminal: true}, false, ""},
	} {
		tt.greeting.Public = "[::]:8080"
		var out strings.Builder
		dev.Greet(&out, tt.greeting)
		if got := scan(t, out.String()); got != tt.qr {
			t.Errorf("%s: the code says %q, want %q", name, got, tt.qr)
		}
		if got := strings.Contains(out.String(), "phone      http://"+tt.greeting.Phone+":8080"); got != tt.line {
			t.Errorf("%s: the line of the phone is there: %v", name, got)
		}
		if tt.line && !strings.Contains(out.String(), "no microphone") {
			t.Errorf("%s: nothing is said of the microphone", name)
		}
	}
}
