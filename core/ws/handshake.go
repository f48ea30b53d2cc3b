package ws

import "crypto/sha1"

// GUID is appended to the client's key (RFC 6455 1.3).
const GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"

const keySize = 24 // base64 of 16 bytes

// ValidKey reports whether a Sec-WebSocket-Key is the base64 form of 16 bytes
// (RFC 6455 4.2.1).
func ValidKey(key []byte) bool {
	if len(key) != keySize || key[22] != '=' || key[23] != '=' {
		return false
	}
	for _, c := range key[:22] {
		if !inBase64[c] {
			return false
		}
	}
	return true
}

// base64Text are the characters of base64 (RFC 4648 4).
const base64Text = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

var inBase64 = func() (t [256]bool) {
	for _, c := range base64Text {
		t[c] = true
	}
	return t
}()

// AppendAccept appends the Sec-WebSocket-Accept value for a key (RFC 6455 4.2.2).
func AppendAccept(dst, key []byte) []byte {
	var in [keySize + len(GUID)]byte
	n := copy(in[:], key)
	n += copy(in[n:], GUID)
	sum := sha1.Sum(in[:n])
	// In base64: three bytes are four characters, and two are left.
	var out [28]byte
	in3, o := sum[:], out[:]
	for ; len(in3) >= 3 && len(o) >= 4; in3, o = in3[3:], o[4:] {
		v := uint(in3[0])<<16 | uint(in3[1])<<8 | uint(in3[2])
		o[0], o[1], o[2], o[3] = base64Text[v>>18], base64Text[v>>12&63], base64Text[v>>6&63], base64Text[v&63]
	}
	v := uint(sum[18])<<8 | uint(sum[19])
	out[24], out[25], out[26], out[27] = base64Text[v>>10], base64Text[v>>4&63], base64Text[v<<2&63], '='
	return append(dst, out[:]...)
}
