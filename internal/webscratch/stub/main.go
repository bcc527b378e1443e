package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"net/http"
	"strings"
	"sync"
	"time"

	"farebox/web"

	"github.com/coder/websocket"
)

var mu sync.Mutex
var tokens = map[string]bool{}
var n, rl int
var fault string

func take(t string) bool {
	mu.Lock()
	defer mu.Unlock()
	ok := tokens[t]
	delete(tokens, t)
	return ok
}
func problem(w http.ResponseWriter, status int, code, detail string, retry string) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("X-Request-Id", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
	if retry != "" {
		w.Header().Set("Retry-After", retry)
	}
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(map[string]any{"code": code, "detail": detail, "status": status, "request_id": "ABCDEFGHIJKLMNOPQRSTUVWXYZ"})
}
func main() {
	p, err := web.New(web.Config{Dev: true})
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, r *http.Request) {
		v := web.Visitor{}
		if c, err := r.Cookie("s"); err == nil {
			v = web.Visitor{SignedIn: true, Subject: c.Value}
		}
		p.ServeIndex(w, r, v)
	})
	mux.Handle("/assets/", p.Assets())
	mux.HandleFunc("POST /dev/session", func(w http.ResponseWriter, r *http.Request) {
		var b map[string]any
		json.NewDecoder(r.Body).Decode(&b)
		http.SetCookie(w, &http.Cookie{Name: "s", Value: b["sub"].(string), Path: "/", HttpOnly: true})
		w.Header().Set("Content-Type", "application/json")
		exp := ""
		if b["exp"] != nil {
			exp = "expired"
		}
		json.NewEncoder(w).Encode(map[string]any{"session": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl" + exp, "expires_in": 3600})
	})
	mux.HandleFunc("/_sandbox/faults", func(w http.ResponseWriter, r *http.Request) {
		var b struct{ Fault string }
		json.NewDecoder(r.Body).Decode(&b)
		mu.Lock()
		fault = b.Fault
		mu.Unlock()
	})
	mux.HandleFunc("/v1/single-use-token/{type}", func(w http.ResponseWriter, r *http.Request) {
		a := r.Header.Get("Authorization")
		_, cerr := r.Cookie("s")
		mu.Lock()
		f := fault
		rl++
		over := rl > 12
		mu.Unlock()
		switch {
		case r.Method != "POST":
			problem(w, 405, "method_not_allowed", "", "")
			return
		case a == "" && cerr != nil:
			problem(w, 401, "session_missing", "Send the session JWT as Authorization: Bearer.", "")
			return
		case strings.HasSuffix(a, "expired"):
			problem(w, 401, "session_expired", "This session has expired.", "")
			return
		case strings.HasSuffix(a, "not.a.session"):
			problem(w, 401, "session_invalid", "This session is not accepted.", "")
			return
		case f == "server_error":
			problem(w, 503, "vendor_unavailable", "The vendor cannot be reached or is busy. Try again later.", "5")
			return
		case over:
			problem(w, 429, "rate_limited", "You have asked for too many tokens in a short time. Try again later.", "6")
			return
		}
		time.Sleep(12 * time.Millisecond)
		mu.Lock()
		n++
		t := fmt.Sprintf("sutkn_sandbox_%04dKQ7Z4PVWXJ%04d", n, n*37)
		tokens[t] = true
		mu.Unlock()
		param := "token"
		if r.PathValue("type") == "tts_websocket" {
			param = "single_use_token"
		}
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Request-Id", "ABCDEFGHIJKLMNOPQRSTUVWXYZ")
		w.Header().Set("RateLimit", `"per_user";r=9;t=6`)
		json.NewEncoder(w).Encode(map[string]any{"token": t, "token_type": r.PathValue("type"), "expires_at": time.Now().Add(873 * time.Second).UTC().Format(time.RFC3339), "expires_in": 873, "base_url": "http://" + r.Host, "websocket_base_url": "ws://" + r.Host, "token_parameter": param})
	})
	mux.HandleFunc("/v1/speech-to-text/realtime", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		send := func(v any) { b, _ := json.Marshal(v); c.Write(context.Background(), websocket.MessageText, b) }
		if !take(r.URL.Query().Get("token")) {
			send(map[string]any{"message_type": "auth_error", "error": "You must be authenticated to use this endpoint."})
			c.Close(1000, "")
			return
		}
		send(map[string]any{"message_type": "session_started", "session_id": "sess_1", "config": map[string]any{"model_id": "scribe_v2_realtime"}})
		bytes := 0
		for {
			_, b, err := c.Read(context.Background())
			if err != nil {
				return
			}
			var m struct {
				Audio  string `json:"audio_base_64"`
				Commit bool
			}
			json.Unmarshal(b, &m)
			d, _ := base64.StdEncoding.DecodeString(m.Audio)
			bytes += len(d)
			s := fmt.Sprintf("This is the farebox sandbox. It heard %.1f seconds of audio, loudest at -12 dBFS.", float64(bytes)/32000)
			if m.Commit {
				send(map[string]any{"message_type": "committed_transcript", "text": s})
				bytes = 0
			} else {
				send(map[string]any{"message_type": "partial_transcript", "text": s})
			}
		}
	})
	mux.HandleFunc("/v1/text-to-speech/", func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{InsecureSkipVerify: true})
		if err != nil {
			return
		}
		send := func(v any) { b, _ := json.Marshal(v); c.Write(context.Background(), websocket.MessageText, b) }
		if !take(r.URL.Query().Get("single_use_token")) {
			send(map[string]any{"message": "Invalid token.", "error": "invalid_token", "code": 1008})
			c.Close(1008, "refused")
			return
		}
		for {
			_, b, err := c.Read(context.Background())
			if err != nil {
				return
			}
			if string(b) == `{"text":""}` {
				break
			}
		}
		for k := 0; k < 8; k++ {
			pcm := make([]byte, 9600)
			for i := 0; i < 4800; i++ {
				t := float64(k*4800+i) / 24000
				v := int16(9000 * math.Sin(2*math.Pi*220*t) * math.Abs(math.Sin(9*t)))
				pcm[2*i], pcm[2*i+1] = byte(v), byte(v>>8)
			}
			send(map[string]any{"audio": base64.StdEncoding.EncodeToString(pcm), "isFinal": false, "alignment": map[string]any{"chars": []string{"a"}}})
		}
		send(map[string]any{"isFinal": true})
		c.Close(1000, "")
	})
	mux.HandleFunc("POST /v1/speech-to-text", func(w http.ResponseWriter, r *http.Request) {
		r.ParseMultipartForm(1 << 20)
		w.Header().Set("Content-Type", "application/json")
		if !take(r.FormValue("token")) {
			w.WriteHeader(401)
			fmt.Fprint(w, `{"detail":{"status":"invalid_api_key","message":"Invalid token"}}`)
			return
		}
		fmt.Fprint(w, `{"language_code":"en","text":"This is the farebox sandbox. It received 86444 bytes."}`)
	})
	fmt.Println(http.ListenAndServe("127.0.0.1:18090", mux))
}
