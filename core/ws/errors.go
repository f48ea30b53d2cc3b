package ws

import "fmt"

// PeerError says how the peer broke RFC 6455, or which limit it passed, and with
// which code the connection is to be closed. The values are fixed, so that a
// hostile peer costs no allocation.
type PeerError struct {
	Code    CloseCode
	Text    string
	Section string // of RFC 6455; empty: it is about something else
}

func (e *PeerError) Error() string {
	if e.Section == "" {
		return fmt.Sprintf("ws: %s (close code %d)", e.Text, e.Code)
	}
	return fmt.Sprintf("ws: %s (close code %d, RFC 6455 %s)", e.Text, e.Code, e.Section)
}

// The errors of Decoder.Next.
var (
	ErrOpcode       = &PeerError{CloseProtocolError, "reserved opcode", "5.2"}
	ErrRSV          = &PeerError{CloseProtocolError, "reserved bit set", "5.2"}
	ErrLength       = &PeerError{CloseProtocolError, "length not in its shortest form", "5.2"}
	ErrUnmasked     = &PeerError{CloseProtocolError, "client frame without a mask", "5.1"}
	ErrMasked       = &PeerError{CloseProtocolError, "srv mask", "5.1"}
	ErrContinuation = &PeerError{CloseProtocolError, "continuation of nothing", "5.4"}
	ErrInterleaved  = &PeerError{CloseProtocolError, "new message inside an unfinished one", "5.4"}
	ErrFragControl  = &PeerError{CloseProtocolError, "fragmented control frame", "5.5"}
	ErrLongControl  = &PeerError{CloseProtocolError, "control frame over 125 bytes", "5.5"}
	ErrClosePayload = &PeerError{CloseProtocolError, "close frame of one byte", "5.5.1"}
	ErrCloseCode    = &PeerError{CloseProtocolError, "illegal close code", "7.4"}
	ErrUTF8         = &PeerError{CloseInvalidPayload, "text is not UTF-8", "8.1"}
	ErrCloseUTF8    = &PeerError{CloseInvalidPayload, "close reason is not UTF-8", "8.1"}
	ErrFrameSize    = &PeerError{CloseTooBig, "frame over the limit", "7.4.1"}
	ErrMessageSize  = &PeerError{CloseTooBig, "message over the limit", "7.4.1"}
)

// peerErrors are all of them, so that a decoder need keep only a number.
var peerErrors = [...]*PeerError{
	ErrOpcode,
	ErrRSV,
	ErrLength,
	ErrUnmasked,
	ErrMasked,
	ErrContinuation,
	ErrInterleaved,
	ErrFragControl,
	ErrLongControl,
	ErrClosePayload,
	ErrCloseCode,
	ErrUTF8,
	ErrCloseUTF8,
	ErrFrameSize,
	ErrMessageSize,
}
