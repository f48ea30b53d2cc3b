package looptest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// slowReader makes a client's own buffer small, if it can: but not so small that
// loopback's large segments would trickle.
func slowReader(c *client.Conn) {
	if tc, ok := c.Conn.(interface{ SetReadBuffer(int) error }); ok {
		tc.SetReadBuffer(256 << 10)
	}
}

// ask sends a request for a body of n bytes; header lines end with "\r\n".
func (h *streamHarness) ask(c *client.Conn, n int, header string) {
	h.t.Helper()
	if _, err := fmt.Fprintf(c, "GET /?n=%d HTTP/1.1\r\nHost: test\r\n%s\r\n", n, header); err != nil {
		h.t.Fatalf("request: %v", err)
	}
}

// body reads the answer to ask, piece by piece.
func (h *streamHarness) body(c *client.Conn, n int) {
	h.t.Helper()
	var head []byte
	for b := make([]byte, 1); !bytes.HasSuffix(head, []byte("\r\n\r\n")); {
		if _, err := io.ReadFull(c, b); err != nil {
			h.t.Fatalf("response: %v after %q", err, head)
		}
		head = append(head, b[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		h.t.Fatalf("response %q", head)
	}
	buf := make([]byte, 64<<10)
	for at := 0; at < n; {
		k, err := c.Read(buf[:min(len(buf), n-at)])
		if bad := checkPattern(buf[:k], at); bad != "" {
			h.t.Fatalf("body: %s", bad)
		}
		if at += k; err != nil && at < n {
			h.t.Fatalf("body: %v after %d of %d bytes", err, at, n)
		}
	}
}

// ended reads the end of a connection.
func (h *streamHarness) ended(c *client.Conn) {
	h.t.Helper()
	if n, err := io.Copy(io.Discard, c); n > 0 || errors.Is(err, errTimeout) || isTimeout(err) {
		h.t.Errorf("at the end of the connection: %d bytes, %v", n, err)
	}
}

var errTimeout = errors.New("timeout")

func isTimeout(err error) bool {
	var ne net.Error
	return errors.As(err, &ne) && ne.Timeout()
}

// chokedOn waits until the engine has taken no more from core.
func (h *streamHarness) chokedOn() {
	h.t.Helper()
	h.r.until("the engine says that it takes no more", func() bool { return h.watch.Counts().Chokes > 0 })
}

// quiet waits until no connection is left.
func (h *streamHarness) quiet() {
	h.t.Helper()
	h.r.until("all connections are gone", func() bool {
		return h.r.eng.Thread(0).Stats().Conns == 0 && h.watch.Counts().Open == 0
	})
}

// S1: core writes after a short count only when there was Room, and has at most
// one Send out.
func streamLine1(t TB, h *streamHarness) {
	r := h.start(core.Limits{ContentTimeout: -1})
	c := r.dial()
	slowReader(c)
	n := h.can.Unsent + 4<<20
	h.ask(c, n, "")
	h.chokedOn()
	if took := h.watch.Counts().Taken; took > h.can.Unsent {
		t.Errorf("the engine takes %d bytes for a peer that does not read", took)
	}
	h.body(c, n)
	h.ask(c, 10, "")
	h.body(c, 10)
}

// S2: what core gives to Write is core's again, and what it gives to Send stays.
func streamLine2(t TB, h *streamHarness) {
	h.watch.SpoilOutput()
	r := h.start(core.Limits{ContentTimeout: -1})
	a, b := r.ws(), r.dial()
	slowReader(b)
	h.ask(b, 6<<20, "")
	for i := range 30 {
		r.echo(a, strings.Repeat("echo ", 1+i*50))
	}
	h.body(b, 6<<20)
	for i := range 10 {
		r.echo(a, strings.Repeat(string(rune('a'+i)), 20000))
	}
}

// S3: what the engine feeds is its own again when Feed returns.
func streamLine3(t TB, h *streamHarness) {
	h.watch.SpoilInput()
	r := h.start(core.Limits{})
	c := r.dial()
	// An incomplete header, an incomplete frame, and a request behind another
	// are what core keeps.
	for _, piece := range []string{"GET /?n=5 HTTP/1.1\r\nHo", "st: test\r\n\r\nGET /?n=7 HTTP/1.1\r\nHost: te", "st\r\n\r\n"} {
		if _, err := io.WriteString(c, piece); err != nil {
			t.Fatalf("request: %v", err)
		}
		h.fedOn(len(piece))
	}
	h.body(c, 5)
	h.body(c, 7)
	if err := c.Upgrade(""); err != nil {
		t.Fatalf("upgrade: %v", err)
	}
	msg := []byte(strings.Repeat("0123456789", 30))
	frame := client.Append(nil, ws.Text, true, msg)
	h.fed = h.watch.Counts().Fed
	for cut := range 12 {
		if _, err := c.Write(frame[:cut]); err != nil {
			t.Fatalf("%v", err)
		}
		h.fedOn(cut)
		if _, err := c.Write(frame[cut:]); err != nil {
			t.Fatalf("%v", err)
		}
		if err := c.Want(ws.Text, msg); err != nil {
			t.Fatalf("a frame cut at %d: %v", cut, err)
		}
		h.fed += len(frame) - cut
	}
}

// fedOn waits until n more bytes have been fed.
func (h *streamHarness) fedOn(n int) {
	h.t.Helper()
	h.fed += n
	h.r.until("the engine feeds what was sent", func() bool { return h.watch.Counts().Fed >= h.fed })
}

// pausedFlood pauses a connection and sends it n numbered messages of size bytes
// while another one is served, then resumes and reads the echoes in order. stolen
// says that the engine must have given the connection to core by then.
func (h *streamHarness) pausedFlood(n, size int, stolen bool) {
	t, r := h.t, h.r
	a, b := r.ws(), r.ws()
	if err := a.Text("pause"); err != nil {
		t.Fatalf("%v", err)
	}
	r.until("the engine is told to pause", func() bool { return h.watch.Counts().Pauses > 0 })
	sent := make(chan error, 1)
	go func() {
		for i := range n {
			if err := a.Text(numbered(i, size)); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	for range 60 {
		r.echo(b, "meanwhile")
	}
	if stolen {
		r.until("the engine gives up the connection", func() bool { return h.watch.Counts().Stolen > 0 })
	}
	r.between(func() { h.conns[0].Resume() })
	for i := range n {
		if err := a.Want(ws.Text, []byte(numbered(i, size))); err != nil {
			t.Fatalf("message %d behind the pause: %v", i, err)
		}
	}
	if err := <-sent; err != nil {
		t.Errorf("%v", err)
	}
	r.echo(b, "still")
}

func numbered(i, size int) string {
	s := fmt.Sprintf("message %d ", i)
	return s + strings.Repeat("x", max(0, size-len(s)))
}

// S4: what is fed after PauseInput(true) is kept in order, and PauseInput is
// called only on a change.
func streamLine4(t TB, h *streamHarness) {
	h.start(core.Limits{})
	n := 100
	if !h.can.NoPause && !h.can.Steals {
		n = 2 * (h.can.Late + 1<<20) / 2000 // if it does not stop, it shows
	}
	h.pausedFlood(n, 2000, false)
	if late := h.watch.Counts().Late; late > h.can.Late {
		t.Errorf("%d bytes were fed to a paused connection, more than %d", late, h.can.Late)
	} else if h.can.NoPause && late == 0 {
		t.Errorf("the engine is declared to feed paused connections, but does not")
	}
}

// S5: an orderly end waits until all is sent.
func streamLine5(t TB, h *streamHarness) {
	r := h.start(core.Limits{ContentTimeout: -1, FlushTimeout: -1, LingerTimeout: -1})
	c := r.dial()
	slowReader(c)
	n := h.can.Unsent + 1<<20
	h.ask(c, n, "Connection: close\r\n")
	h.chokedOn()
	h.body(c, n)
	h.ended(c)
	h.quiet()
	if cuts := h.watch.Counts().Cuts; cuts != 0 {
		t.Errorf("%d connections were closed with bytes Buffered", cuts)
	}
}

// S5: but for at most FlushTimeout.
func streamLine5Bound(t TB, h *streamHarness) {
	r := h.start(core.Limits{ContentTimeout: -1, FlushTimeout: 50 * time.Millisecond})
	c := r.dial()
	slowReader(c)
	h.ask(c, h.can.Unsent+1<<20, "Connection: close\r\nX-Whole: 1\r\n")
	r.until("the response is written", func() bool { return h.watch.Counts().Chokes > 0 })
	h.quiet()
}
