package ws

import (
	"encoding/base64"
	"fmt"

	"anyloop/core/header"
)

// AppendKey appends the Sec-WebSocket-Key for a nonce: 16 bytes that the caller
// chose at random for this connection (RFC 6455 4.1).
func AppendKey(dst []byte, nonce [16]byte) []byte {
	return base64.StdEncoding.AppendEncode(dst, nonce[:])
}

// ValidAccept reports whether a Sec-WebSocket-Accept is the right one for the key
// that was sent.
func ValidAccept(key, accept []byte) bool {
	var want [28]byte
	return len(key) == keySize && string(AppendAccept(want[:0], key)) == string(accept)
}

// HandshakeError says what is wrong with the server's half of the opening
// handshake: the connection is no WebSocket (RFC 6455 4.1).
type HandshakeError struct {
	Status  int // what came instead of 101; 0 if something else is wrong
	Text    string
	Section string // of RFC 6455
}

func (e *HandshakeError) Error() string {
	if e.Status != 0 {
		return fmt.Sprintf("ws: handshake: %s: status %d (RFC 6455 %s)", e.Text, e.Status, e.Section)
	}
	return fmt.Sprintf("ws: handshake: %s (RFC 6455 %s)", e.Text, e.Section)
}

// The errors of CheckAnswer and CheckOffer, except that of a status.
var (
	ErrNoUpgrade     = &HandshakeError{Text: "upgrade missing", Section: "4.1"}
	ErrUpgrade       = &HandshakeError{Text: "upgrade is not websocket", Section: "4.1"}
	ErrNoConnection  = &HandshakeError{Text: "connection missing", Section: "4.1"}
	ErrConnection    = &HandshakeError{Text: "connection is not upgrade", Section: "4.1"}
	ErrNoAccept      = &HandshakeError{Text: "accept missing", Section: "4.1"}
	ErrAccept        = &HandshakeError{Text: "accept hash wrong", Section: "4.1"}
	ErrManyAccepts   = &HandshakeError{Text: "accept repeated", Section: "11.3.3"}
	ErrExtension     = &HandshakeError{Text: "extension that was not offered", Section: "4.1"}
	ErrProtocol      = &HandshakeError{Text: "protocol that was not offered", Section: "4.1"}
	ErrManyProtocols = &HandshakeError{Text: "protocol repeated", Section: "11.3.4"}
	ErrProtocolOffer = &HandshakeError{Text: "offered protocol is not a token, or is offered twice", Section: "4.1"}
)

// CheckOffer returns ErrProtocolOffer if these subprotocols cannot be offered (RFC
// 6455 4.1, item 10).
func CheckOffer(protocols []string) error {
	for i, p := range protocols {
		if !header.IsToken(p) {
			return ErrProtocolOffer
		}
		for _, q := range protocols[:i] {
			if p == q {
				return ErrProtocolOffer
			}
		}
	}
	return nil
}

// Asked is what a client asked for in its half of the handshake.
type Asked struct {
	Key        []byte   // the Sec-WebSocket-Key
	Protocols  []string // offered, in order
	Extensions bool     // at least one was offered
}

// CheckAnswer compares a complete response with what was asked (RFC 6455 4.1,
// items 1 to 6 behind the request). protocol is the chosen one of those offered,
// "" if the server chose none. Whether the extensions that the server names are
// those that were offered the caller finds out; if none was offered, there may be
// none. The error is a *HandshakeError.
func CheckAnswer(status int, t *header.Table, asked *Asked) (protocol string, err error) {
	if status != 101 {
		return "", &HandshakeError{Status: status, Text: "the server did not upgrade", Section: "4.1"}
	}
	if err := checkUpgrade(t); err != nil {
		return "", err
	}
	accept, ok := t.Fragment("sec-websocket-accept", 0)
	_, twice := t.Fragment("sec-websocket-accept", 1)
	switch {
	case !ok:
		return "", ErrNoAccept
	case twice:
		return "", ErrManyAccepts
	case !ValidAccept(asked.Key, accept):
		return "", ErrAccept
	}
	if _, any := t.Fragment("sec-websocket-extensions", 0); any && !asked.Extensions {
		return "", ErrExtension
	}
	return chosen(t, asked.Protocols)
}

// checkUpgrade: Upgrade has to be "websocket" and nothing else, Connection has to
// name "upgrade" among what it names.
func checkUpgrade(t *header.Table) error {
	upgrade, ok := t.Fragment("upgrade", 0)
	_, twice := t.Fragment("upgrade", 1)
	switch {
	case !ok:
		return ErrNoUpgrade
	case twice || !header.EqualFold(upgrade, "websocket"):
		return ErrUpgrade
	}
	named := false
	for v := range t.Values("connection") {
		if header.HasToken(v, "upgrade") {
			return nil
		}
		named = true
	}
	if !named {
		return ErrNoConnection
	}
	return ErrConnection
}

// chosen returns the subprotocol that the server chose. Names are compared byte
// by byte: case counts (RFC 6455 4.1 says of the others that it does not).
func chosen(t *header.Table, offered []string) (string, error) {
	name, ok := t.Fragment("sec-websocket-protocol", 0)
	if !ok {
		return "", nil
	}
	if _, twice := t.Fragment("sec-websocket-protocol", 1); twice {
		return "", ErrManyProtocols
	}
	for _, p := range offered {
		if p == string(name) {
			return p, nil
		}
	}
	return "", ErrProtocol
}
