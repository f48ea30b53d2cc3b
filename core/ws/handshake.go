package ws

import (
	"crypto/sha1"
	"encoding/base64"
)

// GUID is appended to the client's key (RFC 6455 1.3).
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const keySize = 24 // base64 of 16 bytes

// ValidKey reports whether a Sec-WebSocket-Key is the base64 form of 16 bytes
// (RFC 6455 4.2.1).
func ValidKey(key []byte) bool {
	if len(key) != keySize {
		return false
	}
	var raw [18]byte
	n, err := base64.StdEncoding.Decode(raw[:], key)
	return err == nil && n == 16
}

// AppendAccept appends the Sec-WebSocket-Accept value for a key (RFC 6455 4.2.2).
func AppendAccept(dst, key []byte) []byte {
	var in [keySize + len(GUID)]byte
	n := copy(in[:], key)
	n += copy(in[n:], GUID)
	sum := sha1.Sum(in[:n])
	return base64.StdEncoding.AppendEncode(dst, sum[:])
}
