package core

import (
	"bytes"
	"errors"
	"hash/crc32"
	"strings"
	"testing"
	"time"
)

// fakeHolder is a connection of an engine that sends from what it is given.
type fakeHolder struct {
	fakeStream
	sends        int
	out          []byte // as given
	sum          uint32
	inside       int // sent and reported inside Send
	fails        error
	closesInside bool // Send closes the connection
	dirty        int  // times that what is out was found changed
}

func (f *fakeHolder) Write([]byte, []byte) (int, error) { panic("a holder is not written to") }

func (f *fakeHolder) Send(p []byte) error {
	if len(f.out) > 0 || len(p) == 0 {
		panic("a Send while one is out, or of nothing")
	}
	f.call()
	if f.closesInside {
		f.sc.Closed(f.fails)
		return f.fails
	}
	if f.fails != nil {
		return f.fails
	}
	f.sends++
	f.out, f.sum = p, crc32.ChecksumIEEE(p)
	if f.inside > 0 {
		f.send(f.inside)
	}
	return nil
}

// send has n bytes on their way.
func (f *fakeHolder) send(n int) {
	n = min(n, len(f.out))
	if crc32.ChecksumIEEE(f.out) != f.sum {
		f.dirty++
	}
	f.took = append(f.took, f.out[:n]...)
	f.out = f.out[n:]
	f.sum = crc32.ChecksumIEEE(f.out)
	f.sc.Sent(n)
}

// holderWorld is streamWorld with a holder.
func newHolderWorld(t *testing.T, inside int) (*streamWorld, *fakeHolder) {
	t.Helper()
	h := &fakeHolder{inside: inside}
	w := newStreamWorldOf(t, h, &h.fakeStream)
	w.t.Cleanup(func() {
		if h.dirty != 0 {
			t.Errorf("memory of a Send was changed %d times while it was out", h.dirty)
		}
	})
	for _, piece := range []string{"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: web", "socket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"} {
		w.feed(piece)
	}
	w.pump(h)
	if !strings.HasPrefix(string(h.took), "HTTP/1.1 101") {
		t.Fatalf("%q", h.took)
	}
	h.took = nil
	return w, h
}

// pump sends all that is out, and what follows.
func (w *streamWorld) pump(h *fakeHolder) {
	for n := 0; len(h.out) > 0; n++ {
		h.send(len(h.out))
		w.k.Drive()
		if n > 1000 {
			w.t.Fatal("there is no end of Sends")
		}
	}
}

// TestHolderHasOneSend: what is written while a Send is out waits for it, and goes
// out in the order of the writing.
func TestHolderHasOneSend(t *testing.T) {
	w, h := newHolderWorld(t, 0)
	sends := h.sends
	w.feed(textFrame("a"))
	if h.sends != sends+1 {
		t.Fatalf("%d Sends for one answer", h.sends-sends)
	}
	w.feed(textFrame("b") + textFrame("c"))
	if h.sends != sends+1 {
		t.Fatalf("a Send while one is out")
	}
	w.pump(h)
	w.took("\x81\x01a\x81\x01b\x81\x01c")
	if len(w.f.pauses)%2 != 0 {
		t.Errorf("still paused: %v", w.f.pauses)
	}
}

// TestHolderSendsInPieces: byte by byte, with answers in between.
func TestHolderSendsInPieces(t *testing.T) {
	w, h := newHolderWorld(t, 0)
	w.feed(textFrame("hello"))
	for i := 0; len(h.out) > 0; i++ {
		h.send(1)
		w.k.Drive()
		if i == 2 {
			w.feed(textFrame("there"))
		}
	}
	w.pump(h)
	w.took("\x81\x05hello\x81\x05there")
}

// TestHolderReportsInside: Sent comes from inside Send, in part or whole.
func TestHolderReportsInside(t *testing.T) {
	for _, inside := range []int{1, 3, 1 << 20} {
		w, h := newHolderWorld(t, inside)
		want := ""
		for _, word := range []string{"a", "bc", "def"} {
			w.feed(textFrame(word))
			w.pump(h)
			want += string([]byte{0x81, byte(len(word))}) + word
		}
		w.took(want)
	}
}

