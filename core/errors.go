package core

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"
)

// Misuse: the caller broke a rule of this package. Nothing was done.
var (
	ErrNoBackend        = errors.New("core: the Backend is nil; use loops/poll's Backend() or another of loops/*")
	ErrNoVHost          = errors.New("core: the vhost is nil; has the engine one of that name?")
	ErrOtherEngine      = errors.New("core: the vhost is of another engine")
	ErrForeignLoop      = errors.New("core: this backend's loop is turned by its owner, not by Run")
	ErrConnClosed       = errors.New("core: the connection is closed")
	ErrAlreadyWritten   = errors.New("core: illegal back-to-back write: one write per Writable callback")
	ErrWriterExpired    = errors.New("core: a writer is valid only during the Writable callback it was given to")
	ErrTooLong          = errors.New("core: longer than Limits.WriteLimit")
	ErrMessageOrder     = errors.New("core: a new message was begun inside an unfinished one, or a continuation without one")
	ErrHeadWritten      = errors.New("core: the response head is already written")
	ErrHeadNotWritten   = errors.New("core: the response head is not written yet")
	ErrResponseEnded    = errors.New("core: the response has already ended")
	ErrBodyNotAllowed   = errors.New("core: this response has no body (HEAD, 1xx, 204 or 304)")
	ErrContentLength    = errors.New("core: the body does not match its content-length")
	ErrHeaderForbidden  = errors.New("core: a connection-level header (connection, transfer-encoding, ...) is set by the library")
	ErrHeaderSyntax     = errors.New("core: a header name or value has illegal bytes")
	ErrStatus           = errors.New("core: not a final status code (200 to 599)")
	ErrFull             = errors.New("core: the queue is full")
	ErrStopped          = errors.New("core: the engine has stopped")
	ErrWouldDeadlock    = errors.New("core: Shutdown on a loop thread would wait for itself; use Stop")
	ErrUnknownProtocol  = errors.New("core: no such protocol on this vhost")
	ErrOverlap          = errors.New("core: two calls into one service thread overlap")
	ErrWrongThread      = errors.New("core: a loop-thread-only call came from another goroutine")
	ErrLoopCallback     = errors.New("core: a loop callback (add, change, del) called back into core")
	ErrAttached         = errors.New("core: the engine is already attached to a loop")
	ErrReservedCode     = errors.New("core: this close code may not be sent")
	ErrControlTooLong   = errors.New("core: a control frame carries at most 125 bytes")
	ErrRunning          = errors.New("core: Run was already called")
	ErrDetached         = errors.New("core: the engine is detached; Attach it to a loop first")
	ErrNotHTTP          = errors.New("core: not an HTTP transaction")
	errHandlerUndecided = errors.New("core: the handler let the request pass without an answer")
)

// ErrRemoved says that the vhost has been removed. It is an ErrStopped, too, for those
// who need not know whether one vhost or the whole engine has ended.
var ErrRemoved error = &removed{}

type removed struct{}

func (*removed) Error() string { return "core: the vhost has been removed" }
func (*removed) Unwrap() error { return ErrStopped }

// ErrDrop, returned by a handler, closes the connection without a closing
// handshake: no Close frame, no status page.
var ErrDrop = errors.New("core: dropped by the handler")

// CloseError, returned by a handler, closes a WebSocket with this code and
// text (at most 123 bytes of it are sent); on HTTP it ends the connection. In
// Closed it is what ended the connection: see Remote.
type CloseError struct {
	Code   int
	Text   string
	Remote bool // the peer sent it
}

func (e *CloseError) Error() string {
	who := "closed here"
	if e.Remote {
		who = "closed by the peer"
	}
	if e.Text == "" {
		return fmt.Sprintf("core: %s with code %d", who, e.Code)
	}
	return fmt.Sprintf("core: %s with code %d %q", who, e.Code, e.Text)
}

// TransportError says that the wire broke.
type TransportError struct {
	Op  string // "read", "write", "accept", "add", "tls"
	Err error  // what the operating system or the loop said
}

func (e *TransportError) Error() string { return "core: " + e.Op + ": " + bare(e.Err.Error()) }
func (e *TransportError) Unwrap() error { return e.Err }

// errReset is how most connections end that end without a goodbye.
var errReset = &TransportError{Op: "read", Err: syscall.ECONNRESET}

// errPeerGone is a TransportError for an end of stream without a goodbye.
var errPeerGone = &TransportError{Op: "read", Err: errors.New("the peer closed the connection")}

// LimitError says that one of our limits ended the connection.
type LimitError struct {
	Limit string        // the field of Limits, e.g. "HandshakeTimeout"
	After time.Duration // for a time limit
}

func (e *LimitError) Error() string {
	if e.After > 0 {
		return fmt.Sprintf("core: %s: %v have passed", e.Limit, e.After)
	}
	return "core: " + e.Limit + " exceeded"
}

// PanicError says that a handler panicked; the connection was closed with code
// 1011 or status 500, and the stack was logged.
type PanicError struct {
	Callback string // e.g. "Receive"
	Value    any
}

func (e *PanicError) Error() string {
	return fmt.Sprintf("core: panic in %s: %v", e.Callback, e.Value)
}

// errShutdown and errGoodbye are what Closed reports when the engine stops, or the
// vhost is removed.
var (
	errShutdown = fmt.Errorf("core: closed by Stop: %w", plain{ErrStopped})
	errGoodbye  = fmt.Errorf("core: closed by Remove: %w", plain{ErrRemoved})
)

// farewell is why this thread ends links in good order: for one vhost, or for all.
func (th *Thread) farewell() error {
	if th.end.phase == endNot {
		return errGoodbye
	}
	return errShutdown
}

// plain is an error inside a text that begins with a prefix already: it goes without its
// own.
type plain struct{ error }

func (p plain) Error() string { return bare(p.error.Error()) }
func (p plain) Unwrap() error { return p.error }

// bare is a text without the names of packages that it begins with.
func bare(text string) string {
	for {
		name, rest, ok := strings.Cut(text, ": ")
		switch name {
		case "core", "deflate", "h1", "socks", "sys", "tls", "tlsio", "ws", "x509":
		default:
			return text
		}
		if !ok {
			return text
		}
		if text = rest; name == "ws" {
			text = strings.TrimPrefix(text, "handshake: ")
		}
	}
}
