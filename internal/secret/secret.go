// Package secret holds values that must never be printed.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

const redacted = "[redacted]"

// Text is a secret string. Every fmt verb, JSON, text and slog encoding of it
// is "[redacted]"; Reveal is the only way to the value. The zero Text is the
// empty secret. Text is immutable and safe for concurrent use.
type Text struct {
	// A pointer, because fmt reaches into unexported fields without asking
	// their methods, and prints of a nested pointer only its address.
	value *string
}

// New returns value as a secret.
func New(value string) Text { return Text{value: &value} }

// Reveal returns the secret itself. Call it only where the value is used.
func (t Text) Reveal() string {
	if t.value == nil {
		return ""
	}
	return *t.value
}

// IsZero reports whether the secret is empty.
func (t Text) IsZero() bool { return t.Reveal() == "" }

// Len returns the secret's length in bytes.
func (t Text) Len() int { return len(t.Reveal()) }

// String implements fmt.Stringer.
func (t Text) String() string { return redacted }

// Format implements fmt.Formatter, so that no verb reaches the value.
func (t Text) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// MarshalText implements encoding.TextMarshaler, which JSON uses too.
func (t Text) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// LogValue implements slog.LogValuer.
func (t Text) LogValue() slog.Value { return slog.StringValue(redacted) }
