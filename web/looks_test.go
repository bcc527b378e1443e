package web

import (
	"maps"
	"math"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// palette are the colours of a theme, by name without the dashes.
func palette(t *testing.T, css string, theme int) map[string]string {
	t.Helper()
	blocks := regexp.MustCompile(`(?s):root \{(.*?)\}`).FindAllStringSubmatch(css, -1)
	if len(blocks) != 2 {
		t.Fatalf("%d themes", len(blocks))
	}
	colours := map[string]string{}
	for _, block := range blocks[:theme+1] {
		for _, match := range regexp.MustCompile(`--([\w-]+): #([0-9a-f]{6})`).FindAllStringSubmatch(block[1], -1) {
			colours[match[1]] = match[2]
		}
	}
	return colours
}

// luminance is WCAG 2.2's relative luminance of a colour rrggbb.
func luminance(t *testing.T, colour string) float64 {
	t.Helper()
	value, err := strconv.ParseUint(colour, 16, 24)
	if err != nil {
		t.Fatal(err)
	}
	part := func(shift int) float64 {
		c := float64(value>>shift&255) / 255
		if c <= 0.04045 {
			return c / 12.92
		}
		return math.Pow((c+0.055)/1.055, 2.4)
	}
	return 0.2126*part(16) + 0.7152*part(8) + 0.0722*part(0)
}

// WCAG 2.2, 1.4.3 (text, 4.5) and 1.4.11 (controls and what graphics tell, 3).
func TestContrastIsEnoughInBothThemes(t *testing.T) {
	t.Parallel()
	css := sources(t)["page.css"]
	const text, graphic = 4.5, 3
	pairs := map[[2]string]float64{
		{"on-accent", "accent"}: text, {"ground", "ink"}: text,
		{"paper-ink", "paper"}: text, {"paper-soft", "paper"}: text, {"paper-accent", "paper"}: text, {"paper", "slot"}: text,
		{"edge", "ground"}: graphic, {"edge", "raised"}: graphic, {"paper-accent", "paper-line"}: graphic,
	}
	for _, colour := range []string{"ink", "soft", "accent", "grey"} {
		pairs[[2]string{colour, "ground"}] = text
		pairs[[2]string{colour, "raised"}] = text
	}
	light, dark := palette(t, css, 0), palette(t, css, 1)
	if maps.Equal(light, dark) {
		t.Fatal("the themes are the same")
	}
	for theme, colours := range map[string]map[string]string{"light": light, "dark": dark} {
		for pair, least := range pairs {
			a, b := luminance(t, colours[pair[0]]), luminance(t, colours[pair[1]])
			if ratio := (max(a, b) + 0.05) / (min(a, b) + 0.05); ratio < least {
				t.Errorf("%s: %s on %s is %.2f, want %.1f", theme, pair[0], pair[1], ratio, least)
			}
		}
	}
}

func TestNothingMovesForThoseWhoAskForThat(t *testing.T) {
	t.Parallel()
	if !strings.Contains(sources(t)["page.css"], "@media (prefers-reduced-motion: reduce) { *, ::before, ::after { animation: none !important; transition: none !important; } }") {
		t.Error("the style sheet does not still what moves")
	}
}
