//go:build unix

package core

import (
	"io"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/loops/poll"
)

// stealWorld is an engine over a nested loop with one stream of an engine that
// holds what it sends, and a connected pair of sockets for it to give up.
type stealWorld struct {
	t         *testing.T
	eng       *Engine
	loop      *poll.Loop
	h         *fakeHolder
	mine, far int
	closed    int
}

func newStealWorld(t *testing.T, inside int) *stealWorld {
	t.Helper()
	b := poll.Backend(poll.Nested())
	w := &stealWorld{t: t, h: &fakeHolder{inside: inside}}
	eng, err := New(Config{Backend: b, VHosts: []VHost{{Protocols: []Protocol{{Name: "e", WS: func(c *Conn) WSHandler {
		return &stealEcho{w, NewOutbox(c, PauseSource)}
	}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.eng, w.loop = eng, b.Thread(0)
	w.pass()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.mine, w.far = pair[0], pair[1]
	syscall.SetNonblock(w.far, true)
	if w.h.sc, err = eng.threads[0].AdoptStream(w.h, eng.VHost("default"), ""); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		syscall.Close(w.far)
		eng.Stop(-1)
		for end := time.Now().Add(time.Minute); ; {
			w.pass()
			select {
			case <-eng.Done():
				return
			default:
			}
			if time.Now().After(end) {
				t.Fatal("the engine does not end")
			}
		}
	})
	w.h.sc.Feed([]byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"))
	return w
}

// pass turns the loop a few times: what is ready now is ready at once.
func (w *stealWorld) pass() {
	w.t.Helper()
	for range 5 {
		if _, err := w.loop.Pass(0); err != nil {
			w.t.Fatal(err)
		}
	}
}

// arrived is what the far end has got.
func (w *stealWorld) arrived() string {
	buf := make([]byte, 4096)
	n, _ := syscall.Read(w.far, buf)
	return string(buf[:max(n, 0)])
}

type stealEcho struct {
	w   *stealWorld
	out *Outbox
}

func (h *stealEcho) Receive(_ *Conn, f Fragment) error   { return h.out.Send(Message{Data: f.Data}) }
func (h *stealEcho) Writable(_ *Conn, w *WSWriter) error { return h.out.Writable(w) }
func (h *stealEcho) Closed(*Conn, error)                 { h.w.closed++ }

// TestStealDoesNotSendTwice: what the engine has reported from inside Send is not
// sent again over the socket that it gives up right after.
func TestStealDoesNotSendTwice(t *testing.T) {
	w := newStealWorld(t, 1<<20)
	if !strings.HasPrefix(string(w.h.took), "HTTP/1.1 101") {
		t.Fatalf("%q", w.h.took)
	}
	if err := w.h.sc.Steal(w.mine, []byte(textFrame("early"))); err != nil {
		t.Fatal(err)
	}
	if _, err := io.WriteString(fdWriter(w.far), textFrame("later")); err != nil {
		t.Fatal(err)
	}
	w.pass()
	if got := w.arrived(); got != "\x81\x05early\x81\x05later" {
		t.Errorf("over the socket came %q", got)
	}
	if w.h.after != 0 || w.h.closes != 0 {
		t.Errorf("%d calls of the stream after Closed, %d closes", w.h.after, w.h.closes)
	}
}

// TestStealWithASendOut: an engine that holds bytes cannot give up the socket. The
// connection ends, and the descriptor is the engine's.
func TestStealWithASendOut(t *testing.T) {
	w := newStealWorld(t, 0)
	if len(w.h.out) == 0 {
		t.Fatal("no Send is out")
	}
	if err := w.h.sc.Steal(w.mine, nil); err != errStreamHolds {
		t.Errorf("Steal: %v", err)
	}
	if err := syscall.Close(w.mine); err != nil {
		t.Errorf("the descriptor: %v", err)
	}
	w.pass()
	if w.closed != 1 || w.h.closes != 0 {
		t.Errorf("%d Closed, %d closes", w.closed, w.h.closes)
	}
}

type fdWriter int

func (fd fdWriter) Write(p []byte) (int, error) { return syscall.Write(int(fd), p) }
