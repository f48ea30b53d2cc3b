package looptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"slices"
	"syscall"

	"anyloop/core/loop"
)

// MockMode says what kind of engine a Mock is. The zero value is a plain one: it
// copies what it is given, up to 64 KiB per connection, and can do everything but
// steal.
type MockMode struct {
	// Mark is how many bytes it takes of a connection before some are sent;
	// 0: 65536.
	Mark int
	// Piece is how many bytes it receives, sends and feeds at a time; 0: 16384.
	Piece int
	// Overwrites loses what is pending if it is written to after a short count.
	Overwrites bool
	// Holds makes it a completion engine, which sends from what it is given.
	Holds bool
	// Inside reports Room, Sent and Closed from inside core's calls if it can.
	Inside bool
	// Late calls Closed that many turns after Close.
	Late int
	// LateFeeds is how many more pieces it feeds after PauseInput(true).
	LateFeeds int
	// Spurious says Room in every turn.
	Spurious bool
	// StealAt takes a connection that is paused out of the engine when that
	// many bytes have been received for it; 0: never.
	StealAt int
	// NoEOF ends a connection whose peer half-closes.
	NoEOF bool
	// NoPause feeds paused connections.
	NoPause bool
	// NoCloseWrite cannot half-close.
	NoCloseWrite bool
	// Fresh receives into memory of its own each time and never touches that
	// again, which is more than the contract asks for.
	Fresh bool
	// Random leaves out any step of a turn now and then.
	Random *rand.Rand
}

// Sockets is what a Mock engine stands on: non-blocking sockets, with the
// meaning of loop.Kernel.
type Sockets interface {
	Listen(network, address string) (fd int, bound string, err error)
	Accept(fd int) (nfd int, peer string, err error)
	Read(fd int, p []byte) (n int, err error)
	Write(fd int, head, tail []byte) (n int, err error)
	CloseWrite(fd int) error
	Close(fd int) error
}

// Mock is an engine that owns its sockets, for tests: it listens, accepts and
// moves bytes, in the ways of real engines and in worse ones. It is turned by
// Turn. One goroutine at a time.
type Mock struct {
	mode      MockMode
	net       Sockets
	listeners []*mockListener
	conns     []*mockConn
	buf       []byte
	wrong     []string
}

type acceptFunc = func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)

type mockListener struct {
	m      *Mock
	fd     int
	accept acceptFunc
}

// NewMock returns an engine over sockets.
func NewMock(mode MockMode, on Sockets) *Mock {
	if mode.Mark == 0 {
		mode.Mark = 64 << 10
	}
	if mode.Piece == 0 {
		mode.Piece = 16 << 10
	}
	return &Mock{mode: mode, net: on, buf: make([]byte, mode.Piece)}
}

// Listen has the shape of loop.Acceptor's.
func (m *Mock) Listen(network, address string, accept acceptFunc) (string, io.Closer, error) {
	fd, bound, err := m.net.Listen(network, address)
	if err != nil {
		return "", nil, err
	}
	l := &mockListener{m, fd, accept}
	m.listeners = append(m.listeners, l)
	return bound, l, nil
}

// Close implements io.Closer.
func (l *mockListener) Close() error {
	m := l.m
	m.listeners = slices.DeleteFunc(m.listeners, func(x *mockListener) bool { return x == l })
	return m.net.Close(l.fd)
}

// Conns returns the number of connections that it has not let go of.
func (m *Mock) Conns() int { return len(m.conns) }

// Wrong returns what it has noticed of core's: memory that was changed while it
// was held.
func (m *Mock) Wrong() []string { return m.wrong }

// skips decides whether a step is left out this time.
func (m *Mock) skips() bool { return m.mode.Random != nil && m.mode.Random.IntN(3) == 0 }

// piece is how much is moved at a time.
func (m *Mock) piece() int {
	if m.mode.Random != nil {
		return 1 + m.mode.Random.IntN(m.mode.Piece)
	}
	return m.mode.Piece
}

// Turn is one turn of the engine: it accepts all that waits, and moves a piece
// of each connection each way. It reports whether anything was done.
func (m *Mock) Turn() bool {
	any := false
	for _, l := range slices.Clone(m.listeners) {
		any = l.acceptAll() || any
	}
	for _, c := range slices.Clone(m.conns) {
		any = c.turn() || any
	}
	return any
}

