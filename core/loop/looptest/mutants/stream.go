package mutants

import (
	"io"
	"syscall"

	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
)

// StreamMutant breaks one line of the contract of streams, from core's side or
// from the engine's.
type StreamMutant struct {
	// Line begins the names of the stream suite's tests that must find it.
	Line string
	// What it does.
	What string
	// Mode of the mock engine that it needs.
	Mode looptest.MockMode

	engine bool // it stands behind the suite's watch
	make   func(*streamShim)
	conn   func(*mutConn)
}

// Name returns "S1: core writes on after a short count".
func (m StreamMutant) Name() string { return m.Line + ": " + m.What }

// Host puts a mutant of the engine's side in front of a host's backend.
func (m StreamMutant) Host(h looptest.StreamHost) looptest.StreamHost {
	if m.engine {
		h.Backend = m.shim(h.Backend)
	}
	return h
}

// Wrap puts a mutant of core's side in front of a backend.
func (m StreamMutant) Wrap(b loop.Backend) loop.Backend {
	if m.engine {
		return b
	}
	return m.shim(b)
}

func (m StreamMutant) shim(b loop.Backend) loop.Backend {
	return &streamShim{Acceptor: b.(loop.Acceptor), m: m}
}

// streamShim passes everything on, except what the mutant has replaced.
type streamShim struct {
	loop.Acceptor
	m     StreamMutant
	svc   loop.Service
	inner loop.Loop

	accept func(good acceptFunc, thread int, s loop.Stream, peer string) (loop.StreamConn, error)
	rearm  func()
	after  []func() // to be done behind ServicePending
	poking bool     // one connection is fed what concerns another
}

type acceptFunc = func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)

// Open implements loop.Backend.
func (s *streamShim) Open(n int, svc loop.Service) (loop.Loop, error) {
	s.svc = svc
	l, err := s.Acceptor.Open(n, streamShimService{svc, s})
	if err != nil {
		return nil, err
	}
	s.inner = l
	s.rearm = l.(loop.Rearmer).Rearm
	if s.m.make != nil {
		s.m.make(s)
	}
	return &streamShimLoop{l, s}, nil
}

// Listen implements loop.Acceptor.
func (s *streamShim) Listen(network, address string, accept acceptFunc) (string, io.Closer, error) {
	return s.Acceptor.Listen(network, address, func(thread int, st loop.Stream, peer string) (loop.StreamConn, error) {
		c := &mutConn{shim: s, s: st}
		var ours loop.Stream = mutStream{c}
		h, holds := st.(loop.StreamHolder)
		if holds {
			ours = mutHolder{mutStream{c}}
			c.send = h.Send
		}
		c.write, c.buffered, c.pause, c.closeWrite, c.close = st.Write, st.Buffered, st.PauseInput, st.CloseWrite, st.Close
		sc, err := accept(thread, ours, peer)
		if err != nil {
			if s.accept != nil {
				return s.accept(accept, thread, st, peer)
			}
			return nil, err
		}
		c.sc = sc
		c.feed, c.room, c.sent, c.eof, c.closed, c.steal = sc.Feed, sc.Room, sc.Sent, sc.EOF, sc.Closed, sc.Steal
		if s.m.conn != nil {
			s.m.conn(c)
		}
		return mutStreamConn{c}, nil
	})
}

type streamShimLoop struct {
	loop.Loop
	s *streamShim
}

func (l *streamShimLoop) Rearm()       { l.s.rearm() }
func (l *streamShimLoop) Close() error { return l.Loop.(loop.Closer).Close() }

type streamShimService struct {
	loop.Service
	s *streamShim
}

func (v streamShimService) ServicePending() {
	v.Service.ServicePending()
	after := v.s.after
	v.s.after = nil
	for _, f := range after {
		f()
	}
}

// mutConn is one connection; its functions are those of the other side until the
// mutant replaces them.
type mutConn struct {
	shim *streamShim
	s    loop.Stream
	sc   loop.StreamConn

	write      func(head, tail []byte) (int, error)
	send       func(p []byte) error
	buffered   func() int
	pause      func(on bool)
	closeWrite func() error
	close      func() error

	feed   func(p []byte)
	room   func()
	sent   func(n int)
	eof    func()
	closed func(err error)
	steal  func(fd int, early []byte) error
}

type mutStream struct{ c *mutConn }

func (m mutStream) Write(head, tail []byte) (int, error) { return m.c.write(head, tail) }
func (m mutStream) Buffered() int                        { return m.c.buffered() }
func (m mutStream) PauseInput(on bool)                   { m.c.pause(on) }
func (m mutStream) CloseWrite() error                    { return m.c.closeWrite() }
func (m mutStream) Close() error                         { return m.c.close() }

type mutHolder struct{ mutStream }

func (m mutHolder) Send(p []byte) error { return m.c.send(p) }

type mutStreamConn struct{ c *mutConn }

func (m mutStreamConn) Feed(p []byte)                    { m.c.feed(p) }
func (m mutStreamConn) Room()                            { m.c.room() }
func (m mutStreamConn) Sent(n int)                       { m.c.sent(n) }
func (m mutStreamConn) EOF()                             { m.c.eof() }
func (m mutStreamConn) Closed(err error)                 { m.c.closed(err) }
func (m mutStreamConn) Steal(fd int, early []byte) error { return m.c.steal(fd, early) }

// deaf is core's side of a connection that core has not taken.
type deaf struct{}

func (deaf) Feed([]byte)             {}
func (deaf) Room()                   {}
func (deaf) Sent(int)                {}
func (deaf) EOF()                    {}
func (deaf) Closed(error)            {}
func (deaf) Steal(int, []byte) error { return syscall.EBADF }
