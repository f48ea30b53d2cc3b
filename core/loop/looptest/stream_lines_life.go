package looptest

import (
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// allEnds lets connections end in every way there is, and returns how many
// handlers they had.
func (h *streamHarness) allEnds() (handlers int) {
	t, r := h.t, h.r
	for _, end := range []func(c *client.Conn) error{
		h.peerCloses, h.weClose, h.leavesInAFlood,
		func(c *client.Conn) error { return c.Text("drop") },
		func(c *client.Conn) error { return c.Close() },
		func(c *client.Conn) error { // against the protocol
			_, err := c.Write([]byte{0xff, 0xff, 0xff, 0xff})
			return err
		},
	} {
		c := r.ws()
		r.echo(c, "hello")
		if err := end(c); err != nil {
			t.Errorf("ending a connection: %v", err)
		}
		io.Copy(io.Discard, c)
		c.Close()
		handlers++
	}
	h.httpEnds()
	h.quiet()
	return handlers + 1
}

// peerCloses is the peer's closing handshake.
func (h *streamHarness) peerCloses(c *client.Conn) error {
	if err := c.SendClose(1000, "bye"); err != nil {
		return err
	}
	return h.goodbye(c, 1000)
}

// weClose is ours.
func (h *streamHarness) weClose(c *client.Conn) error {
	if err := c.Text("close"); err != nil {
		return err
	}
	if err := h.goodbye(c, 1000); err != nil {
		return err
	}
	return c.SendClose(1000, "")
}

// leavesInAFlood closes with much on its way.
func (h *streamHarness) leavesInAFlood(c *client.Conn) error {
	slowReader(c)
	if err := c.Text("flood"); err != nil {
		return err
	}
	if _, err := c.Next(); err != nil {
		return err
	}
	return c.Close()
}

// httpEnds are the ends of HTTP connections. One of them has a handler.
func (h *streamHarness) httpEnds() {
	r := h.r
	c := r.dial()
	h.ask(c, 1000, "Connection: close\r\n")
	h.body(c, 1000)
	h.ended(c)
	c = r.dial() // refused with its body still coming
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: test\r\nContent-Length: 99999999999\r\n\r\n%s", strings.Repeat("b", 5000))
	if a, err := c.Response("POST"); err != nil || a.StatusCode != 413 {
		h.t.Errorf("a body that is too long: %v %v", a.Response, err)
	}
	c.Close()
	c = r.dial() // without a word
	c.Close()
	c = r.dial() // in the middle of one
	io.WriteString(c, "GET / HT")
	c.Close()
}

// goodbye reads a Close frame.
func (h *streamHarness) goodbye(c *client.Conn, code int) error {
	for {
		f, err := c.Next()
		if err != nil {
			return err
		}
		if f.Op == ws.Close {
			if f.Code() != code {
				return fmt.Errorf("closed with %d %q", f.Code(), f.Reason())
			}
			return nil
		}
	}
}

// S6: core calls Close once, and nothing after it or after Closed.
func streamLine6(t TB, h *streamHarness) {
	r := h.start(core.Limits{HangupTimeout: time.Millisecond})
	h.allEnds()
	r.ws()
	c := r.ws()
	if err := c.Text("flood"); err != nil {
		t.Errorf("%v", err)
	}
	h.chokedOn()
	r.stop()
	if n := h.watch.Counts(); n.Closes > n.Streams {
		t.Errorf("%d Closes of %d connections", n.Closes, n.Streams)
	}
}

// S7: Closed is the engine's last call, and each handler has its Closed once.
func streamLine7(t TB, h *streamHarness) {
	r := h.start(core.Limits{HangupTimeout: time.Millisecond})
	handlers := h.allEnds()
	r.between(func() {
		s := h.serve
		if s.opened != handlers || s.closed != handlers || s.twice != 0 {
			t.Errorf("%d handlers were opened and %d closed, %d too often; want %d", s.opened, s.closed, s.twice, handlers)
		}
	})
	for range 3 {
		r.echo(r.ws(), "open at the end")
	}
	r.stop()
	if s := h.serve; s.opened != handlers+3 || s.closed != handlers+3 || s.twice != 0 {
		t.Errorf("after the end: %d handlers were opened and %d closed, %d too often; want %d", s.opened, s.closed, s.twice, handlers+3)
	}
}

// S8: from inside a call of core's the engine may report Room, Sent and Closed,
// and nothing else.
func streamLine8(t TB, h *streamHarness) {
	r := h.start(core.Limits{ContentTimeout: -1})
	a, b := r.ws(), r.ws()
	if err := a.Text("pause"); err != nil {
		t.Fatalf("%v", err)
	}
	r.until("the engine is told to pause", func() bool { return h.watch.Counts().Pauses > 0 })
	for i := range 20 {
		if err := a.Text(numbered(i, 200)); err != nil {
			t.Fatalf("%v", err)
		}
		r.echo(b, numbered(i, 20000))
	}
	r.between(func() { h.conns[0].Resume() })
	for i := range 20 {
		if err := a.Want(ws.Text, []byte(numbered(i, 200))); err != nil {
			t.Fatalf("%v", err)
		}
	}
	c := r.dial()
	h.ask(c, 3<<20, "")
	h.body(c, 3<<20)
	c.Close()
	a.Close()
	r.echo(b, "still")
}

// S9: Done waits until the engine has let go of every connection.
func streamLine9(t TB, h *streamHarness) {
	r := h.start(core.Limits{})
	for range 5 {
		r.echo(r.ws(), "open")
	}
	r.stop()
	if n := h.watch.Counts(); n.Open != 0 || n.Streams != 5 {
		t.Errorf("core has ended, and the engine holds %d of %d connections", n.Open, n.Streams)
	}
}

// S10: a connection that core takes over loses nothing.
func streamLine10(t TB, h *streamHarness) {
	if !h.can.Steals {
		h.start(core.Limits{})
		h.r.echo(h.r.ws(), "not stolen")
		return
	}
	r := h.start(core.Limits{})
	h.pausedFlood(400, 10000, true)
	c := r.ws()
	r.echo(c, "served")
	c.Close()
	r.until("core counts the connections that it took over", func() bool { return r.eng.Thread(0).Stats().Conns == 2 })
}

// S11: a connection that core refuses is closed at once, and counted.
func streamLine11(t TB, h *streamHarness) {
	var refuse atomic.Bool
	h.filter = func(*core.VirtualHost, string) bool { return !refuse.Load() }
	r := h.start(core.Limits{MaxConns: 2})
	a, b := r.ws(), r.ws()
	for range 5 {
		h.refusedAt(r.addr)
	}
	h.counted(5)
	a.Close()
	r.until("there is room", func() bool { return r.eng.Thread(0).Stats().Conns == 1 })
	refuse.Store(true)
	h.refusedAt(r.addr)
	h.counted(6)
	refuse.Store(false)
	r.echo(r.ws(), "taken")
	r.echo(b, "still")
	h.refusedAt(r.addr)
	h.counted(7)
	r.stop()
	if n := h.watch.Counts().Streams; n != 3 {
		t.Errorf("core took %d connections, want 3", n)
	}
}

// refusedAt expects a connection to be closed without an answer.
func (h *streamHarness) refusedAt(addr string) {
	h.t.Helper()
	nc, err := h.host.Dial(addr)
	if err != nil {
		return
	}
	defer nc.Close()
	nc.SetDeadline(time.Now().Add(h.host.Bound))
	io.WriteString(nc, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	p, err := io.ReadAll(nc)
	if len(p) > 0 || isTimeout(err) {
		h.t.Fatalf("a connection that core has refused is open: %q %v", p, err)
	}
}

// counted expects so many refusals.
func (h *streamHarness) counted(n int) {
	h.t.Helper()
	h.r.until("the refusal is counted", func() bool { return int(h.r.eng.Thread(0).Stats().Refused) >= n })
	if seen, said := h.watch.Counts().Refused, h.r.eng.Thread(0).Stats().Refused; seen != n || int(said) != n {
		h.t.Errorf("%d refusals, of which %d are counted; want %d", seen, said, n)
	}
}

// S12: a peer that half-closes gets its answer, if the engine can tell.
func streamLine12(t TB, h *streamHarness) {
	r := h.start(core.Limits{ContentTimeout: -1})
	c := r.dial()
	half, ok := c.Conn.(interface{ CloseWrite() error })
	if !ok {
		t.Fatalf("looptest: the host's Dial gives no connection that can half-close")
	}
	n := 100
	if !h.can.NoEOF {
		n = h.can.Unsent + 1<<20 // the end comes in the middle of the answer
	}
	slowReader(c)
	h.ask(c, n, "")
	if h.can.NoEOF {
		h.body(c, n)
	} else {
		h.chokedOn()
	}
	if err := half.CloseWrite(); err != nil {
		t.Fatalf("%v", err)
	}
	if !h.can.NoEOF {
		r.until("the engine tells the end of the input", func() bool { return h.watch.Counts().EOFs > 0 })
		h.body(c, n)
	}
	h.ended(c)
	h.quiet()
	if n := h.watch.Counts().EOFs; n > 0 == h.can.NoEOF {
		t.Errorf("%d EOFs, of an engine declared with NoEOF %v", n, h.can.NoEOF)
	}
}

// S13: work that a call of the engine's leaves behind is done without another.
func streamLine13(t TB, h *streamHarness) {
	r := h.start(core.Limits{})
	a, b := r.ws(), r.ws()
	if err := a.Text("poke"); err != nil {
		t.Fatalf("%v", err)
	}
	if err := b.Want(ws.Text, []byte("poked")); err != nil {
		t.Fatalf("a Writable that was asked for from another connection: %v", err)
	}
	if err := a.Text("timer"); err != nil {
		t.Fatalf("%v", err)
	}
	if err := a.Want(ws.Text, []byte("ripe")); err != nil {
		t.Fatalf("a timer that was set in Feed: %v", err)
	}
}
