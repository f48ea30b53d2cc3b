// Package ws is the framing of RFC 6455: bytes in, events and bytes out, for
// either side. It does no I/O and reads no clock; it resumes at every byte
// boundary.
//
// [Decoder] pulls events out of received bytes, unmasking in place. The Append
// functions write frames. What a handler or a link does with them is core's
// business.
package ws

// Side says which end of the connection we are.
type Side uint8

const (
	// Server reads masked frames and sends unmasked ones.
	Server Side = iota
	// Client reads unmasked frames and sends masked ones.
	Client
)

// Opcode is a frame's opcode (RFC 6455 5.2).
type Opcode uint8

// The opcodes that RFC 6455 defines.
const (
	Continuation Opcode = 0x0
	Text         Opcode = 0x1
	Binary       Opcode = 0x2
	Close        Opcode = 0x8
	Ping         Opcode = 0x9
	Pong         Opcode = 0xa
)

// IsControl reports whether op is a control opcode, defined or not (RFC 6455
// 5.5: the most significant bit of the opcode).
func (op Opcode) IsControl() bool { return op&0x8 != 0 }

var opNames = [16]string{0: "continuation", 1: "text", 2: "binary", 8: "close", 9: "ping", 10: "pong"}

func (op Opcode) String() string {
	if s := opNames[op&0xf]; s != "" {
		return s
	}
	return "reserved"
}

// Limits is shared by the decoders of a vhost, and does not change while in use.
type Limits struct {
	MaxFrame   int64 // bytes of a frame's payload; 0: 256 MiB
	MaxMessage int64 // bytes of a message, over all its fragments, of a compressed one an eighth and 64 more; 0: none
	RxPiece    int   // bytes of a piece handed out; 0: as much as is there
	NoUTF8     bool  // text and close reasons are not checked
	RSV1       bool  // an extension owns RSV1 on the first frame of a message
}

const defaultMaxFrame = 256 << 20

// Kind is what an Event is.
type Kind uint8

const (
	// None: more bytes are needed.
	None Kind = iota
	// Data is a piece of a message.
	Data
	// KindPing, KindPong and KindClose are whole control frames.
	KindPing
	KindPong
	KindClose
)

// Event is what the decoder found.
type Event struct {
	Payload   []byte    // a part of what was passed in, unmasked; of a Close, the reason
	Remaining int64     // Data: bytes of the frame still to come
	Code      CloseCode // KindClose: CloseNoStatus if the frame was empty
	Kind      Kind
	Op        Opcode // Data: Text or Binary, what the message began with
	First     bool   // Data: the first piece of the message
	Final     bool   // Data: the last piece of the message
	// Compressed: RSV1 was set on the message's first frame.
	Compressed bool
}

// CloseCode is the status code of a Close frame (RFC 6455 7.4).
type CloseCode uint16

// The codes of RFC 6455 7.4.1 and of the IANA registry.
const (
	CloseNormal             CloseCode = 1000
	CloseGoingAway          CloseCode = 1001
	CloseProtocolError      CloseCode = 1002
	CloseUnsupported        CloseCode = 1003
	CloseNoStatus           CloseCode = 1005 // never on the wire
	CloseAbnormal           CloseCode = 1006 // never on the wire
	CloseInvalidPayload     CloseCode = 1007
	ClosePolicy             CloseCode = 1008
	CloseTooBig             CloseCode = 1009
	CloseMandatoryExtension CloseCode = 1010
	CloseInternalError      CloseCode = 1011
	CloseServiceRestart     CloseCode = 1012
	CloseTryAgainLater      CloseCode = 1013
	CloseBadGateway         CloseCode = 1014
	CloseTLSHandshake       CloseCode = 1015 // never on the wire
)

var codeNames = map[CloseCode]string{
	CloseNormal: "normal closure", CloseGoingAway: "going away", CloseProtocolError: "protocol error",
	CloseUnsupported: "unsupported data", CloseNoStatus: "no status", CloseAbnormal: "abnormal closure",
	CloseInvalidPayload: "invalid payload", ClosePolicy: "policy violation", CloseTooBig: "message too big",
	CloseMandatoryExtension: "mandatory extension", CloseInternalError: "internal error",
	CloseServiceRestart: "service restart", CloseTryAgainLater: "try again later",
	CloseBadGateway: "bad gateway", CloseTLSHandshake: "tls handshake",
}

func (c CloseCode) String() string {
	if s := codeNames[c]; s != "" {
		return s
	}
	return "private or unknown"
}

// Valid reports whether a peer may send the code: those of RFC 6455 7.4.1 that
// may be on the wire, 1012 to 1014 of the IANA registry, and the ranges for
// libraries (3000) and applications (4000) of 7.4.2.
func (c CloseCode) Valid() bool {
	switch {
	case c >= 1000 && c <= 1014:
		return c != 1004 && c != CloseNoStatus && c != CloseAbnormal
	case c >= 3000 && c <= 4999:
		return true
	}
	return false
}

// Sendable reports whether we may send the code.
func (c CloseCode) Sendable() bool { return c.Valid() }
