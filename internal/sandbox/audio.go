package sandbox

import (
	"encoding/binary"
	"errors"
	"math"
	"slices"
	"strconv"
	"strings"
)

// format is how audio is encoded: 16-bit little-endian PCM, or µ-law.
type format struct {
	name string
	rate int // samples a second
	ulaw bool
}

// parseFormat reads pcm_16000, ulaw_8000 and the like.
func parseFormat(name string) (format, error) {
	encoding, text, _ := strings.Cut(name, "_")
	rate, err := strconv.Atoi(text)
	switch {
	case err == nil && encoding == "pcm" && slices.Contains([]int{8000, 16000, 22050, 24000, 32000, 44100, 48000}, rate):
		return format{name: name, rate: rate}, nil
	case name == "ulaw_8000":
		return format{name: name, rate: rate, ulaw: true}, nil
	}
	return format{}, errors.New("the farebox sandbox knows pcm_8000 to pcm_48000 and ulaw_8000")
}

// samples decodes audio into values from -1 to 1.
func (f format) samples(data []byte) ([]float64, error) {
	if f.ulaw {
		out := make([]float64, len(data))
		for i, b := range data {
			out[i] = float64(decodeULaw(b)) / 32768
		}
		return out, nil
	}
	if len(data)%2 != 0 {
		return nil, errors.New("the audio ends in the middle of a sample")
	}
	out := make([]float64, len(data)/2)
	for i := range out {
		out[i] = float64(int16(binary.LittleEndian.Uint16(data[2*i:]))) / 32768
	}
	return out, nil
}

// encode turns values from -1 to 1 into audio.
func (f format) encode(samples []float64) []byte {
	out := make([]byte, 0, 2*len(samples))
	for _, v := range samples {
		value := int16(math.Round(max(-1, min(1, v)) * 32767))
		if f.ulaw {
			out = append(out, encodeULaw(value))
		} else {
			out = binary.LittleEndian.AppendUint16(out, uint16(value))
		}
	}
	return out
}

// encodeULaw and decodeULaw follow ITU-T G.711.
func encodeULaw(sample int16) byte {
	const bias, clip = 0x84, 32635
	value, sign := int(sample), byte(0)
	if value < 0 {
		value, sign = -value, 0x80
	}
	value = min(value, clip) + bias
	exponent := 7
	for mask := 0x4000; exponent > 0 && value&mask == 0; mask >>= 1 {
		exponent--
	}
	mantissa := byte(value>>(exponent+3)) & 0x0f
	return ^(sign | byte(exponent)<<4 | mantissa)
}

func decodeULaw(b byte) int16 {
	const bias = 0x84
	b = ^b
	exponent, mantissa := int(b>>4)&7, int(b)&0x0f
	value := (mantissa<<3+bias)<<exponent - bias
	if b&0x80 != 0 {
		value = -value
	}
	return int16(value)
}

// level measures audio.
type level struct {
	samples int
	peak    float64
}

func (l *level) add(samples []float64) {
	l.samples += len(samples)
	for _, v := range samples {
		l.peak = max(l.peak, math.Abs(v))
	}
}

// loudness is a peak in whole dBFS, 0 at the most.
func loudness(peak float64) int { return int(math.Round(20 * math.Log10(max(peak, 1e-5)))) }

// quiet is the level up to which audio counts as silence.
const quiet = 0.01 // -40 dBFS

// silent reports whether samples are quiet on the whole (root mean square), so
// that a single click is no voice.
func silent(samples []float64) bool {
	sum := 0.0
	for _, v := range samples {
		sum += v * v
	}
	return sum <= quiet*quiet*float64(len(samples))
}
