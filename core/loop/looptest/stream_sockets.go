//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package looptest

import (
	"errors"
	"fmt"
	"io"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/sys"
)

// Nested is what MockHost needs of a nested loop, which watches the descriptors
// that core keeps for itself: poll.Loop has it.
type Nested interface {
	FD() int
	Pass(max int) (n int, err error)
}

// MockHost returns a host whose engine is a Mock over real sockets. inner is a
// nested backend, and turn returns its loop once it is open.
func MockHost(mode MockMode, inner loop.Backend, turn func() Nested) StreamHost {
	o := &osSockets{}
	b := &mockBackend{Backend: inner, m: NewMock(mode, o), os: o}
	return StreamHost{
		Host:  Host{Backend: b, Run: func(e *core.Engine) error { return b.run(e, turn) }},
		NoEOF: mode.NoEOF, NoPause: mode.NoPause, NoCloseWrite: mode.NoCloseWrite, Steals: mode.StealAt > 0,
		Unsent: 2 << 20,
	}
}

// mockBackend is a Mock as a backend.
type mockBackend struct {
	loop.Backend
	m  *Mock
	os *osSockets
}

var _ loop.Acceptor = (*mockBackend)(nil)

// Info implements loop.Backend.
func (b *mockBackend) Info() loop.Info {
	return loop.Info{Name: "mock-stream", Tier: loop.Bytes, Foreign: true}
}

// Listen implements loop.Acceptor.
func (b *mockBackend) Listen(network, address string, accept acceptFunc) (string, io.Closer, error) {
	return b.m.Listen(network, address, accept)
}

// run turns the engine, and core whenever the nested loop is ready, until core
// has ended; then it closes what is left, as an engine does that ends.
func (b *mockBackend) run(e *core.Engine, turn func() Nested) error {
	for e.Thread(0).Hosted() {
		timeout := -1
		if b.m.Turn() || b.m.mode.Spurious {
			timeout = 0
		}
		if !e.Thread(0).Hosted() {
			break
		}
		fds := b.interest([]unix.PollFd{{Fd: int32(turn().FD()), Events: unix.POLLIN}})
		if _, err := unix.Poll(fds, timeout); err != nil && err != unix.EINTR {
			return fmt.Errorf("looptest: %w", err)
		}
		if fds[0].Revents == 0 {
			continue
		}
		if _, err := turn().Pass(8); err != nil {
			return err
		}
	}
	for _, c := range append([]*mockConn(nil), b.m.conns...) {
		c.release()
	}
	if len(b.m.wrong) > 0 {
		return errors.New("looptest: mock engine: " + b.m.wrong[0])
	}
	return nil
}

// interest is what the engine waits for.
func (b *mockBackend) interest(fds []unix.PollFd) []unix.PollFd {
	for _, l := range b.m.listeners {
		fds = append(fds, unix.PollFd{Fd: int32(l.fd), Events: unix.POLLIN})
	}
	for _, c := range b.m.conns {
		ev := int16(0)
		if !c.read && (c.welcome() || c.m.mode.StealAt > len(c.in)) {
			ev |= unix.POLLIN
		}
		if len(c.out) > 0 || len(c.held) > 0 {
			ev |= unix.POLLOUT
		}
		if ev != 0 {
			fds = append(fds, unix.PollFd{Fd: int32(c.fd), Events: ev})
		}
	}
	return fds
}

// osSockets is the sockets of the operating system.
type osSockets struct{ io sys.IO }

// Listen implements Sockets.
func (o *osSockets) Listen(network, address string) (int, string, error) {
	fds, bound, err := sys.ListenAll(sys.ListenOptions{Network: network, Address: address})
	if err != nil {
		return -1, "", err
	}
	for _, fd := range fds[1:] {
		o.io.Close(fd)
	}
	return fds[0], bound, nil
}

// Accept implements Sockets.
func (o *osSockets) Accept(fd int) (int, string, error) {
	nfd, peer, e := o.io.Accept(fd)
	if e != 0 {
		return -1, "", e
	}
	// The system's own buffer is to be full soon.
	if err := unix.SetsockoptInt(nfd, unix.SOL_SOCKET, unix.SO_SNDBUF, 256<<10); err != nil {
		o.io.Close(nfd)
		return -1, "", err
	}
	if sys.IsTCP(nfd) {
		sys.SetNoDelay(nfd, true)
	}
	return nfd, peer.String(), nil
}

// Read implements Sockets.
func (o *osSockets) Read(fd int, p []byte) (int, error) {
	n, e := o.io.Read(fd, p)
	if e != 0 {
		return 0, e
	}
	return n, nil
}

// Write implements Sockets.
func (o *osSockets) Write(fd int, head, tail []byte) (int, error) {
	n, e := o.io.Write(fd, head, tail)
	if e != 0 {
		return n, e
	}
	return n, nil
}

// CloseWrite implements Sockets.
func (o *osSockets) CloseWrite(fd int) error { return o.io.CloseWrite(fd) }

// Close implements Sockets.
func (o *osSockets) Close(fd int) error { return o.io.Close(fd) }

// Dup duplicates a descriptor for core to take over.
func (o *osSockets) Dup(fd int) (int, error) {
	nfd, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return nfd, nil
}
