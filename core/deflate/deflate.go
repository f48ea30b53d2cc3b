// Package deflate is permessage-deflate (RFC 7692), the compression of WebSocket
// messages, for either side. Bytes in, bytes out: no I/O, no clock, no goroutine.
//
// [Policy] negotiates it: Accept is the server's part, Offer and Confirm are the
// client's. [Reader] inflates the messages that come, [Writer] deflates those
// that go; what they need only while working is the caller's (flate.Tables,
// flate.Matchers).
//
//	deflate.go  what was agreed, and what we are willing to agree to
//	list.go     the grammar of Sec-WebSocket-Extensions
//	accept.go   the server's half of the negotiation
//	offer.go    the client's half
//	reader.go   inflating, within limits
//	writer.go   deflating
package deflate

import (
	"strconv"

	"anyloop/core/flate"
)

// Name is the extension's name in Sec-WebSocket-Extensions.
const Name = "permessage-deflate"

// The names of its parameters (RFC 7692 7.1).
const (
	serverNoTakeover = "server_no_context_takeover"
	clientNoTakeover = "client_no_context_takeover"
	serverBits       = "server_max_window_bits"
	clientBits       = "client_max_window_bits"
)

// defaultBits is a window of 4 KiB: most messages are shorter, and an eighth of
// the memory does nearly as well.
const defaultBits = 12

// minAsked is the least window we ask a peer to keep to. zlib cannot deflate
// with 8 bits, and either refuses, or takes 9 without saying so.
const minAsked = 9

// Params is what both sides agreed to. What the server sends is compressed with
// a window of 1<<ServerBits bytes, what the client sends with 1<<ClientBits; both
// are always 8 to 15. Without takeover a side forgets its window after each
// message.
type Params struct {
	ServerNoTakeover, ClientNoTakeover bool
	ServerBits, ClientBits             int
}

// Policy is what we are willing to do. The zero value is windows of 4 KiB and no
// takeover. It is only read: any goroutine may use it.
type Policy struct {
	// Takeover lets both directions keep their windows from message to message,
	// unless the peer wants otherwise. Without it neither does: a peer that
	// insists on keeping its own is turned down.
	Takeover bool
	// Bits bounds the window of what we send, 8 to 15; 0 means 12. The peer may
	// ask for less.
	Bits int
	// PeerBits is what the peer is asked to bound its window to, 9 to 15; 0
	// means 12, and 8 counts as 9, because zlib cannot do 8. It is a wish: a
	// peer that does not let itself be asked has 15.
	PeerBits int
}

func (p *Policy) bits() int { return within(p.Bits, flate.MinBits) }

func (p *Policy) peerBits() int { return within(p.PeerBits, minAsked) }

func within(bits, least int) int {
	if bits == 0 {
		return defaultBits
	}
	return min(max(bits, least), flate.MaxBits)
}

// appendExtension appends an offer or an answer; a window of 0 is left out.
func appendExtension(b []byte, p Params) []byte {
	b = append(b, Name...)
	if p.ServerNoTakeover {
		b = append(append(b, "; "...), serverNoTakeover...)
	}
	if p.ClientNoTakeover {
		b = append(append(b, "; "...), clientNoTakeover...)
	}
	b = appendBits(b, serverBits, p.ServerBits)
	return appendBits(b, clientBits, p.ClientBits)
}

func appendBits(b []byte, name string, bits int) []byte {
	if bits == 0 {
		return b
	}
	b = append(append(b, "; "...), name...)
	return strconv.AppendInt(append(b, '='), int64(bits), 10)
}
