package sandbox

import (
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strconv"
)

// scribeConfig is what the realtime transcription socket was opened with.
type scribeConfig struct {
	format     format
	vad        bool
	silenceEnd float64 // seconds of silence that end an utterance
	timestamps bool
	language   string
}

var languageCode = regexp.MustCompile(`^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$`)

func readScribeConfig(query url.Values) (scribeConfig, error) {
	c := scribeConfig{silenceEnd: 1.5, language: "en"}
	if query.Get("model_id") != "scribe_v2_realtime" {
		return c, errors.New("model_id must be scribe_v2_realtime")
	}
	audio := query.Get("audio_format")
	if audio == "" {
		audio = "pcm_16000"
	}
	var err error
	if c.format, err = parseFormat(audio); err != nil {
		return c, err
	}
	switch query.Get("commit_strategy") {
	case "", "manual":
	case "vad":
		c.vad = true
	default:
		return c, errors.New("commit_strategy must be manual or vad")
	}
	if c.timestamps, err = flag(query, "include_timestamps"); err != nil {
		return c, err
	}
	if language := query.Get("language_code"); language != "" {
		if !languageCode.MatchString(language) {
			return c, errors.New("language_code must be a code such as en or eng")
		}
		c.language = language
	}
	return c, c.readThresholds(query)
}

// readThresholds checks all thresholds; of the detection of voice only the
// silence that ends an utterance has an effect here.
func (c *scribeConfig) readThresholds(query url.Values) error {
	ignored := 0.0
	for _, threshold := range []struct {
		name        string
		least, most float64
		into        *float64
	}{
		{"vad_silence_threshold_secs", 0.3, 3, &c.silenceEnd},
		{"vad_threshold", 0.1, 0.9, &ignored},
		{"min_speech_duration_ms", 50, 2000, &ignored},
		{"min_silence_duration_ms", 50, 2000, &ignored},
	} {
		text := query.Get(threshold.name)
		if text == "" {
			continue
		}
		value, err := strconv.ParseFloat(text, 64)
		// Not within, rather than without: NaN is neither.
		if err != nil || !(value >= threshold.least && value <= threshold.most) {
			return fmt.Errorf("%s must lie between %v and %v", threshold.name, threshold.least, threshold.most)
		}
		*threshold.into = value
	}
	return nil
}

// echo is the config of session_started: every parameter but the token, and
// what the defaults are.
func (c scribeConfig) echo(query url.Values) map[string]any {
	config := map[string]any{}
	for name := range query {
		if name != "token" {
			config[name] = query.Get(name)
		}
	}
	config["audio_format"], config["sample_rate"] = c.format.name, c.format.rate
	config["commit_strategy"] = "manual"
	if c.vad {
		config["commit_strategy"] = "vad"
	}
	config["include_timestamps"] = c.timestamps
	for _, name := range []string{"vad_silence_threshold_secs", "vad_threshold", "min_speech_duration_ms", "min_silence_duration_ms"} {
		if value, err := strconv.ParseFloat(query.Get(name), 64); err == nil {
			config[name] = value
		}
	}
	return config
}

// flag reads a parameter that is true or false; without it, false.
func flag(query url.Values, name string) (bool, error) {
	switch query.Get(name) {
	case "true":
		return true, nil
	case "false", "":
		return false, nil
	}
	return false, fmt.Errorf("%s must be true or false", name)
}
