package main

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const (
	issuer   = "https://issuer.example"
	audience = "farebox"
	path     = "/v1/single-use-token/realtime_scribe"
)

// signer signs sessions, and has its public key in a file.
type signer struct {
	key  *ecdsa.PrivateKey
	file string
}

func newSigner(dir string) (*signer, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil, err
	}
	s := &signer{key: key, file: filepath.Join(dir, "sessions.pem")}
	return s, os.WriteFile(s.file, pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}), 0o600)
}

// requests are whole requests for a token, one for each session: count
// sessions, of so many users in turn. Further calls give the same users other
// sessions.
func (s *signer) requests(count, users int) ([][]byte, error) {
	all := make([][]byte, count)
	failed := make(chan error, runtime.NumCPU())
	now := time.Now()
	var signing sync.WaitGroup
	for worker := range runtime.NumCPU() {
		signing.Go(func() {
			for i := worker; i < count; i += runtime.NumCPU() {
				raw, err := jwt.NewWithClaims(jwt.SigningMethodES256, jwt.MapClaims{
					"iss": issuer, "aud": audience, "sub": "user-" + strconv.Itoa(i%users),
					"sid": rand.Text(), "iat": now.Unix(), "exp": now.Add(2 * time.Hour).Unix(),
				}).SignedString(s.key)
				if err != nil {
					failed <- err
					return
				}
				all[i] = request(path, "Authorization: Bearer "+raw)
			}
		})
	}
	signing.Wait()
	select {
	case err := <-failed:
		return nil, fmt.Errorf("sign a session: %w", err)
	default:
		return all, nil
	}
}

func request(path, header string) []byte {
	return []byte("POST " + path + " HTTP/1.1\r\nHost: localhost\r\n" + header + "\r\nContent-Length: 0\r\n\r\n")
}

// inTurn has all requests sent one after the other, again and again.
func inTurn(all [][]byte) func(int) []byte {
	return func(i int) []byte { return all[i%len(all)] }
}
