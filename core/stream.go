package core

import (
	"errors"
	"syscall"

	"anyloop/core/loop"
)

// streamWire is the wire of a link whose socket another engine owns. It is both
// what core writes to and, as loop.StreamConn, what the engine calls.
//
// Room, Sent and Closed may come while core is inside a call of the engine's
// (th.inLoop): then they are noted, and handled by the pending list or by the
// caller.
type streamWire struct {
	l      *link
	s      loop.Stream
	holder loop.StreamHolder // s, if its engine holds what it sends
	out    int               // bytes at the front of the rest that the engine holds
	sent   int               // of these, reported in a note
	err    error             // of a noted Closed
	noted  streamNote
	paused bool // what the engine was told
	left   bool // the engine was told to close
	gone   bool // the engine has let go
}

type streamNote uint8

const (
	noteRoom streamNote = 1 << iota
	noteClosed
)

var _ loop.StreamConn = (*streamWire)(nil)

var (
	errStreamUnfit  = errors.New("core: the stream's engine took more than it was given")
	errStreamHolds  = errors.New("core: a stream is given up by its engine with bytes that it has not sent")
	errStreamDetach = errors.New("core: a stream cannot leave its engine: closed by Detach")
)

// AdoptStream serves a connection whose socket another engine owns: HTTP/1.1,
// and from it WebSockets, as if it had been accepted by vh, whose Host matching
// and limits hold. peer is the remote address as text. The engine must call the
// StreamConn on the goroutine that drives this thread. Errors: ErrNoVHost,
// ErrOtherEngine, ErrStopped, ErrRemoved, or a *LimitError if MaxConns connections
// are served; the stream is then the caller's to close. Loop thread only.
func (th *Thread) AdoptStream(s loop.Stream, vh *VirtualHost, peer string) (loop.StreamConn, error) {
	th.checkVerb("AdoptStream")
	if err := th.takes(vh); err != nil {
		return nil, err
	}
	th.load.Add(1)
	return th.newStream(s, vh, named(peer)), nil
}

// AdoptSocket serves a connected socket that somebody else has accepted, as if
// vh had: core owns fd from then on, and closes it. An *os.File or net.Conn that has
// the same descriptor would close it as well, also when it is garbage: hand over a
// duplicate (unix.Dup). early is what was read from it before; it is copied, and
// served first. Errors: ErrNoVHost, ErrOtherEngine, ErrStopped, ErrRemoved, a
// *LimitError if MaxConns connections are served, or what the system or the loop
// said; fd is then the caller's as before. Loop thread only.
func (th *Thread) AdoptSocket(fd int, vh *VirtualHost, peer string, early []byte) (*Conn, error) {
	th.checkVerb("AdoptSocket")
	if err := th.eng.owns(vh); err != nil {
		return nil, err
	}
	return th.adoptSocket(fd, vh, th.firstRole(vh.site), peer, early)
}

// adoptSocket is AdoptSocket for any role.
func (th *Thread) adoptSocket(fd int, vh *VirtualHost, r peerRole, peer string, early []byte) (*Conn, error) {
	if err := th.takes(vh); err != nil {
		return nil, err
	}
	if err := th.ownSocket(fd, vh); err != nil {
		return nil, &TransportError{Op: "adopt", Err: err}
	}
	th.load.Add(1)
	l := th.newPeer(fd, vh, r, named(peer))
	if err := l.watch(loop.In); err != nil {
		l.flags |= lfKeepFD
		l.doom(err)
		th.buryLink(l)
		return nil, err
	}
	r.accepted(l)
	l.early(early)
	return l.own(), nil
}

// hasRoom reports why no further connection can be adopted, nil if one can.
func (th *Thread) hasRoom() error {
	switch {
	case th.end.phase != endNot || th.eng.stopping.Load():
		return ErrStopped
	case over(int(th.load.Load())+1, th.eng.limits.MaxConns):
		return &LimitError{Limit: "MaxConns"}
	}
	return nil
}

// newPeer makes the link of a connection that counts; its load is counted.
func (th *Thread) newPeer(fd int, vh *VirtualHost, r peerRole, peer peerName) *link {
	l := th.newLink(fd, r)
	l.flags |= lfCounted
	l.own().setPeer(peer)
	l.own().setVHost(vh)
	th.conns++
	return l
}

// early keeps bytes that were received before the link was made.
func (l *link) early(p []byte) {
	if len(p) == 0 {
		return
	}
	l.th.stats.BytesIn += uint64(len(p))
	l.th.queue(l.own())
	l.flags &^= lfReady // a role that looks at what waits in the kernel would miss it
	if l.is(lfTLS) {
		l.tls().store(p)
		return
	}
	s := l.keep()
	s.tail = append(s.tail, p...)
}