// TestHolderMemoryIsUntouched: while a Send is out, more output, a pause, and the
// thread's other connections leave its memory alone.
func TestHolderMemoryIsUntouched(t *testing.T) {
	w, h := newHolderWorld(t, 0)
	big := strings.Repeat("0123456789", 12) // as much as a short frame holds
	w.feed(textFrame(big))
	out := h.out
	before := bytes.Clone(out)
	for range 40 {
		w.feed(textFrame("x"))
	}
	other := &fakeStream{room: 1 << 20}
	var err error
	if other.sc, err = w.th.AdoptStream(other, w.eng.VHost("default"), ""); err != nil {
		t.Fatal(err)
	}
	other.sc.Feed([]byte("GET /nothing HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
	w.k.Drive()
	if !bytes.Equal(out, before) {
		t.Error("the memory of a Send has changed")
	}
	h.send(5)
	w.feed(textFrame("y"))
	if !bytes.Equal(out, before) {
		t.Error("the memory of a Send has changed when part of it was sent")
	}
	w.pump(h)
	w.took(string(before) + strings.Repeat("\x81\x01x", 40) + "\x81\x01y")
}

// TestHolderClosedWithASendOut: nothing is sent after it.
func TestHolderClosedWithASendOut(t *testing.T) {
	w, h := newHolderWorld(t, 0)
	w.feed(textFrame("a"))
	sends := h.sends
	w.f.sc.Closed(nil)
	w.k.Drive()
	if w.ended != 1 || h.sends != sends || w.f.closes != 0 {
		t.Errorf("%d Closed, %d Sends, %d closes", w.ended, h.sends-sends, w.f.closes)
	}
}

// TestHolderClosesWhenAllIsSent: an orderly end waits for Sent, for at most
// FlushTimeout.
func TestHolderClosesWhenAllIsSent(t *testing.T) {
	for _, patient := range []bool{true, false} {
		w, h := newHolderWorld(t, 0)
		w.feed(string([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8})) // the peer's Close
		if len(h.out) != 4 || w.f.closes != 0 {
			t.Fatalf("%q out, %d closes", h.out, w.f.closes)
		}
		if !patient {
			w.k.Advance(5*time.Second + 1)
		} else {
			h.send(3)
			w.k.Drive()
			if w.f.closes != 0 {
				t.Fatal("closed with bytes unsent")
			}
			h.send(1)
			w.k.Drive()
		}
		if w.f.closes != 1 || w.ended != 1 {
			t.Errorf("patient %v: %d closes, %d Closed", patient, w.f.closes, w.ended)
		}
	}
}

// TestHolderSentTooMuch is a misuse that is named and does no harm.
func TestHolderSentTooMuch(t *testing.T) {
	w, h := newHolderWorld(t, 0)
	w.feed(textFrame("abc"))
	for _, n := range []int{len(h.out) + 1, -1} {
		w.f.sc.Sent(n)
	}
	w.f.sc.Sent(0)
	w.k.Drive()
	if n := w.eng.Stats().Misuses; n != 2 {
		t.Errorf("%d misuses", n)
	}
	w.pump(h)
	w.took("\x81\x03abc")
	w.f.sc.Sent(1) // nothing is out
	w.k.Drive()
	if n := w.th.misused.Load(); n != 3 {
		t.Errorf("%d misuses", n)
	}
}

// TestHolderSendFails ends the connection.
func TestHolderSendFails(t *testing.T) {
	w, h := newHolderWorld(t, 0)
	h.fails = errors.New("no")
	w.feed(textFrame("a"))
	w.k.Advance(3*time.Second + 1) // HangupTimeout, for what the peer has left
	if w.ended != 1 || !errors.Is(w.cause, h.fails) || w.f.closes != 1 {
		t.Errorf("%d Closed with %v, %d closes", w.ended, w.cause, w.f.closes)
	}
}

// TestWritableWaitsForItsRequest: a connection that was choked is offered a writer
// when it is not any more, but not that of a request which has begun to arrive
// and which the handler has not heard of.
func TestWritableWaitsForItsRequest(t *testing.T) {
	h := &headThenBody{}
	f, settle := newHTTPStream(t, h)
	f.sc.Feed([]byte("GET / HTTP/1.1\r\nHost: h\r\n\r\nGET /"))
	f.room = 1 << 20
	f.sc.Room()
	settle()
	if h.early != 0 || h.requests != 1 {
		t.Errorf("%d requests, %d Writables before theirs", h.requests, h.early)
	}
	f.sc.Feed([]byte(" HTTP/1.1\r\nHost: h\r\n\r\n"))
	settle()
	if n := strings.Count(string(f.took), "HTTP/1.1 200"); n != 2 {
		t.Errorf("%d responses", n)
	}
}
