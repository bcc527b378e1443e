//go:build real

package e2e_test

import (
	"bytes"
	"cmp"
	"context"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/chromedp"
)

// screenshots is where TestThePageInPictures leaves its pictures.
var screenshots = flag.String("screenshots", "", "folder for pictures of the page; by default they are thrown away")

// theme has the page shown in light or dark, and still.
func (b *browser) theme(scheme string) {
	b.t.Helper()
	b.run(chromedp.Func(func(ctx context.Context, page *chromedp.Target) error {
		_, err := cdp.Call(ctx, page, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"}},
		})
		return err
	}))
}

// showTickets leaves a refused, a used and a fresh ticket on the page.
func (b *browser) showTickets(url string) {
	b.t.Helper()
	b.signIn(url, "ada")
	b.click("file-sample")
	b.run(chromedp.WaitVisible(ticket("batch_scribe", "used")))
	b.press(within(ticket("batch_scribe", "used"), "ticket-try-again"))
	b.shows(ticket("batch_scribe", "refused"), "Refused, as promised.")
	b.click("speak-sample")
	b.run(chromedp.WaitVisible(ticket("realtime_scribe", "used")))
	b.sees(`document.querySelector('[data-testid=speak-mic]').ariaDisabled === 'false'`)
	// Pressed without a mouse that stays on it.
	b.run(chromedp.Evaluate[chromedp.Void](fmt.Sprintf(`document.querySelector(%q).click()`, id("machine-tts_websocket"))))
	b.run(chromedp.WaitVisible(ticket("tts_websocket", "fresh")))
}

func TestThePageInPictures(t *testing.T) {
	t.Parallel()
	dir := *screenshots
	if dir == "" {
		dir = t.TempDir()
	}
	d := startDev(t)
	for name, shot := range map[string]struct {
		scheme        string
		width, height int64
		scale         float64
		ground        color.RGBA
	}{
		"page-light": {"light", 1280, 1240, 1, color.RGBA{0xf6, 0xf0, 0xe5, 0xff}},
		"page-dark":  {"dark", 1280, 1240, 1, color.RGBA{0x16, 0x12, 0x0e, 0xff}},
		"page-phone": {"light", 360, 780, 2, color.RGBA{0xf6, 0xf0, 0xe5, 0xff}},
	} {
		b := openBrowser(t)
		b.theme(shot.scheme)
		b.run(chromedp.EmulateViewport(shot.width, shot.height, chromedp.EmulateScale(shot.scale)))
		b.showTickets(d.url)
		b.shows(id("service-state"), "In service")
		b.run(chromedp.Evaluate[chromedp.Void](`{ document.activeElement.blur(); scrollTo(0, innerWidth < 600 ? document.querySelector('#machine').getBoundingClientRect().top + scrollY - 16 : 0) }`))
		raw := read(b, chromedp.CaptureScreenshot())
		b.confined()
		picture, err := png.Decode(bytes.NewReader(raw))
		if err != nil {
			t.Fatal(err)
		}
		small := encode(t, reduce(picture, 256))
		if err := os.WriteFile(filepath.Join(dir, name+".png"), small, 0o644); err != nil {
			t.Fatal(err)
		}
		checkPicture(t, name, small, int(float64(shot.width)*shot.scale), int(float64(shot.height)*shot.scale), shot.ground)
	}
}

// checkPicture holds a picture to its size, and to show something: paper and
// accent on the theme's ground.
func checkPicture(t *testing.T, name string, file []byte, width, height int, ground color.RGBA) {
	t.Helper()
	const most = 150_000 // bytes, for the README
	if len(file) > most {
		t.Errorf("%s has %d bytes, at most %d", name, len(file), most)
	}
	picture, err := png.Decode(bytes.NewReader(file))
	if err != nil || picture.Bounds().Dx() != width || picture.Bounds().Dy() != height {
		t.Fatalf("%s is %v, want %d×%d: %v", name, picture.Bounds(), width, height, err)
	}
	counts := histogram(picture)
	if counts[ground] < width*height/20 {
		t.Errorf("%s is not of its theme: %d pixels of %v", name, counts[ground], ground)
	}
	papers := 0 // light and warm in both themes, as no ground is
	accents := 0
	for c, n := range counts {
		switch {
		case c.R > 0xe8 && c.B > 0xc8 && c != ground && c.R > c.B:
			papers += n
		case c.R > 0x80 && c.G < 0x50 && c.B < 0x30:
			accents += n
		}
	}
	if all := width * height; papers < all/100 || accents < all/500 {
		t.Errorf("%s shows %d pixels of paper and %d of accent", name, papers, accents)
	}
}

func histogram(picture image.Image) map[color.RGBA]int {
	counts := map[color.RGBA]int{}
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			counts[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)]++
		}
	}
	return counts
}

// reduce paints a picture in its commonest colours, no two of which are much
// alike: it is flat, so that the rest are the edges of letters.
func reduce(picture image.Image, most int) *image.Paletted {
	counts := histogram(picture)
	byCount := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int {
		return cmp.Or(cmp.Compare(counts[b], counts[a]), cmp.Compare(fmt.Sprint(a), fmt.Sprint(b)))
	})
	var colours color.Palette
	for _, alike := range []int{24, 6} {
		for _, c := range byCount {
			if len(colours) < most && (len(colours) == 0 || distance(colours.Convert(c).(color.RGBA), c) > alike) {
				colours = append(colours, c)
			}
		}
	}
	nearest := map[color.RGBA]uint8{}
	for c := range counts {
		nearest[c] = uint8(colours.Index(c))
	}
	painted := image.NewPaletted(picture.Bounds(), colours)
	bounds := picture.Bounds()
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			painted.SetColorIndex(x, y, nearest[color.RGBAModel.Convert(picture.At(x, y)).(color.RGBA)])
		}
	}
	return painted
}

func distance(a, b color.RGBA) int {
	apart := func(x, y uint8) int { return max(int(x), int(y)) - min(int(x), int(y)) }
	return apart(a.R, b.R) + apart(a.G, b.G) + apart(a.B, b.B)
}

func encode(t *testing.T, picture image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&b, picture); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}
