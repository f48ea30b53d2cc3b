//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// Doorbell is a descriptor that any goroutine can make readable. Ringing it
// again before it is cleared costs no system call.
type Doorbell struct {
	r, w int
	rung atomic.Bool
}

// FD returns the descriptor to watch for reading.
func (d *Doorbell) FD() int { return d.r }

// Ring makes it readable. Any goroutine, not after Close.
func (d *Doorbell) Ring() {
	if d.rung.Swap(true) {
		return
	}
	for {
		_, err := unix.Write(d.w, ringValue)
		if err != unix.EINTR {
			return // EAGAIN: it is readable already
		}
	}
}

// Clear makes it quiet. What was rung before Clear returns has been heard; a
// Ring after it makes it readable again.
func (d *Doorbell) Clear() {
	var b [64]byte
	for {
		n, err := unix.Read(d.r, b[:])
		if err == unix.EINTR {
			continue
		}
		if err != nil || n < len(b) {
			break
		}
	}
	// Last, so that a Ring between the read and here is not lost: it sees
	// rung still set and writes nothing, but its cause is older than this
	// store, and the caller looks for causes after Clear.
	d.rung.Store(false)
}

// Close closes its descriptors.
func (d *Doorbell) Close() error {
	err := unix.Close(d.r)
	if d.w != d.r {
		if e := unix.Close(d.w); err == nil {
			err = e
		}
	}
	return err
}
