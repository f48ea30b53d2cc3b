package tlsio

import (
	"net"
	"time"
)

// wire is the net.Conn that crypto/tls has of a session.
type wire Session

// Read hands out what is left of the current record, or the next one. It never
// returns 0 without an error, for which crypto/tls would spin, nor io.EOF, which
// would look like close_notify.
func (w *wire) Read(p []byte) (int, error) {
	s := (*Session)(w)
	for len(s.cur) == 0 {
		if s.aborted {
			return 0, ErrAborted
		}
		if s.in.stage == refused {
			return 0, errHeader
		}
		if s.lending {
			return 0, ErrAgain // Session.read lends the next record
		}
		if s.cur = s.in.take(); s.cur != nil {
			break
		}
		if !s.body {
			return 0, ErrAgain
		}
		s.step = WantInput
		if !s.suspend() {
			return 0, ErrAborted
		}
	}
	n := copy(p, s.cur)
	if s.cur = s.cur[n:]; len(s.cur) == 0 {
		s.cur = nil
	}
	return n, nil
}

// Write takes everything: an error would end TLS for good. What is written
// outside of a call, or after Abort, is dropped.
func (w *wire) Write(p []byte) (int, error) {
	if s := (*Session)(w); s.busy && !s.aborted {
		s.out = append(s.out, p...)
	}
	return len(p), nil
}

// Close is for callbacks, which find the wire in tls.ClientHelloInfo.
func (w *wire) Close() error {
	(*Session)(w).Abort()
	return nil
}

// LocalAddr returns that of Options.Owner, if it has one.
func (w *wire) LocalAddr() net.Addr {
	if o, ok := w.owner.(interface{ LocalAddr() net.Addr }); ok {
		return o.LocalAddr()
	}
	return noAddr{}
}

// RemoteAddr returns that of Options.Owner, if it has one.
func (w *wire) RemoteAddr() net.Addr {
	if o, ok := w.owner.(interface{ RemoteAddr() net.Addr }); ok {
		return o.RemoteAddr()
	}
	return noAddr{}
}

// Deadlines are the caller's: crypto/tls sets one around close_notify, which
// never waits here.

func (w *wire) SetDeadline(time.Time) error      { return nil }
func (w *wire) SetReadDeadline(time.Time) error  { return nil }
func (w *wire) SetWriteDeadline(time.Time) error { return nil }

// noAddr is the address of a session whose owner has none.
type noAddr struct{}

func (noAddr) Network() string { return "tlsio" }
func (noAddr) String() string  { return "tlsio" }
