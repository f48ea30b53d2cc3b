package tlsio

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// ErrAgain says that no complete record is left: feed more. It is compared by
// identity.
var ErrAgain error = again{}

// again is to crypto/tls what a read deadline is: an error that it recovers
// from. That rests on Temporary today; Timeout is for the day when it does not.
type again struct{}

func (again) Error() string   { return "tlsio: no complete record" }
func (again) Timeout() bool   { return true }
func (again) Temporary() bool { return true }

// ErrAborted is what a session ends with by Abort.
var ErrAborted = errors.New("tlsio: session aborted")

// ErrNotComplete says that Read or Write was called before the handshake was
// complete.
var ErrNotComplete = errors.New("tlsio: handshake not complete")

// ErrClosed is what Write returns after CloseNotify.
var ErrClosed = errors.New("tlsio: written after close_notify")

// ErrGoexit is what a handshake ends with if a callback calls runtime.Goexit,
// unless that takes the caller with it: see Options.Coroutine.
var ErrGoexit = errors.New("tlsio: a callback ended its goroutine")

// errHeader ends a session whose crypto/tls does not refuse a header that
// hopeless says it does: there is none that is known.
var errHeader = errors.New("tlsio: record refused by its header")

// PanicError is what a session ends with if a callback of its tls.Config, or a
// job, panics.
type PanicError struct {
	Value any    // what was given to panic
	Stack []byte // of the goroutine, at the panic
}

func (e *PanicError) Error() string { return fmt.Sprintf("tlsio: panic in a callback: %v", e.Value) }

// Unwrap returns the value that was given to panic if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// caught is deferred around user code: it makes an error of a panic.
func caught(err *error) {
	if v := recover(); v != nil {
		*err = &PanicError{Value: v, Stack: debug.Stack()}
	}
}