func (th *Thread) newStream(s loop.Stream, vh *VirtualHost, peer peerName) *streamWire {
	r := th.firstRole(vh.site)
	l := th.newPeer(-1, vh, r, peer)
	w := &streamWire{l: l, s: s}
	w.holder, _ = s.(loop.StreamHolder)
	l.below(w)
	th.drift(l)
	r.accepted(l)
	return w
}

// acceptStream is what an engine that accepts by itself calls for each
// connection of site s.
func (s *site) acceptStream(thread int, st loop.Stream, peer string) (loop.StreamConn, error) {
	th := s.eng.threads[thread]
	s.eng.mu.Lock()
	ended := s.ended
	s.eng.mu.Unlock()
	if ended { // the thread may be another loop's by now
		return nil, ErrStopped
	}
	vh := s.first()
	err := th.hasRoom()
	switch {
	case vh == nil:
		return nil, ErrStopped
	case err == nil && th.allowed(s, named(peer)):
		th.stats.Accepted++
		th.load.Add(1)
		return th.newStream(st, vh, named(peer)), nil
	case err == nil:
		err = errRefused
	}
	th.stats.Accepted++
	th.stats.Refused++
	return nil, err
}

var errRefused = errors.New("core: refused by FilterConn")

// stream returns the link's wire if another engine owns its socket.
func (l *link) stream() *streamWire {
	b := l.wire()
	if t := l.tls(); t != nil {
		b = t.wire
	}
	w, _ := b.(*streamWire)
	return w
}

// The wire, as core uses it.

// over reports whether the engine has let go of the connection, whether core has
// acted on it or not: it is not called again.
func (w *streamWire) over() bool { return w.gone || w.noted&noteClosed != 0 }

func (w *streamWire) read(*link, []byte) (int, error) { return 0, syscall.EAGAIN }
func (w *streamWire) peek(*link) (int, error)         { return 0, syscall.EAGAIN }
func (w *streamWire) sockError(*link) error           { return nil }
func (w *streamWire) hungUp(*link) bool               { return w.gone }

func (w *streamWire) write(l *link, head, tail []byte) (int, error) {
	switch {
	case w.over():
		return 0, syscall.EPIPE
	case w.holder != nil:
		return 0, syscall.EAGAIN // settle sends the rest, which stays where it is
	}
	w.noted &^= noteRoom // what was said before this says nothing about what is after it
	was := w.callOut()
	n, err := w.s.Write(head, tail)
	w.back(was)
	if n < 0 || n > len(head)+len(tail) {
		return 0, errStreamUnfit
	}
	return n, err
}

func (w *streamWire) closeWrite(*link) error {
	if w.over() {
		return syscall.EPIPE
	}
	was := w.callOut()
	err := w.s.CloseWrite()
	w.back(was)
	return err
}

func (w *streamWire) close(*link) error {
	if w.over() {
		w.gone = true // its Closed is not acted on any more
	}
	if w.gone || w.left {
		return nil
	}
	w.left = true
	was := w.callOut()
	err := w.s.Close()
	w.back(was)
	return err
}

// held returns the bytes that the engine has taken and not sent yet.
func (w *streamWire) held() int {
	if w.over() {
		return 0
	}
	was := w.callOut()
	n := w.s.Buffered()
	w.back(was)
	return n
}

// callOut marks a call of the engine's, which must not call back; back ends it.
func (w *streamWire) callOut() (was bool) {
	was, w.l.th.inLoop = w.l.th.inLoop, true
	return was
}

func (w *streamWire) back(was bool) { w.l.th.inLoop = was }

// settle tells the engine, once per service of the link, whether input is
// welcome, and gives a holder what is to be sent.
func (w *streamWire) settle() {
	l := w.l
	if w.over() || w.left {
		return
	}
	if w.holder != nil && w.out == 0 && l.choked() && !l.is(lfTxDead) {
		p := l.store.rest
		if len(p) == 0 {
			p = l.store.ref
		}
		w.out = len(p)
		was := w.callOut()
		err := w.holder.Send(p)
		w.back(was)
		if err != nil {
			w.out, w.sent = 0, 0
			l.writeFailed(err)
		}
	}
	if paused := l.wants()&loop.In == 0; paused != w.paused && !w.over() {
		w.paused = paused
		was := w.callOut()
		w.s.PauseInput(paused)
		w.back(was)
	}
}
