package core

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"anyloop/core/loop/sim"
)

// TestStreamIsNotClosedAfterClosed: an engine that closes the connection from
// inside the last write of an orderly end is not asked to close it again, and core
// does not wait for a second Closed.
func TestStreamIsNotClosedAfterClosed(t *testing.T) {
	w := newStreamWorld(t)
	w.f.dies, w.f.late = io.ErrClosedPipe, true
	w.feed("GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if w.f.closes != 0 || w.th.Stats().Conns != 0 {
		t.Errorf("%d closes, %d connections", w.f.closes, w.th.Stats().Conns)
	}
}

// TestStreamIsNotCalledAfterClosed: nor is anything else asked of it, before core
// has come to act on what it was told.
func TestStreamIsNotCalledAfterClosed(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	other := &fakeStream{room: 1 << 20}
	var err error
	if other.sc, err = w.th.AdoptStream(other, w.eng.VHost("default"), ""); err != nil {
		t.Fatal(err)
	}
	other.inWrite = func() { w.f.sc.Closed(nil) } // that of the first
	other.sc.Feed([]byte("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n"))
	w.conn.Pause()
	w.conn.Close(1000, "")
	w.conn.Pending()
	w.k.Drive()
	if w.f.after != 0 {
		t.Errorf("%d calls after Closed", w.f.after)
	}
	if w.ended != 1 || w.f.closes != 0 {
		t.Errorf("%d Closed, %d closes", w.ended, w.f.closes)
	}
}

// TestStreamIsNotPausedAfterClosed: nor is it paused at the end of the same service.
func TestStreamIsNotPausedAfterClosed(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.f.inWrite = func() { w.f.sc.Closed(nil) } // and takes all of it
	w.f.sc.Feed([]byte(textFrame("a") + textFrame("pause")))
	w.k.Drive()
	if w.f.after != 0 || w.f.closes != 0 || w.ended != 1 {
		t.Errorf("%d calls after Closed, %d closes, %d Closed", w.f.after, w.f.closes, w.ended)
	}
}

// TestHolderClosedInsideSend: the same inside Send.
func TestHolderClosedInsideSend(t *testing.T) {
	for _, err := range []error{nil, io.ErrClosedPipe} {
		w, h := newHolderWorld(t, 0)
		h.fails, h.closesInside = err, true
		w.feed(textFrame("a") + textFrame("pause")) // both at the end of one service
		w.conn.Resume()
		w.k.Advance(3*time.Second + 1)
		if w.f.after != 0 || w.f.closes != 0 || w.ended != 1 {
			t.Errorf("%v: %d calls after Closed, %d closes, %d Closed", err, w.f.after, w.f.closes, w.ended)
		}
	}
}

// TestStreamHangupDoesNotSpin: when what a gone peer has left is read, the
// connection ends, without one turn after the other until HangupTimeout.
func TestStreamHangupDoesNotSpin(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.feed(textFrame("pause"))
	w.feed(textFrame("pause"))
	w.f.sc.Closed(nil)
	for range 2 {
		w.conn.Resume()
		w.k.Drive() // a violation of the kernel's if it spins
	}
	if w.ended != 1 {
		t.Errorf("%d Closed when all is read", w.ended)
	}
}

// TestStreamFailedWriteDoesNotSpin: nor while the peer may still send.
func TestStreamFailedWriteDoesNotSpin(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.f.refuses = io.ErrClosedPipe
	w.feed(textFrame("a"))
	w.conn.Pause()
	w.feed(textFrame("pause"))
	for range 2 {
		w.conn.Resume()
		w.k.Drive() // a violation of the kernel's if it spins
	}
	if w.ended != 0 {
		t.Fatal("ended before HangupTimeout")
	}
	w.k.Advance(3*time.Second + 1)
	if w.ended != 1 || w.f.closes != 1 || !errors.Is(w.cause, io.ErrClosedPipe) {
		t.Errorf("%d Closed with %v, %d closes", w.ended, w.cause, w.f.closes)
	}
}

// TestStreamClosedBehindAPauseAndEOF: what was fed before both is not lost.
func TestStreamClosedBehindAPauseAndEOF(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.feed(textFrame("pause"))
	w.feed(textFrame("drop"))
	w.f.sc.EOF()
	w.f.sc.Closed(nil)
	w.conn.Resume()
	w.k.Drive()
	if w.ended != 1 || !errors.Is(w.cause, ErrDrop) {
		t.Errorf("%d Closed with %v", w.ended, w.cause)
	}
}

