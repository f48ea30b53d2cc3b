package core

import (
	"bytes"
	"testing"
	"unsafe"

	"anyloop/core/loop/sim"
)

// TestSharedOnAHolder: an engine that sends from what it is given is given the
// shared memory itself; with bytes in front of it those go first; what is written
// while it is out comes behind it.
func TestSharedOnAHolder(t *testing.T) {
	text := bytes.Repeat([]byte("together "), 50)
	s := NewShared(Message{Data: text})
	for step := 1; step <= len(s.plain); step += 37 {
		w, h := newHolderWorld(t, 0)
		out := w.conn.link.role.(*wsRole).h.(*streamHandler).out
		if err := out.SendShared(s); err != nil {
			t.Fatal(err)
		}
		w.k.Drive()
		if unsafe.SliceData(h.out) != unsafe.SliceData(s.plain) || len(h.out) != len(s.plain) {
			t.Fatal("the engine was given a copy")
		}
		if got := out.Pending(); got != len(s.plain) {
			t.Errorf("%d bytes wait", got)
		}
		out.SendShared(s) // waits above
		h.send(min(step, len(h.out)))
		w.k.Drive()
		w.pump(h)
		w.took(string(s.plain) + string(s.plain))
		w.feed(textFrame("x")) // the rest is the answer's, the reference follows it
		l := w.conn.link
		w.th.begin(l)
		l.sendShared(s.plain)
		w.th.finishService(l)
		if l.pending() != 3+len(s.plain) {
			t.Errorf("%d bytes wait", l.pending())
		}
		h.send(1)
		w.pump(h)
		w.took("\x81\x01x" + string(s.plain))
		l.th.begin(l)
		l.sendShared(s.plain)
		w.th.finishService(l)
		h.send(step % len(s.plain))
		w.feed("\x83\x80mask") // broken: a Close is appended while the reference is out
		w.pump(h)
		if got := h.took; !bytes.HasPrefix(got, append(bytes.Clone(s.plain), 0x88)) {
			t.Errorf("%q", got)
		}
		h.took = nil
	}
}

// TestSharedLosesItsWire: what waits is forgotten with the wire.
func TestSharedLosesItsWire(t *testing.T) {
	w, h := newHolderWorld(t, 0)
	s := NewShared(Message{Data: make([]byte, 100)})
	out := w.conn.link.role.(*wsRole).h.(*streamHandler).out
	out.SendShared(s)
	w.k.Drive()
	l := w.conn.link
	h.out = nil
	h.sc.Closed(nil)
	w.k.Drive()
	if w.ended != 1 || l.pending() != 0 || l.choked() {
		t.Errorf("ended %d times, %d bytes wait", w.ended, l.pending())
	}
}

// TestOutboxReleases: an outbox that has caught up keeps nothing, nor does its
// conn's list of those to be told.
func TestOutboxReleases(t *testing.T) {
	k := sim.New(sim.Options{Capacity: 1000})
	var out *Outbox
	eng, err := New(Config{Backend: k, VHosts: []VHost{{Addr: "h:80", Protocols: []Protocol{{Name: "e", WS: func(c *Conn) WSHandler {
		out = NewOutbox(c, Refuse)
		return &streamHandler{&streamWorld{}, out}
	}}}}}})
	if err != nil {
		t.Fatal(err)
	}
	k.Drive()
	p := k.Dial("h:80")
	p.WriteString("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	k.Drive()
	p.Stall(true)
	for range 100 {
		out.Send(Message{Data: make([]byte, 100)})
		k.Drive()
	}
	if out.q == nil || out.q.len() < 80 || out.c.endList() == nil {
		t.Fatal("nothing waits")
	}
	p.Stall(false)
	k.Drive()
	if out.q != nil || out.c.endList() != nil || out.c.link.choked() || out.c.link.left() {
		t.Errorf("queue %v, list %v, store %v", out.q, out.c.endList(), out.c.link.store)
	}
	out.SendFrom(Message{Data: make([]byte, 100)})
	k.Drive()
	if r := out.reach.Load(); out.q != nil || len(r.items) != 0 || r.bytes+r.waits+r.held != 0 {
		t.Errorf("after SendFrom: %+v, queue %v", r, out.q)
	}
	eng.Stop(-1)
	k.Drive()
	if out.c.endList() != nil || !out.reach.Load().closed {
		t.Error("not told of the end")
	}
}

// TestConnSize: a link and its conn stay in one allocation of at most 160 bytes.
func TestConnSize(t *testing.T) {
	if n := unsafe.Sizeof(link{}); n > 160 {
		t.Errorf("%d bytes", n)
	}
	if n := unsafe.Sizeof(messageHandler{}); n > 32 {
		t.Errorf("OnMessage: %d bytes", n)
	}
}
