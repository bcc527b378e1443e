package sandbox_test

import (
	"bytes"
	"io"
	"mime/multipart"
	"net/http"
	"strings"
	"testing"
)

func (v *vendor) transcribe(t *testing.T, token, model string, file []byte) reply {
	var body bytes.Buffer
	form := multipart.NewWriter(&body)
	for name, value := range map[string]string{"token": token, "model_id": model} {
		if err := form.WriteField(name, value); err != nil {
			t.Error(err)
		}
	}
	if file != nil {
		part, err := form.CreateFormFile("file", "f.wav")
		if err == nil {
			_, err = part.Write(file)
		}
		if err != nil {
			t.Error(err)
		}
	}
	_ = form.Close()
	response, err := v.Client().Post(v.URL+"/v1/speech-to-text", form.FormDataContentType(), &body)
	if err != nil {
		t.Error(err)
		return reply{}
	}
	defer response.Body.Close()
	data, _ := io.ReadAll(response.Body)
	return reply{status: response.StatusCode, header: response.Header, raw: string(data)}
}

func TestTranscribingAFile(t *testing.T) {
	t.Parallel()
	v := start(t)
	a := v.transcribe(t, v.mint(t, "batch_scribe"), "scribe_v1", make([]byte, 1234))
	if a.status != 200 || !strings.Contains(a.raw, "farebox sandbox") || !strings.Contains(a.raw, "1234 bytes") {
		t.Errorf("%d %s", a.status, a.raw)
	}
	if a := v.transcribe(t, v.mint(t, "realtime_scribe"), "scribe_v1", []byte("x")); a.status != 401 {
		t.Errorf("a foreign token: %d", a.status)
	}
	if a := v.transcribe(t, v.mint(t, "batch_scribe"), "gpt", []byte("x")); a.status != 422 {
		t.Errorf("an unknown model: %d", a.status)
	}
	if a := v.transcribe(t, v.mint(t, "batch_scribe"), "scribe_v1", nil); a.status != 422 {
		t.Errorf("no file: %d", a.status)
	}
	if a := v.do(t, http.MethodPost, "/v1/speech-to-text", "", "x"); a.status != 422 {
		t.Errorf("no form: %d", a.status)
	}
}

func TestAFormIsTakenOnlyWhole(t *testing.T) {
	t.Parallel()
	v := start(t)
	token := v.mint(t, "batch_scribe")
	part := func(name, value string) string {
		return "--b\r\nContent-Disposition: form-data; name=\"" + name + "\"\r\n\r\n" + value + "\r\n"
	}
	good := part("token", token) + part("model_id", "scribe_v2") + part("file", "x")
	post := func(body string) reply {
		t.Helper()
		response, err := v.Client().Post(v.URL+"/v1/speech-to-text", "multipart/form-data; boundary=b", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		data, _ := io.ReadAll(response.Body)
		return reply{status: response.StatusCode, raw: string(data)}
	}
	for name, body := range map[string]string{
		"broken off":       good,
		"two tokens":       good + part("token", token) + "--b--\r\n",
		"two files":        good + part("file", "y") + "--b--\r\n",
		"a token too long": part("token", token+strings.Repeat(" ", 9<<10)) + "--b--\r\n",
	} {
		if a := post(body); a.status != 422 {
			t.Errorf("%s: %d %s", name, a.status, a.raw)
		}
	}
	if a := post(part("keyterms", "a") + part("keyterms", "b") + good + "--b--\r\n"); a.status != 200 {
		t.Errorf("whole, with the token that the others have not cost: %d %s", a.status, a.raw)
	}
}

func TestAKeyServesToTranscribeToo(t *testing.T) {
	t.Parallel()
	v := start(t)
	for key, status := range map[string]int{"k": 200, " ": 401, "sk_abc": 401} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.URL+"/v1/speech-to-text",
			strings.NewReader("--b\r\nContent-Disposition: form-data; name=\"model_id\"\r\n\r\nscribe_v1\r\n--b\r\nContent-Disposition: form-data; name=\"file\"\r\n\r\nx\r\n--b--\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		r.Header = http.Header{"Content-Type": {"multipart/form-data; boundary=b"}, "Xi-Api-Key": {key}}
		response, err := v.Client().Do(r)
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != status {
			t.Errorf("%q: %d", key, response.StatusCode)
		}
	}
}
