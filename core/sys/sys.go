// Package sys makes the system calls that core needs, and counts them, so that
// tests and users can say exactly what a message costs. It knows nothing of
// connections or protocols.
//
// Linux and the BSDs (with macOS) are implemented; elsewhere everything compiles
// and answers ErrUnsupported.
package sys

import (
	"errors"
	"time"
)

// ErrUnsupported says that this operating system has no implementation here.
var ErrUnsupported = errors.New("sys: not supported on this operating system")

// Counts counts system calls and bytes, plainly: for one thread.
type Counts struct {
	Reads    uint64 // read
	Writes   uint64 // write
	Writevs  uint64 // writev
	Accepts  uint64 // accept, also those that found nothing
	Peeks    uint64 // recv with MSG_PEEK
	Closes   uint64
	BytesIn  uint64
	BytesOut uint64
}

// IO makes the system calls of one service thread and counts them. Loop thread
// only.
type IO struct {
	Counts
	name [128]byte // of the peer of an accepted connection (struct sockaddr_storage)
}

// Now returns the time; the only place of core that asks for it.
func Now() time.Time { return time.Now() }
