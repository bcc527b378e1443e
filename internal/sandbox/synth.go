package sandbox

import (
	"math"
	"strings"
	"unicode"
)

// sound is a stretch of babble with the time of each character in it.
type sound struct {
	samples []float64
	chars   []string
	starts  []int // in milliseconds
	lengths []int
}

// babble makes an audible, deterministic sound in the rhythm of text: vowels
// are voiced with formants of their own, consonants are short bursts, spaces
// and marks are silence. It is no speech and does not pretend to be.
func babble(text string, rate int) sound {
	var s sound
	at := 0
	noise := uint32(0x2545f491)
	for i, r := range []rune(text) {
		length := charLength(r)
		count := length * rate / 1000
		s.chars = append(s.chars, string(r))
		s.starts = append(s.starts, at)
		s.lengths = append(s.lengths, length)
		at += length
		// The pitch falls a little through the text and sways with it.
		pitch := 150 - 20*math.Min(float64(i)/60, 1) + 12*math.Sin(float64(i)*0.9)
		for n := range count {
			t := float64(n) / float64(rate)
			edge := math.Min(1, math.Min(float64(n), float64(count-n))/(0.012*float64(rate)))
			noise = noise*1664525 + 1013904223
			s.samples = append(s.samples, edge*voice(r, pitch, t, float64(int32(noise))/math.MaxInt32))
		}
	}
	return s
}

func charLength(r rune) int {
	switch {
	case strings.ContainsRune(".!?", r):
		return 260
	case strings.ContainsRune(",;:", r):
		return 160
	case unicode.IsSpace(r):
		return 70
	case isVowel(r):
		return 95
	default:
		return 55
	}
}

func isVowel(r rune) bool {
	return strings.ContainsRune("aeiouyäöüéèáíóú", unicode.ToLower(r))
}

// voice is one sample of a character's sound.
func voice(r rune, pitch, t, noise float64) float64 {
	if unicode.IsSpace(r) || unicode.IsPunct(r) {
		return 0
	}
	if !isVowel(r) {
		return 0.12*noise + 0.1*math.Sin(2*math.Pi*pitch*t)
	}
	first, second := 300+float64(r%7)*80, 900+float64(r%5)*320 // formants in Hz
	sum := 0.0
	for k := 1; k <= 14; k++ {
		f := pitch * float64(k)
		weight := resonance(f, first, 120) + 0.6*resonance(f, second, 180) + 0.05/float64(k)
		sum += weight * math.Sin(2*math.Pi*f*t)
	}
	return 0.35 * sum
}

func resonance(f, center, width float64) float64 {
	d := (f - center) / width
	return 1 / (1 + d*d)
}
