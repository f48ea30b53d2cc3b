package ws

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"math/rand/v2"
	"testing"
)

// TestHandshakeIsBase64: keys are judged, and answers written, as encoding/base64
// does it.
func TestHandshakeIsBase64(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	valid := func(key []byte) bool {
		raw, err := base64.StdEncoding.DecodeString(string(key))
		return len(key) == 24 && err == nil && len(raw) == 16 && !bytes.ContainsAny(key, "\r\n")
	}
	for range 2000 {
		raw := make([]byte, 16)
		for i := range raw {
			raw[i] = byte(rng.Uint32())
		}
		key := []byte(base64.StdEncoding.EncodeToString(raw))
		if !ValidKey(key) {
			t.Fatalf("%s is refused", key)
		}
		sum := sha1.Sum(append(bytes.Clone(key), GUID...))
		want := "x" + base64.StdEncoding.EncodeToString(sum[:])
		if got := string(AppendAccept([]byte("x"), key)); got != want {
			t.Fatalf("%s is answered with %s, want %s", key, got, want)
		}
		key[rng.IntN(len(key))] = byte(rng.Uint32())
		if got := ValidKey(key); got != valid(key) {
			t.Fatalf("%q: %v", key, got)
		}
	}
}
