//go:build linux || darwin || freebsd

package evioloop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"sync/atomic"
	"time"

	"github.com/tidwall/evio"
	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/sys"
)

// lane is the loop of one service thread of StreamLoops: an evio server with one
// loop, and a bridge into it for what core watches itself.
type lane struct {
	loop.Loop // the bridge's set
	b         *StreamLoops
	thread    int
	s         loop.Service
	bridge    *Bridge
	seat      *seat
	io        sys.IO
	waits     map[int32]*stream // full sockets, watched for room
	entered   atomic.Bool       // Run was called
	inbox     inbox             // connections of threads that are full

	// The server: it listens, and waits at the gate until the engine runs.
	ports  []*port // by address index
	up     chan []net.Addr
	gate   chan bool
	served chan error // nil: there is no server
}

// Rearm implements loop.Rearmer.
func (ln *lane) Rearm() { ln.seat.Rearm() }

// restart makes the server listen on what the ports are now.
func (ln *lane) restart() error {
	ln.cancel()
	return ln.listen()
}

// listen starts a server and returns when it listens.
func (ln *lane) listen() error {
	ln.ports = nil
	var addrs []string
	for _, p := range ln.b.forThread(ln.thread) {
		for _, a := range p.addrs {
			ln.ports, addrs = append(ln.ports, p), append(addrs, a)
		}
	}
	ln.up, ln.gate, ln.served = make(chan []net.Addr, 1), make(chan bool, 1), make(chan error, 1)
	served := ln.served
	go func() { served <- ln.bridge.Serve(ln.events(ln.up, ln.gate), addrs...) }()
	select {
	case bound := <-ln.up:
		for i, p := range ln.ports {
			if err := p.listens(bound[i]); err != nil {
				ln.cancel()
				return err
			}
		}
		return nil
	case err := <-served:
		ln.served = nil
		if err == nil {
			err = ErrServerEnded
		}
		return err
	}
}

// cancel ends a server that waits at the gate.
func (ln *lane) cancel() {
	if ln.served != nil {
		ln.gate <- false
		<-ln.served
		ln.served = nil
	}
}

// Run implements loop.Runner: the thread's evio server, again and again if it ends
// by itself, since then it could not accept.
func (ln *lane) Run() error {
	ln.entered.Store(true)
	ln.b.begun()
	defer ln.inbox.close()
	for {
		err := ln.serve()
		switch {
		case !ln.s.Hosted():
			return nil
		case err != nil && !short(err):
			return err
		}
		if err := ln.await(); err != nil || !ln.s.Hosted() {
			return err
		}
	}
}

// serve runs the server, which may listen already, until it ends.
func (ln *lane) serve() error {
	if ln.served == nil {
		if err := ln.listen(); err != nil {
			return err
		}
	}
	ln.gate <- true
	err := <-ln.served
	ln.served = nil
	return err
}

// short reports whether err says that there are too few descriptors.
func short(err error) bool {
	return errors.Is(err, unix.EMFILE) || errors.Is(err, unix.ENFILE)
}

const (
	// spare is how many descriptors there must be for a server besides those
	// of its addresses: evio does not survive the lack of one while it starts.
	spare = 16
	// retryEvery is how often is looked for them.
	retryEvery = 50 * time.Millisecond
)

// await turns the engine without evio until there are descriptors for a server.
func (ln *lane) await() error {
	fds := []unix.PollFd{{Fd: int32(ln.seat.set.FD()), Events: unix.POLLIN}}
	for {
		if _, err := unix.Poll(fds, int(retryEvery/time.Millisecond)); err != nil && err != unix.EINTR {
			return fmt.Errorf("evioloop: %w", err)
		}
		if _, err := ln.seat.set.Pass(0); err != nil {
			return err
		}
		if !ln.s.Hosted() || available(spare+2*len(ln.ports)) {
			return nil
		}
	}
}

// available reports whether n more descriptors can be had now.
func available(n int) bool {
	var got []int
	defer func() {
		for _, fd := range got {
			unix.Close(fd)
		}
	}()
	for range n {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
		if err != nil {
			return false
		}
		got = append(got, fd)
	}
	return true
}

// Close implements loop.Closer.
func (ln *lane) Close() error {
	err := ln.seat.Close()
	if !ln.entered.Load() {
		ln.cancel()
		ln.inbox.close()
	}
	if e := ln.bridge.Close(); err == nil {
		err = e
	}
	return err
}

// ended reports that core has left the thread's loop, so that the server is to
// end.
func (ln *lane) ended() bool { return !ln.s.Hosted() }

// events are the server's callbacks.
func (ln *lane) events(up chan []net.Addr, gate chan bool) evio.Events {
	return evio.Events{
		Serving: func(s evio.Server) evio.Action {
			up <- s.Addrs
			if !<-gate {
				return evio.Shutdown
			}
			return evio.None
		},
		Opened:   ln.opened,
		Data:     ln.data,
		Closed:   ln.closed,
		Detached: ln.detached,
	}
}

func (ln *lane) opened(c evio.Conn) ([]byte, evio.Options, evio.Action) {
	s := &stream{ln: ln}
	var err error
	if s.fd, err = fdOf(c); err == nil {
		err = sys.Adopt(s.fd)
	}
	if err != nil {
		return nil, evio.Options{}, evio.Close
	}
	if sys.IsTCP(s.fd) {
		sys.SetNoDelay(s.fd, true)
	}
	p := ln.ports[c.AddrIndex()]
	if p.ended.Load() {
		return nil, evio.Options{}, evio.Close
	}
	if s.sc, err = p.accept(ln.thread, s, peerOf(c)); err != nil {
		if errors.As(err, new(*core.LimitError)) && len(ln.b.lanes) > 1 {
			c.SetContext(p) // another thread may have room
			return nil, evio.Options{}, evio.Detach
		}
		return nil, evio.Options{}, evio.Close
	}
	c.SetContext(s)
	return nil, evio.Options{ReuseInputBuffer: true}, ln.after(evio.None)
}

// peerOf is the remote address of a connection as text.
func peerOf(c evio.Conn) string {
	if a := c.RemoteAddr(); a != nil {
		return a.String()
	}
	return ""
}

// after ends the server instead of doing action if core has left the loop.
func (ln *lane) after(action evio.Action) evio.Action {
	if ln.ended() {
		return evio.Shutdown
	}
	return action
}

func (ln *lane) data(c evio.Conn, in []byte) ([]byte, evio.Action) {
	s, _ := c.Context().(*stream)
	if s == nil {
		return nil, evio.Close
	}
	return nil, ln.after(s.received(in))
}

func (ln *lane) closed(c evio.Conn, err error) evio.Action {
	if s, _ := c.Context().(*stream); s != nil {
		s.unwatch()
		s.gone = true
		s.sc.Closed(err)
	}
	return ln.after(evio.None)
}

func (ln *lane) detached(c evio.Conn, rwc io.ReadWriteCloser) evio.Action {
	switch x := c.Context().(type) {
	case *stream:
		x.steal(rwc)
	case *port:
		ln.pass(&passed{x, peerOf(c), rwc}, 1)
	default:
		rwc.Close()
	}
	return ln.after(evio.None)
}

// tap stands between the bridge's set and core: a full socket that has room again
// is not core's business as a descriptor.
type tap struct {
	loop.Service
	ln *lane
}

func (t tap) ServiceFD(p *loop.PollFD) bool {
	if s := t.ln.waits[p.Fd]; s != nil {
		p.Revents = 0
		s.unwatch()
		s.sc.Room()
		return true
	}
	return t.Service.ServiceFD(p)
}