// TestStreamClosedAfterEOFIsAnError: of a response that is cut off the handler
// hears more than nil.
func TestStreamClosedAfterEOFIsAnError(t *testing.T) {
	h := &headThenBody{}
	f, settle := newHTTPStream(t, h)
	f.sc.Feed([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\n"))
	f.sc.EOF()
	f.sc.Closed(nil)
	settle()
	if h.closed != 1 || h.cause == nil {
		t.Errorf("%d Closed with %v", h.closed, h.cause)
	}
}

// TestStreamEndsOnceAtFlush: an orderly end behind Buffered bytes closes once, also
// if Room comes again.
func TestStreamEndsOnceAtFlush(t *testing.T) {
	w := newStreamWorld(t)
	w.f.unsent, w.f.late = 3, true
	w.feed("GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n")
	if w.f.cw != 0 {
		t.Errorf("half-closed with bytes Buffered")
	}
	w.f.unsent = 0
	for range 3 {
		w.f.sc.Room()
		w.k.Drive()
	}
	if w.f.cw != 1 || w.f.closes != 0 {
		t.Errorf("%d half-closes, %d closes", w.f.cw, w.f.closes)
	}
	w.f.sc.EOF()
	w.f.sc.Room()
	if w.f.closes != 1 {
		t.Errorf("%d closes", w.f.closes)
	}
	w.f.sc.Closed(nil)
	if n := strings.Count(string(w.f.took), "HTTP/1.1 404"); n != 1 {
		t.Errorf("%d responses", n)
	}
}

// TestStreamStaleRoom: a Room that came from inside a Write is not taken for one
// that follows a later, short Write.
func TestStreamStaleRoom(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.f.room = 0
	w.f.inWrite = func() { w.f.sc.Room() }
	w.f.sc.Feed([]byte(textFrame("a"))) // refused, with a Room from inside that is noted
	w.f.inWrite = nil
	w.f.sc.Room() // before core has come to it: refused again
	writes := 0
	w.f.inWrite = func() { writes++ }
	w.k.Drive()
	if writes != 0 {
		t.Errorf("%d Writes after a short count without Room", writes)
	}
	w.f.room = 1 << 20
	w.f.sc.Room()
	w.took("\x81\x01a")
}

// TestStreamEOFBehindPipelinedRequests: requests that wait for the ones before
// them are answered, though the peer has half-closed meanwhile.
func TestStreamEOFBehindPipelinedRequests(t *testing.T) {
	h := &headThenBody{body: make([]byte, 20000)} // too much to be answered together
	f, settle := newHTTPStream(t, h)
	get := "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	f.sc.Feed([]byte(get + get + get))
	f.sc.EOF()
	for range 10 {
		f.room = 5000
		f.sc.Room()
		settle()
	}
	f.room = 1 << 20
	f.sc.Room()
	settle()
	if n := strings.Count(string(f.took), "HTTP/1.1 200"); n != 3 || h.cause != nil || f.closes != 1 {
		t.Errorf("%d responses of 3, Closed with %v, %d closes", n, h.cause, f.closes)
	}
}

// TestStreamEOFWhileFlushing: a response that ends the connection is sent to its
// end, though the peer has half-closed meanwhile.
func TestStreamEOFWhileFlushing(t *testing.T) {
	for _, choked := range []bool{true, false} {
		f, settle := newHTTPStream(t, &headThenBody{})
		if !choked {
			f.room, f.unsent = 1<<20, 10 // taken, not sent
		}
		f.sc.Feed([]byte("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\nbehind it"))
		f.sc.EOF()
		settle()
		if f.closes != 0 {
			t.Errorf("choked %v: closed with the response unsent", choked)
		}
		f.room, f.unsent = 1<<20, 0
		f.sc.Room()
		settle()
		if n := strings.Count(string(f.took), "HTTP/1.1 200"); n != 1 || f.closes != 1 {
			t.Errorf("choked %v: %d responses, %d closes", choked, n, f.closes)
		}
	}
}

// TestStreamEOFKeepsWhatIsBuffered: what the engine has taken is sent, also when the
// end of the input comes in the middle of something.
func TestStreamEOFKeepsWhatIsBuffered(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.feed(textFrame("a") + "\x81") // an answer, and half a frame
	w.f.unsent = 3
	w.f.sc.EOF()
	w.k.Drive()
	if w.f.closes != 0 || w.ended != 0 {
		t.Fatalf("%d closes with bytes Buffered", w.f.closes)
	}
	w.f.unsent = 0
	w.f.sc.Room()
	w.k.Drive()
	if w.f.closes != 1 || w.ended != 1 || w.cause == nil {
		t.Errorf("%d closes, %d Closed with %v", w.f.closes, w.ended, w.cause)
	}
}

// newHTTPStream adopts a stream without room for an engine with one handler.
// settle turns the engine until it rests.
func newHTTPStream(t *testing.T, h HTTPHandler) (f *fakeStream, settle func()) {
	t.Helper()
	k := sim.New(sim.Options{})
	eng, err := New(Config{Backend: k, VHosts: []VHost{{Protocols: []Protocol{{Name: "h", HTTP: func(*Conn) HTTPHandler { return h }}}}}})
	if err != nil {
		t.Fatal(err)
	}
	f = &fakeStream{}
	k.Drive()
	if f.sc, err = eng.threads[0].AdoptStream(f, eng.VHost("default"), ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eng.Stop(-1)
		k.Advance(time.Second)
		select {
		case <-eng.Done():
		default:
			t.Errorf("not ended: %d links", eng.threads[0].nlinks)
		}
		k.Check(t)
	})
	return f, k.Drive
}

// headThenBody answers each request once, with no thought for who asks.
type headThenBody struct {
	requests, answers, early, closed int
	cause                            error
	body                             []byte
}

func (h *headThenBody) Request(c *Conn, _ *Request) error {
	h.requests++
	return c.RequestWritable()
}

func (h *headThenBody) Writable(_ *Conn, w *HTTPWriter) error {
	if h.answers++; h.answers > h.requests {
		h.early++
	}
	return w.Respond(200, nil, h.body)
}

func (h *headThenBody) Closed(_ *Conn, err error) { h.closed, h.cause = h.closed+1, err }
