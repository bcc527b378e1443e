package session

import (
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"testing"

	"github.com/c2sp/wycheproof"
)

// Where a result differs from Wycheproof's label, and why. Each case that is not
// listed comes out as labelled.
var wycheproofExceptions = map[int]string{
	372: "valid there; a '?' is in no JWT (RFC 8725, 3.11 in the successor draft)",
	373: "valid there; as 372",
	346: "valid there; the key is for PS256, the header says PS384: one algorithm a key",
	350: "valid there; as 346",
	347: "valid there; the key's alg is ES521, which does not exist: ES512 is meant",
	351: "valid there; as 347",
	281: "invalid there; the PSS salt is not as long as the hash, which Go's library takes",
	282: "invalid there; as 281",
	283: "invalid there; as 281",
	284: "invalid there; as 281",
	285: "invalid there; as 281",
	286: "invalid there; as 281",
	367: "invalid there; it looks like an ordinary good token",
	370: "invalid there; as 367",
}

func TestWycheproofsSignatures(t *testing.T) {
	t.Parallel()
	data, err := fs.ReadFile(wycheproof.TestVectors, "json_web_signature_test.json")
	if err != nil {
		t.Fatal(err)
	}
	var file struct {
		TestGroups []struct {
			Public, Private json.RawMessage
			Tests           []struct {
				TcID                 int
				Comment, JWS, Result string
			}
		}
	}
	if err := json.Unmarshal(data, &file); err != nil {
		t.Fatal(err)
	}
	cases, valid := 0, 0
	for _, group := range file.TestGroups {
		keys := wycheproofKeys(t, group.Public, group.Private)
		for _, c := range group.Tests {
			cases++
			good := false
			if e, _, err := unseal(c.JWS, append(asymmetric(), "HS256"), sessionTypes); err == nil {
				_, err = e.signedBy(keys)
				good = err == nil
			}
			if good {
				valid++
			}
			reason := wycheproofExceptions[c.TcID]
			if differs := good != (c.Result == "valid"); differs != (reason != "") {
				t.Errorf("case %d (%s) is labelled %s and comes out good=%v; exception: %q", c.TcID, c.Comment, c.Result, good, reason)
			}
		}
	}
	if cases < 401 || valid < 40 {
		t.Errorf("only %d cases, %d good", cases, valid)
	}
}

// wycheproofKeys reads a group's key as a key set's is read; a shared secret,
// which no key set may hold, is taken as a setting's.
func wycheproofKeys(t *testing.T, public, private json.RawMessage) []Key {
	t.Helper()
	if public != nil {
		key, err := parseKey(public)
		if err != nil {
			return nil
		}
		return []Key{key.Key}
	}
	var shared struct{ Kty, Alg, K string }
	if err := json.Unmarshal(private, &shared); err != nil || shared.Kty != "oct" {
		t.Fatalf("no shared secret: %v", err)
	}
	material, err := base64.RawURLEncoding.DecodeString(shared.K)
	if err != nil {
		t.Fatal(err)
	}
	return []Key{{Algorithms: []string{shared.Alg}, Material: material}}
}