func (l *mockListener) acceptAll() bool {
	any := false
	for {
		fd, peer, err := l.m.net.Accept(l.fd)
		if err != nil {
			return any
		}
		any = true
		if err := l.m.take(fd, peer, l.accept); err != nil {
			l.m.net.Close(fd)
		}
	}
}

// take offers a connection to core.
func (m *Mock) take(fd int, peer string, accept acceptFunc) error {
	c := &mockConn{m: m, fd: fd}
	var s loop.Stream = c
	if m.mode.Holds {
		s = &mockHolder{c}
	}
	sc, err := accept(0, s, peer)
	if err != nil {
		return err
	}
	c.sc = sc
	m.conns = append(m.conns, c)
	return nil
}

// mockConn is one connection of the engine.
type mockConn struct {
	m  *Mock
	fd int
	sc loop.StreamConn

	out    []byte // taken, not sent
	choked bool   // a short count was given
	held   []byte // by reference, not sent
	copied []byte // what it should be

	in     []byte // received, not fed
	paused bool
	after  int  // pieces fed since
	read   bool // the end was received
	told   bool // and told
	fin    bool // CloseWrite was called
	ended  bool // and done

	closing bool
	wait    int // turns until Closed
	gone    bool
}

// Write implements loop.Stream.
func (c *mockConn) Write(head, tail []byte) (int, error) {
	if c.gone {
		return 0, syscall.EPIPE
	}
	mode := &c.m.mode
	room := mode.Mark - len(c.out)
	if mode.Overwrites {
		if c.choked {
			c.out = nil // what the contract is there to prevent
		} else if len(c.out) > 0 {
			room = 0
		}
	}
	n := 0
	for _, p := range [2][]byte{head, tail} {
		k := min(len(p), max(room-n, 0))
		c.out = append(c.out, p[:k]...)
		n += k
	}
	c.choked = n < len(head)+len(tail)
	if mode.Inside {
		if _, err := c.flush(); err != nil {
			c.drop(err)
			return 0, err
		}
	}
	return n, nil
}

// Buffered implements loop.Stream.
func (c *mockConn) Buffered() int { return len(c.out) }

// PauseInput implements loop.Stream.
func (c *mockConn) PauseInput(on bool) { c.paused, c.after = on, 0 }

// CloseWrite implements loop.Stream.
func (c *mockConn) CloseWrite() error {
	if c.m.mode.NoCloseWrite {
		return errors.ErrUnsupported
	}
	c.fin = true
	return nil
}

// Close implements loop.Stream.
func (c *mockConn) Close() error {
	if c.gone {
		return nil
	}
	c.closing, c.wait = true, c.m.mode.Late
	if c.m.mode.Inside && c.wait == 0 {
		c.drop(nil)
	}
	return nil
}

// drop lets go of the connection.
func (c *mockConn) drop(err error) {
	if c.gone {
		return
	}
	c.release()
	c.sc.Closed(err)
}

// release forgets the connection.
func (c *mockConn) release() {
	m := c.m
	c.gone, c.out = true, nil
	c.unchanged()
	m.conns = slices.DeleteFunc(m.conns, func(x *mockConn) bool { return x == c })
	m.net.Close(c.fd)
}

// unchanged checks what is held.
func (c *mockConn) unchanged() {
	if !bytes.Equal(c.held, c.copied) {
		c.m.wrong = append(c.m.wrong, fmt.Sprintf("%d bytes that the engine holds have changed", len(c.held)))
	}
}

// mockHolder is a connection of a completion engine.
type mockHolder struct{ *mockConn }

// Send implements loop.StreamHolder.
func (c *mockHolder) Send(p []byte) error {
	if c.gone {
		return syscall.EPIPE
	}
	if len(c.held) > 0 {
		c.m.wrong = append(c.m.wrong, "a second Send")
	}
	c.held, c.copied = p, append([]byte(nil), p...)
	if c.m.mode.Inside {
		if _, err := c.sendHeld(); err != nil {
			c.drop(err)
			return err
		}
	}
	return nil
}
