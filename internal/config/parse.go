package config

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"farebox/internal/redisconn"
	"farebox/internal/secret"
)

// Every error of a parser in this package is shown to the operator: it names the
// mend and never the value that was given.

// readInto makes a setting's read function of a parser and where its result goes.
func readInto[T any](set func(*Config, T), parse func(string) (T, error)) func(*Config, string) error {
	return func(c *Config, value string) error {
		v, err := parse(value)
		if err != nil {
			return err
		}
		set(c, v)
		return nil
	}
}

func readRedisURL(c *Config, value string) error {
	if value == "memory:" {
		c.Redis.Embedded = true
		return nil
	}
	c.Redis.URL = secret.New(value)
	return nil
}

func readRedisMode(value string) (redisconn.Mode, error) {
	var names []string
	for _, mode := range redisconn.Modes() {
		if value == string(mode) {
			return mode, nil
		}
		names = append(names, string(mode))
	}
	return "", errors.New("must be one of " + strings.Join(names, ", "))
}

func readLogLevel(c *Config, value string) error {
	switch level := strings.ToLower(value); level {
	case "debug", "info", "warn", "error":
		return c.Log.Level.UnmarshalText([]byte(level))
	default:
		return errors.New("must be debug, info, warn or error")
	}
}

func parseSecret(text string) (secret.Text, error) {
	const atLeast = 32
	if len(text) < atLeast {
		return secret.Text{}, fmt.Errorf("must have %d bytes or more, for instance the output of: openssl rand -base64 32", atLeast)
	}
	return secret.New(text), nil
}

func parseSecrets(text string) ([]secret.Text, error) {
	var all []secret.Text
	for _, part := range splitList(text) {
		s, err := parseSecret(part)
		if err != nil {
			return nil, err
		}
		all = append(all, s)
	}
	if len(all) == 0 {
		return nil, errors.New("holds no secret")
	}
	return all, nil
}

// splitList splits at commas and newlines, and leaves out what is empty.
func splitList(text string) []string {
	var parts []string
	for part := range strings.FieldsFuncSeq(text, func(r rune) bool { return r == ',' || r == '\n' }) {
		if part = strings.TrimSpace(part); part != "" {
			parts = append(parts, part)
		}
	}
	return parts
}

func parseText(text string) (string, error) {
	if strings.TrimSpace(text) != text || strings.ContainsFunc(text, func(r rune) bool { return r < 0x20 || r == 0x7f }) {
		return "", errors.New("has white space around it or control characters in it")
	}
	return text, nil
}

// orNone lets "none" stand for the zero value.
func orNone(parse func(string) (string, error)) func(string) (string, error) {
	return orWord("none", parse)
}

// orOff lets "off" stand for the zero value.
func orOff(parse func(string) (string, error)) func(string) (string, error) {
	return orWord("off", parse)
}

func orWord(word string, parse func(string) (string, error)) func(string) (string, error) {
	return func(text string) (string, error) {
		if text == word {
			return "", nil
		}
		return parse(text)
	}
}

func parseAudiences(text string) ([]string, error) {
	if text == "none" {
		return nil, nil
	}
	audiences := splitList(text)
	if len(audiences) == 0 {
		return nil, errors.New("holds no audience; write none to say that it is not checked")
	}
	return audiences, nil
}

func parseRequiredClaims(text string) (map[string][]string, error) {
	claims := map[string][]string{}
	for _, pair := range splitList(text) {
		name, values, ok := strings.Cut(pair, "=")
		name = strings.TrimSpace(name)
		if _, twice := claims[name]; !ok || name == "" || twice {
			return nil, errors.New("write claim=value,other=one|two, each claim once")
		}
		for value := range strings.SplitSeq(values, "|") {
			if value = strings.TrimSpace(value); value == "" {
				return nil, errors.New("has an empty value; write claim=value,other=one|two")
			}
			claims[name] = append(claims[name], value)
		}
	}
	if len(claims) == 0 {
		return nil, errors.New("holds no claim; write claim=value,other=one|two")
	}
	return claims, nil
}

func parsePrefix(text string) (string, error) {
	const most = 64
	if len(text) > most || !visibleASCII(text) || strings.ContainsAny(text, "{}") {
		return "", fmt.Errorf("must be of 1 to %d visible ASCII characters without { and }", most)
	}
	return text, nil
}

// parseToken reads a token of RFC 9110, which cookie and header names are.
func parseToken(text string) (string, error) {
	if !visibleASCII(text) || strings.ContainsAny(text, `"(),/:;<=>?@[\]{}`) {
		return "", errors.New("is no name of a cookie or header")
	}
	return text, nil
}

func parseHeaderName(text string) (string, error) {
	switch strings.ToLower(text) {
	case "authorization", "cookie", "host", "origin", "xi-api-key":
		return "", errors.New("names a header that has a meaning of its own; let the proxy set another")
	}
	return parseToken(text)
}

func parseClientIPHeader(text string) (string, error) {
	switch strings.ToLower(text) {
	case "x-forwarded-for", "forwarded":
		return "", errors.New("names a list that anybody can begin; name your proxies in FAREBOX_TRUSTED_PROXIES instead")
	}
	return parseHeaderName(text)
}

func parseSwitch(text string) (bool, error) {
	switch strings.ToLower(text) {
	case "on", "true", "1":
		return true, nil
	case "off", "false", "0":
		return false, nil
	default:
		return false, errors.New("must be on or off")
	}
}

func parseDuration(least, most time.Duration) func(string) (time.Duration, error) {
	return func(text string) (time.Duration, error) {
		d, err := time.ParseDuration(text)
		if err != nil || d < least || d > most {
			return 0, fmt.Errorf("must be a duration from %v to %v, written like 30s or 5m", least, most)
		}
		return d, nil
	}
}

func parseNumber(least, most int) func(string) (int, error) {
	return func(text string) (int, error) {
		n, err := strconv.Atoi(text)
		if err != nil || n < least || n > most {
			return 0, fmt.Errorf("must be a whole number from %d to %d", least, most)
		}
		return n, nil
	}
}

func parseOneOf(words ...string) func(string) (string, error) {
	return func(text string) (string, error) {
		for _, word := range words {
			if strings.EqualFold(text, word) {
				return word, nil
			}
		}
		return "", errors.New("must be " + strings.Join(words, " or "))
	}
}

func visibleASCII(text string) bool {
	return text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r < 0x21 || r > 0x7e })
}

func parseTrueFalse(value string) (bool, error) {
	switch value {
	case "true":
		return true, nil
	case "false":
		return false, nil
	default:
		return false, errors.New("must be true or false")
	}
}
