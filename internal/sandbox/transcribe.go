package sandbox

import (
	"errors"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"slices"
)

const (
	maxFile  = 64 << 20
	maxField = 8 << 10
)

// upload is what a transcription of a file was asked with.
type upload struct {
	token, model string
	bytes        int64 // of the file
	seen         []string
}

// transcribe is POST /v1/speech-to-text, by token or key.
func (s *Sandbox) transcribe(x *exchange) {
	u, err := readUpload(x.w, x.r)
	if err != nil {
		writeError(x.w, invalid("body", "file", err.Error()), "")
		return
	}
	byKey := x.r.Header.Get("xi-api-key") != ""
	switch {
	case byKey && !keyed(x):
	case !byKey && !s.tokens.redeem(u.token, "batch_scribe"):
		writeError(x.w, apiError{status: 401, code: "unauthorized", mark: "needs_authorization", message: "You must be authenticated to use this endpoint."}, shapeLegacy)
	case !slices.Contains([]string{"scribe_v1", "scribe_v2"}, u.model):
		writeError(x.w, invalid("body", "model_id", "Input should be scribe_v1 or scribe_v2"), "")
	case !slices.Contains(u.seen, "file"):
		writeError(x.w, invalid("body", "file", "Field required"), "")
	default:
		writeJSON(x.w, http.StatusOK, map[string]any{
			"language_code": "en", "language_probability": 1,
			"text":  fmt.Sprintf("This is the farebox sandbox. It received a file of %d bytes, and listens to none.", u.bytes),
			"words": []any{},
		})
	}
}

// readUpload reads the form; of the file only its size is kept.
func readUpload(w http.ResponseWriter, r *http.Request) (upload, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxFile)
	reader, err := r.MultipartReader()
	if err != nil {
		return upload{}, errors.New("the body is no multipart form")
	}
	broken := errors.New("the form is malformed, too large or broke off")
	var u upload
	for {
		part, err := reader.NextPart()
		if errors.Is(err, io.EOF) {
			return u, nil
		}
		if err != nil {
			return upload{}, broken
		}
		name := part.FormName()
		if slices.Contains(u.seen, name) {
			return upload{}, fmt.Errorf("%s is given twice", name)
		}
		switch name {
		case "token":
			u.token, err = field(part)
		case "model_id":
			u.model, err = field(part)
		case "file":
			u.bytes, err = io.Copy(io.Discard, part)
		default:
			continue
		}
		if err != nil {
			return upload{}, broken
		}
		u.seen = append(u.seen, name)
	}
}

func field(part *multipart.Part) (string, error) {
	data, err := io.ReadAll(io.LimitReader(part, maxField+1))
	if len(data) > maxField {
		return "", errors.New("a field is too long")
	}
	return string(data), err
}
