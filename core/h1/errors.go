package h1

import "fmt"

// Error says how a peer broke HTTP, or which limit it passed, and the status to
// answer with (of a response there is nobody to answer). Errors are sticky: the parser that returned one returns it again.
type Error struct {
	Status  int
	Text    string // for logs
	Section string // of the RFC
	// Drop says that the bytes are not HTTP at all: an answer would be noise.
	Drop bool
}

func (e *Error) Error() string {
	return fmt.Sprintf("h1: %s (status %d, %s)", e.Text, e.Status, e.Section)
}

// The errors. A table, so that texts and statuses stand side by side.
var (
	ErrNotHTTP       = &Error{400, "not an HTTP request", "RFC 9112 3", true}
	ErrRequestLine   = &Error{400, "malformed request line", "RFC 9112 3", false}
	ErrLineTooLong   = &Error{414, "request line too long", "RFC 9110 15.5.15", false}
	ErrVersion       = &Error{505, "unsupported HTTP version", "RFC 9110 15.6.6", false}
	ErrTarget        = &Error{400, "malformed request target", "RFC 9112 3.2", false}
	ErrURI           = &Error{403, "forbidden request target", "RFC 3986 2.1", false}
	ErrHeaderSize    = &Error{431, "header fields too large", "RFC 6585 5", false}
	ErrField         = &Error{400, "malformed header field", "RFC 9112 5", false}
	ErrFold          = &Error{400, "obsolete line folding", "RFC 9112 5.2", false}
	ErrBareCR        = &Error{400, "bare CR", "RFC 9112 2.2", false}
	ErrHost          = &Error{400, "Host missing, repeated or malformed", "RFC 9112 3.2", false}
	ErrContentLength = &Error{400, "malformed or repeated content-length", "RFC 9112 6.3", false}
	ErrSmuggling     = &Error{400, "content-length beside transfer-encoding", "RFC 9112 6.1", false}
	ErrTransfer      = &Error{400, "malformed transfer-encoding", "RFC 9112 6.1", false}
	ErrTransferCode  = &Error{501, "unknown transfer coding", "RFC 9112 6.1", false}
	ErrExpect        = &Error{417, "unknown expectation", "RFC 9110 10.1.1", false}
	ErrBodySize      = &Error{413, "body too large", "RFC 9110 15.5.14", false}
	ErrChunk         = &Error{400, "malformed chunk", "RFC 9112 7.1", false}

	// Of a response; the status is what a gateway would answer with.
	ErrNotResponse   = &Error{502, "not an HTTP response", "RFC 9112 4", true}
	ErrStatusLine    = &Error{502, "malformed status line", "RFC 9112 4", false}
	ErrStatusTooLong = &Error{502, "status line too long", "RFC 9112 4", false}
	ErrInterim       = &Error{502, "too many interim responses", "RFC 9110 15.2", false}
	ErrTruncated     = &Error{502, "connection closed inside the message", "RFC 9112 8", false}
)
