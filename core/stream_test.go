package core

import (
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// fakeStream is a connection whose socket an engine owns: it copies what it has
// room for, and lets go when it is told to.
type fakeStream struct {
	sc      loop.StreamConn
	took    []byte
	room    int
	unsent  int // reported as Buffered
	pauses  []bool
	closes  int
	late    bool  // Closed comes from the test, not from Close
	dies    error // Write closes the connection from inside
	refuses error // Write answers so
	cwError error
	cw      int
	inWrite func()
	after   int // calls of core's since the engine has said Closed
}

// call notes a call of core's.
func (f *fakeStream) call() {
	if w, ok := f.sc.(*streamWire); ok && (w.gone || w.noted&noteClosed != 0) {
		f.after++
	}
}

func (f *fakeStream) Write(head, tail []byte) (int, error) {
	f.call()
	if f.inWrite != nil {
		f.inWrite()
	}
	if f.dies != nil {
		f.sc.Closed(f.dies)
		return 0, f.dies
	}
	if f.refuses != nil {
		return 0, f.refuses
	}
	all := append(append([]byte(nil), head...), tail...)
	n := min(len(all), f.room)
	f.took, f.room = append(f.took, all[:n]...), f.room-n
	return n, nil
}
func (f *fakeStream) Buffered() int      { f.call(); return f.unsent }
func (f *fakeStream) PauseInput(on bool) { f.call(); f.pauses = append(f.pauses, on) }
func (f *fakeStream) CloseWrite() error  { f.call(); f.cw++; return f.cwError }
func (f *fakeStream) Close() error {
	f.call()
	f.closes++
	if !f.late {
		f.sc.Closed(nil)
	}
	return nil
}

// streamWorld is an engine on a simulated kernel with one stream.
type streamWorld struct {
	t      *testing.T
	k      *sim.Kernel
	eng    *Engine
	th     *Thread
	f      *fakeStream
	conn   *Conn
	ended  int
	cause  error
	writes int
}

type streamHandler struct {
	w   *streamWorld
	out *Outbox
}

func (h *streamHandler) Receive(c *Conn, f Fragment) error {
	switch string(f.Data) {
	case "pause":
		return c.Pause()
	case "drop":
		return ErrDrop
	case "panic":
		panic("asked to")
	}
	return h.out.Send(Message{Data: f.Data, Binary: f.Binary})
}
func (h *streamHandler) Writable(_ *Conn, w *WSWriter) error { h.w.writes++; return h.out.Writable(w) }
func (h *streamHandler) Closed(_ *Conn, err error)           { h.w.ended++; h.w.cause = err }

func newStreamWorld(t *testing.T) *streamWorld {
	t.Helper()
	f := &fakeStream{room: 1 << 20}
	return newStreamWorldOf(t, f, f)
}

// newStreamWorldOf adopts s, whose state is f.
func newStreamWorldOf(t *testing.T, s loop.Stream, f *fakeStream) *streamWorld {
	t.Helper()
	w := &streamWorld{t: t, k: sim.New(sim.Options{}), f: f}
	eng, err := New(Config{Backend: w.k, VHosts: []VHost{{Protocols: []Protocol{{Name: "e", WS: func(c *Conn) WSHandler {
		w.conn = c
		return &streamHandler{w, NewOutbox(c, PauseSource)}
	}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.eng, w.th = eng, eng.threads[0]
	w.k.Drive()
	w.f.sc, err = w.th.AdoptStream(s, eng.VHost("default"), "engine:1")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eng.Stop(-1)
		w.k.Advance(time.Second)
		select {
		case <-eng.Done():
		default:
			t.Errorf("not ended: %d links", w.th.nlinks)
		}
		w.k.Check(t)
	})
	return w
}

// feed hands over bytes in a buffer that is the engine's own again afterwards.
func (w *streamWorld) feed(p string) {
	buf := []byte(p)
	w.f.sc.Feed(buf)
	clear(buf)
	w.k.Drive()
}

func (w *streamWorld) upgrade() {
	w.t.Helper()
	for _, piece := range []string{"GET / HTTP/1.1\r\nHost: h\r\nUpgrade: web", "socket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"} {
		w.feed(piece)
	}
	if !strings.HasPrefix(string(w.f.took), "HTTP/1.1 101") {
		w.t.Fatalf("%q", w.f.took)
	}
	w.f.took = nil
}

func (w *streamWorld) took(want string) {
	w.t.Helper()
	if string(w.f.took) != want {
		w.t.Errorf("the engine took %q, want %q", w.f.took, want)
	}
	w.f.took = nil
}

func textFrame(s string) string {
	return string(append([]byte{0x81, 0x80 | byte(len(s)), 0, 0, 0, 0}, s...))
}

func TestStreamEchoes(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.feed(textFrame("a") + textFrame("b"))
	w.took("\x81\x01a\x81\x01b")
	frame := textFrame("split")
	for _, b := range []byte(frame) {
		w.feed(string([]byte{b}))
	}
	w.took("\x81\x01s\x81\x01p\x81\x01l\x81\x01i\x81\x01t") // piece by piece
	if got := w.conn.Peer(); got != "engine:1" {
		t.Errorf("peer %q", got)
	}
}

// TestStreamBackpressure: what the engine refuses is kept, and nobody may write
// until it says that there is room.
func TestStreamBackpressure(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.f.room = 2
	w.feed(textFrame("choke"))
	w.took("\x81\x05")
	w.f.room = 100
	w.conn.RequestWritable()
	w.k.Drive()
	if w.writes != 0 {
		t.Errorf("%d Writables while choked", w.writes)
	}
	w.f.sc.Room()
	w.k.Drive()
	w.took("choke")
	if w.writes != 1 {
		t.Errorf("%d Writables after it", w.writes)
	}
	w.f.sc.Room() // needless
	w.took("")
}

// TestStreamPause: the engine is told once each way; a late feed is kept.
func TestStreamPause(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.feed(textFrame("pause"))
	if len(w.f.pauses) != 1 || !w.f.pauses[0] {
		t.Fatalf("told %v", w.f.pauses)
	}
	w.feed(textFrame("late"))
	w.took("")
	w.conn.Resume()
	w.k.Drive()
	w.took("\x81\x04late")
	if len(w.f.pauses) != 2 || w.f.pauses[1] {
		t.Errorf("told %v", w.f.pauses)
	}
}

// TestStreamClosesWhenAllIsSent: an orderly end waits for what the engine holds,
// for at most FlushTimeout.
func TestStreamClosesWhenAllIsSent(t *testing.T) {
	for _, patient := range []bool{true, false} {
		w := newStreamWorld(t)
		w.upgrade()
		w.f.unsent = 5
		w.feed(string([]byte{0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8})) // the peer's Close
		w.took("\x88\x02\x03\xe8")
		if w.f.closes != 0 || w.ended != 0 {
			t.Fatalf("closed with bytes unsent")
		}
		if patient {
			w.f.sc.Room() // not yet all
			if w.f.closes != 0 {
				t.Fatalf("closed with bytes unsent")
			}
			w.f.unsent = 0
			w.f.sc.Room()
		} else {
			w.k.Advance(5*time.Second + 1)
		}
		if w.f.closes != 1 || w.ended != 1 {
			t.Errorf("patient %v: %d closes, %d Closed", patient, w.f.closes, w.ended)
		}
	}
}

// TestStreamEndsLate: the engine of core's waits for the stream's.
func TestStreamEndsLate(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.f.late = true
	w.eng.Stop(-1)
	w.k.Advance(time.Second)
	select {
	case <-w.eng.Done():
		t.Fatal("ended while the engine holds the connection")
	default:
	}
	if w.ended != 1 || w.f.closes != 1 {
		t.Errorf("%d Closed, %d closes", w.ended, w.f.closes)
	}
	w.f.sc.Feed([]byte(textFrame("too late")))
	w.f.sc.Room()
	w.f.sc.Closed(io.EOF)
	w.f.sc.Closed(io.EOF)
	w.k.Drive()
	if w.ended != 1 {
		t.Errorf("%d Closed", w.ended)
	}
}

// TestStreamDiesInsideWrite: an engine that closes the connection while core
// writes to it.
func TestStreamDiesInsideWrite(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.f.dies = io.ErrClosedPipe
	w.feed(textFrame("a"))
	if w.ended != 1 || w.f.closes != 0 || !errors.Is(w.cause, io.ErrClosedPipe) {
		t.Errorf("%d Closed with %v, %d closes", w.ended, w.cause, w.f.closes)
	}
	if n := w.eng.Stats().Misuses; n != 0 {
		t.Errorf("%d misuses", n)
	}
}

func TestStreamClosedByThePeer(t *testing.T) {
	for _, err := range []error{nil, io.EOF, io.ErrUnexpectedEOF} {
		w := newStreamWorld(t)
		w.upgrade()
		w.f.sc.Closed(err)
		var te *TransportError
		if w.ended != 1 || w.f.closes != 0 || !errors.As(w.cause, &te) {
			t.Errorf("%v: %d Closed with %v, %d closes", err, w.ended, w.cause, w.f.closes)
		}
	}
}

// TestStreamClosedBehindAPause: what came before the end is read after the pause,
// or given up after HangupTimeout.
func TestStreamClosedBehindAPause(t *testing.T) {
	for _, resume := range []bool{true, false} {
		w := newStreamWorld(t)
		w.upgrade()
		w.feed(textFrame("pause"))
		w.feed(textFrame("drop"))
		w.f.sc.Closed(nil)
		if w.ended != 0 {
			t.Fatal("ended with bytes unread")
		}
		if resume {
			w.conn.Resume()
			w.k.Drive()
			if w.ended != 1 || !errors.Is(w.cause, ErrDrop) {
				t.Errorf("%d Closed with %v", w.ended, w.cause)
			}
			continue
		}
		w.k.Advance(3*time.Second + 1)
		if w.ended != 1 {
			t.Errorf("%d Closed after HangupTimeout", w.ended)
		}
	}
}

// TestStreamHalfClose: the peer sends no more and gets its answer.
func TestStreamHalfClose(t *testing.T) {
	w := newStreamWorld(t)
	w.feed("GET /nothing HTTP/1.1\r\nHost: h\r\n\r\n")
	w.f.sc.EOF()
	w.k.Drive()
	if !strings.HasPrefix(string(w.f.took), "HTTP/1.1 404") || w.f.closes != 1 {
		t.Errorf("%q, %d closes", w.f.took, w.f.closes)
	}
}

func TestStreamPanicInAHandler(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.feed(textFrame("panic"))
	w.took("\x88\x02\x03\xf3")
	if w.conn.Open() {
		t.Error("still open")
	}
}

// TestStreamMisuse: an engine that feeds from inside a call of core's is named,
// and does no harm.
func TestStreamMisuse(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.th.inLoop = true
	w.f.sc.Feed([]byte(textFrame("a")))
	w.th.inLoop = false
	w.f.sc.Sent(1)
	w.took("")
	w.feed(textFrame("b"))
	w.took("\x81\x01b")
	if n := w.eng.Stats().Misuses; n != 2 {
		t.Errorf("%d misuses", n)
	}
}

func TestStreamRefused(t *testing.T) {
	k := sim.New(sim.Options{})
	eng, err := New(Config{Backend: k, Limits: Limits{MaxConns: 1}, VHosts: []VHost{{}}})
	if err != nil {
		t.Fatal(err)
	}
	th, vh := eng.threads[0], eng.VHost("default")
	a := &fakeStream{room: 1 << 20}
	if a.sc, err = th.AdoptStream(a, vh, ""); err != nil {
		t.Fatal(err)
	}
	var le *LimitError
	if _, err := th.AdoptStream(&fakeStream{}, vh, ""); !errors.As(err, &le) || le.Limit != "MaxConns" {
		t.Errorf("a second one: %v", err)
	}
	eng.Stop(-1)
	if _, err := th.AdoptStream(&fakeStream{}, vh, ""); !errors.Is(err, ErrStopped) {
		t.Errorf("after Stop: %v", err)
	}
	k.Advance(time.Second)
	<-eng.Done()
	k.Check(t)
}

// TestStreamDetached: a stream cannot leave its engine.
func TestStreamDetached(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	w.f.late = true
	w.eng.Detach()
	if w.f.closes != 1 || w.ended != 0 {
		t.Errorf("%d closes, %d Closed", w.f.closes, w.ended)
	}
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	if w.ended != 1 || !errors.Is(w.cause, errStreamDetach) {
		t.Errorf("%d Closed with %v", w.ended, w.cause)
	}
	w.f.sc.Closed(nil) // from the loop that was left: nothing
}
