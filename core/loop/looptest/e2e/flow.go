package e2e

import (
	"bytes"
	"fmt"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

const (
	flowBytes = 16 << 20 // more than any kernel buffers on both sides
	flowFrame = 64 << 10
	// slack is what live heap may grow by beside what is held of a
	// connection: the client's and the suite's own.
	slack = 1 << 20
)

// flow receives a stream of binary frames whose bytes tell their place.
type flow struct {
	conn   chan *core.Conn
	closed chan error
	got    int // of the stream; on the conn's thread
	wrong  int // where a piece began that is out of order, -1 if none is
	events int // Receive callbacks
}

func newFlow() *flow {
	return &flow{conn: make(chan *core.Conn, 1), closed: make(chan error, 1), wrong: -1}
}

// handler pauses at the first text, and answers the second with what it has got.
func (f *flow) handler(c *core.Conn) core.WSHandler {
	out := core.NewOutbox(c, core.PauseSource)
	began := false
	return &wsCalls{
		receive: func(c *core.Conn, p core.Fragment) error {
			f.events++
			switch {
			case p.Binary:
				f.take(p.Data)
			case !p.Final:
			case !began:
				began = true
				f.conn <- c
				return c.Pause()
			default:
				return out.Text(fmt.Sprint(f.got, f.wrong))
			}
			return nil
		},
		writable: func(_ *core.Conn, w *core.WSWriter) error { return out.Writable(w) },
		closed:   func(_ *core.Conn, err error) { f.closed <- err },
	}
}

func (f *flow) take(p []byte) {
	for len(p) > 0 {
		n := min(len(p), period)
		if f.wrong < 0 && !bytes.Equal(p[:n], place(f.got, n)) {
			f.wrong = f.got
		}
		f.got += n
		p = p[n:]
	}
}

// stream is the frames of the whole stream.
func stream() []byte {
	b := make([]byte, 0, flowBytes+flowBytes/flowFrame*ws.MaxHeader)
	for at := 0; at < flowBytes; at += flowFrame {
		b = client.Append(b, ws.Binary, true, pattern(at, flowFrame))
	}
	return b
}

// paused starts a scene whose server has paused its one connection.
func (f *flow) paused(s *scene) (*client.Conn, *core.Conn, error) {
	if err := s.up(serving(f.handler), core.Limits{}); err != nil {
		return nil, nil, err
	}
	c := s.ws()
	small(c)
	s.must(c.Text("pause"))
	conn := take(s, f.conn, "the handler pauses")
	s.laps()
	return c, conn, nil
}

// small makes the client's own buffers small, so that less is under way.
func small(c *client.Conn) {
	type buffered interface {
		SetReadBuffer(int) error
		SetWriteBuffer(int) error
	}
	if b, ok := c.Raw().(buffered); ok {
		b.SetReadBuffer(64 << 10)
		b.SetWriteBuffer(64 << 10)
	}
}

// fill writes until the connection takes nothing more for good, without waiting
// for it, and returns what it took; err is how the connection ended meanwhile.
func (s *scene) fill(c *client.Conn, b []byte) (sent int, err error) {
	s.t.Helper()
	for sent < len(b) {
		n, err := c.TryWrite(b[sent:])
		if err != nil {
			return sent, err
		}
		if sent += n; n > 0 {
			continue
		}
		before := sent
		s.steady("the server's reading", func() uint64 {
			n, e := c.TryWrite(b[sent:])
			sent += n
			if e != nil {
				err = e
			}
			return uint64(sent)
		})
		if err != nil || sent == before {
			return sent, err
		}
	}
	return sent, nil
}

// wsFlow: what a paused conn's peer sends stays with the peer: its writes stall
// while core holds no more than one read of it. After Resume all of it comes, in
// order.
func wsFlow(s *scene) error {
	f := newFlow()
	all := stream()
	c, conn, err := f.paused(s)
	if err != nil {
		return err
	}
	th := conn.Thread()
	events, in := 0, th.Stats().BytesIn
	s.with(conn, func(*core.Conn) { events = f.events })
	before := heap()
	sent, err := s.fill(c, all)
	s.must(err)
	if sent == len(all) {
		s.t.Fatalf("all of %d bytes went out to a conn that is paused", sent)
	}
	s.bounded("heap", heap()-before, s.host.Held+slack)
	s.bounded("read of a paused conn", int64(th.Stats().BytesIn-in), s.host.Held)
	s.with(conn, func(*core.Conn) {
		if f.events != events {
			s.t.Errorf("%d Receive while paused", f.events-events)
		}
	})
	s.t.Logf("stalled after %d of %d bytes", sent, len(all))
	s.with(conn, func(c *core.Conn) { s.no(c.Resume()) })
	s.rest(f, c, all[sent:])
	return nil
}

// rest sends what is left of the stream and asks what has come.
func (s *scene) rest(f *flow, c *client.Conn, left []byte) {
	s.t.Helper()
	_, err := c.Write(left)
	s.must(err)
	s.must(c.Text("sum"))
	s.must(c.Want(ws.Text, fmt.Append(nil, flowBytes, -1)))
}

func (s *scene) bounded(what string, n int64, most int) {
	s.t.Helper()
	if n > int64(most) {
		s.t.Errorf("%s: %d bytes, more than %d", what, n, most)
	}
}

// wsFlowInstead: where reading cannot be paused, what is held stays bounded all
// the same, since the conn is closed or its socket taken over at the bound.
func wsFlowInstead(s *scene) error {
	f := newFlow()
	all := stream()
	c, conn, err := f.paused(s)
	if err != nil {
		return err
	}
	before := heap()
	sent, err := s.fill(c, all)
	s.bounded("heap", heap()-before, s.host.Held+slack)
	if err != nil || sent == len(all) {
		take(s, f.closed, "a conn that cannot be held back is closed")
		return nil
	}
	s.with(conn, func(c *core.Conn) { s.no(c.Resume()) })
	s.rest(f, c, all[sent:])
	return nil
}

const slowBytes = 1 << 30

// slow writes one piece per Writable until a GiB is out.
type slow struct {
	conn    chan *core.Conn
	closed  chan error
	piece   []byte
	written int // on the conn's thread
	most    int // of Pending, after a Writable
}

func newSlow() *slow {
	return &slow{conn: make(chan *core.Conn, 1), closed: make(chan error, 1), piece: pattern(0, 64<<10)}
}

func (h *slow) handler(c *core.Conn) core.WSHandler {
	return &wsCalls{
		receive: func(c *core.Conn, f core.Fragment) error {
			if f.Final {
				h.conn <- c
				return c.RequestWritable()
			}
			return nil
		},
		writable: func(c *core.Conn, w *core.WSWriter) error {
			h.most = max(h.most, c.Pending())
			if h.written >= slowBytes {
				return nil
			}
			if err := w.Binary(h.piece); err != nil {
				return err
			}
			h.written += len(h.piece)
			return c.RequestWritable()
		},
		closed: func(_ *core.Conn, err error) { h.closed <- err },
	}
}

// wsSlowReader: a handler that wants to send 1 GiB to a peer which does not read
// gets no writer once the wire is full, and what is kept of it is bounded. The
// peer's going is told.
func wsSlowReader(s *scene) error {
	h := newSlow()
	c, conn, written, err := h.stuck(s)
	if err != nil {
		return err
	}
	// What the kernel buffers between the two: Linux lets a socket's own
	// buffer grow to 4 MiB (tcp_wmem), the peer's to 6 (tcp_rmem).
	s.bounded("written for a peer that does not read", int64(written), 16<<20)
	pending, most := 0, 0
	s.with(conn, func(c *core.Conn) { pending, most = c.Pending(), h.most })
	if pending == 0 && written < slowBytes {
		s.t.Errorf("nothing is pending, and yet no writer is handed out")
	}
	s.bounded("pending", int64(max(pending, most)), s.host.Held)
	// It goes on where it stopped.
	for range 64 {
		s.must(c.Want(ws.Binary, h.piece))
	}
	s.until("a writer, now that the peer has read", func() (more bool) {
		s.with(conn, func(*core.Conn) { more = h.written > written })
		return more
	})
	s.must(c.Close())
	if err := take(s, h.closed, "Closed after the peer has gone"); err == nil {
		s.t.Errorf("Closed without an error for a peer that dropped the connection")
	}
	return nil
}

// stuck starts the scene and waits until the handler gets no writer any more.
func (h *slow) stuck(s *scene) (*client.Conn, *core.Conn, int, error) {
	if err := s.up(serving(h.handler), core.Limits{FlushTimeout: -1, PingInterval: -1, PongTimeout: -1}); err != nil {
		return nil, nil, 0, err
	}
	c := s.ws()
	small(c)
	before := heap()
	s.must(c.Text("go"))
	conn := take(s, h.conn, "the handler starts")
	written := s.steady("the handler's writing", func() (n uint64) {
		s.with(conn, func(*core.Conn) { n = uint64(h.written) })
		return n
	})
	s.bounded("heap", heap()-before, s.host.Held+slack)
	s.t.Logf("%d bytes written for a peer that does not read", written)
	return c, conn, int(written), nil
}

// wsSlowReaderInstead: the engine gives up a peer that does not read.
func wsSlowReaderInstead(s *scene) error {
	h := newSlow()
	_, _, written, err := h.stuck(s)
	if err != nil {
		return err
	}
	s.bounded("written for a peer that does not read", int64(written), 32<<20)
	take(s, h.closed, "the conn is given up")
	return nil
}
