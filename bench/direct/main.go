// Command direct is the least Go program that does the job without a pool or
// limits: it verifies an ES256 session, asks the vendor, and answers.
package main

import (
	"encoding/json"
	"flag"
	"log"
	"net/http"
	"os"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8080", "the address to listen at")
	vendor := flag.String("vendor", "", "the vendor's address")
	keyFile := flag.String("key", "", "the public key of sessions, in PEM")
	issuer := flag.String("issuer", "", "their iss")
	audience := flag.String("audience", "", "their aud")
	flag.Parse()
	data, err := os.ReadFile(*keyFile)
	if err != nil {
		log.Fatal(err)
	}
	key, err := jwt.ParseECPublicKeyFromPEM(data)
	if err != nil {
		log.Fatal(err)
	}
	parser := jwt.NewParser(jwt.WithValidMethods([]string{"ES256"}), jwt.WithIssuer(*issuer),
		jwt.WithAudience(*audience), jwt.WithExpirationRequired())
	transport := http.DefaultTransport.(*http.Transport).Clone()
	// The default of two would open a connection for nearly every request.
	transport.MaxIdleConnsPerHost = 100
	client := &http.Client{Transport: transport}

	http.HandleFunc("POST /v1/single-use-token/{token_type}", func(w http.ResponseWriter, r *http.Request) {
		raw := strings.TrimPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := parser.Parse(raw, func(*jwt.Token) (any, error) { return key, nil }); err != nil {
			http.Error(w, "unauthorized", http.StatusUnauthorized)
			return
		}
		req, err := http.NewRequestWithContext(r.Context(), http.MethodPost, *vendor+"/v1/single-use-token/"+r.PathValue("token_type"), nil)
		if err != nil {
			http.Error(w, "bad request", http.StatusBadRequest)
			return
		}
		req.Header.Set("xi-api-key", "bench")
		resp, err := client.Do(req)
		if err != nil {
			http.Error(w, "the vendor is away", http.StatusBadGateway)
			return
		}
		defer resp.Body.Close()
		var minted struct {
			Token string `json:"token"`
		}
		if err := json.NewDecoder(resp.Body).Decode(&minted); err != nil || resp.StatusCode != http.StatusOK {
			http.Error(w, "the vendor gave no token", http.StatusBadGateway)
			return
		}
		w.Header().Set("Content-Type", "application/json")
		_ = json.NewEncoder(w).Encode(minted)
	})
	log.Fatal(http.ListenAndServe(*listen, nil))
}
