package core

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// muxRole is a link with many conns, as HTTP/2 will be: it proves that nothing
// above the link assumes one. Frames are: conn number, kind, length, data.
type muxRole struct {
	baseRole
	conns map[byte]*muxConn
}

type muxConn struct {
	c      *Conn
	credit int
	got    []byte
	held   []byte // received while paused: bounded by the window
	writes int
	greedy bool // asks again in every Writable
	closed error
	ended  int
}

const (
	muxData   = 'd'
	muxCredit = 'c'
	muxClose  = 'x'
)

func (*muxRole) name() string { return "mux" }

func (r *muxRole) add(l *link, n byte, credit int) *muxConn {
	c := &Conn{link: l, id: l.th.nextID()}
	c.setVHost(l.own().vh())
	c.flags |= cfOpened
	m := &muxConn{c: c, credit: credit}
	r.conns[n] = m
	return m
}

func (r *muxRole) of(c *Conn) (byte, *muxConn) {
	for n, m := range r.conns {
		if m.c == c {
			return n, m
		}
	}
	return 0, nil
}

func (r *muxRole) input(l *link, p []byte) int {
	used := 0
	for len(p)-used >= 3 && len(p)-used >= 3+int(p[used+2]) {
		n, kind, data := p[used], p[used+1], p[used+3:used+3+int(p[used+2])]
		used += 3 + len(data)
		m := r.conns[n]
		if m == nil {
			continue
		}
		switch kind {
		case muxData:
			if m.c.pause != 0 {
				m.held = append(m.held, data...)
			} else {
				m.got = append(m.got, data...)
			}
		case muxCredit:
			m.credit += int(data[0])
			if m.c.flags&cfAsked != 0 {
				l.th.queue(m.c)
			}
		}
	}
	return used
}

func (r *muxRole) writable(c *Conn) {
	n, m := r.of(c)
	m.writes++
	m.credit--
	b := c.link.outbuf(4)
	*b = append(*b, n, muxData, 1, 'w')
	if m.greedy {
		c.RequestWritable()
	}
}

func (r *muxRole) drained(l *link) {
	for _, m := range r.conns {
		m.c.flags |= cfUnchoke
		l.th.queue(m.c)
	}
}

func (r *muxRole) allowance(c *Conn) int {
	if _, m := r.of(c); m != nil {
		return m.credit
	}
	return 0
}

func (r *muxRole) pausing(c *Conn, paused bool) {
	if _, m := r.of(c); m != nil && !paused {
		m.got, m.held = append(m.got, m.held...), nil
	}
}

func (r *muxRole) closeConn(c *Conn, cause error) {
	n, m := r.of(c)
	if m == nil {
		c.link.doom(cause)
		return
	}
	b := c.link.outbuf(3)
	*b = append(*b, n, muxClose, 0)
	c.end(cause)
	c.link.th.unqueue(c)
	delete(r.conns, n)
}

func (r *muxRole) handler(c *Conn) any {
	if _, m := r.of(c); m != nil {
		return m
	}
	return nil
}

func (m *muxConn) Closed(_ *Conn, err error) { m.closed = err; m.ended++ }

func (r *muxRole) gone(l *link, err error) {
	for _, m := range r.conns {
		m.c.end(err)
		l.th.unqueue(m.c)
	}
	l.own().end(err)
}

// muxWorld is an engine with one mux link of 100 conns.
func muxWorld(t *testing.T, capacity int) (*sim.Kernel, *Engine, *sim.Peer, *link, *muxRole) {
	t.Helper()
	k := sim.New(sim.Options{Capacity: capacity})
	eng, err := New(Config{Backend: k, VHosts: []VHost{{}}})
	if err != nil {
		t.Fatal(err)
	}
	k.Drive()
	fd, peer := k.Pipe()
	r := &muxRole{conns: map[byte]*muxConn{}}
	l := eng.threads[0].newLink(fd, r)
	l.own().setVHost(eng.VHost("default"))
	if err := l.watch(loop.In); err != nil {
		t.Fatal(err)
	}
	for n := range byte(100) {
		r.add(l, n, 1000)
	}
	t.Cleanup(func() {
		eng.Stop(-1)
		k.Advance(time.Second)
		if k.Files() != 0 {
			t.Errorf("%d descriptors left", k.Files())
		}
		k.Check(t)
	})
	return k, eng, peer, l, r
}

func TestMuxServesConnsInTurn(t *testing.T) {
	k, eng, _, _, r := muxWorld(t, 1<<16)
	for _, m := range r.conns {
		m.greedy = true
		m.c.RequestWritable()
	}
	for range 50 {
		eng.threads[0].ServicePending()
	}
	for n, m := range r.conns {
		if m.writes != 50 {
			t.Errorf("conn %d had %d turns of 50", n, m.writes)
		}
		m.greedy = false
	}
	k.Drive()
}

func TestMuxCreditIsPerConn(t *testing.T) {
	k, _, peer, _, r := muxWorld(t, 1<<16)
	a, b := r.conns[1], r.conns[2]
	a.credit = 0
	a.c.RequestWritable()
	b.c.RequestWritable()
	k.Drive()
	if a.writes != 0 || b.writes != 1 {
		t.Fatalf("without credit %d writes, with it %d", a.writes, b.writes)
	}
	peer.Write([]byte{1, muxCredit, 1, 5})
	k.Drive()
	if a.writes != 1 {
		t.Errorf("%d writes after the credit came", a.writes)
	}
}

func TestMuxPauseIsPerConn(t *testing.T) {
	k, _, peer, l, r := muxWorld(t, 1<<16)
	a, b := r.conns[1], r.conns[2]
	a.c.Pause()
	peer.Write([]byte{1, muxData, 2, 'a', 'a', 2, muxData, 2, 'b', 'b'})
	k.Drive()
	if len(a.got) != 0 || string(b.got) != "bb" {
		t.Errorf("paused got %q, the other %q", a.got, b.got)
	}
	if ev, _ := k.Interest(int(l.fd)); ev != loop.In {
		t.Errorf("the link's interest is %v: one conn's pause is not the link's", ev)
	}
	a.c.Resume()
	if string(a.got) != "aa" {
		t.Errorf("after Resume %q", a.got)
	}
}

func TestMuxCloseIsPerConn(t *testing.T) {
	k, _, peer, l, r := muxWorld(t, 1<<16)
	a, b := r.conns[1], r.conns[2]
	a.c.Close(4000, "one of many")
	k.Drive()
	var ce *CloseError
	if a.ended != 1 || !errors.As(a.closed, &ce) || ce.Code != 4000 {
		t.Errorf("closed %d times with %v", a.ended, a.closed)
	}
	if got := peer.Read(); !bytes.Equal(got, []byte{1, muxClose, 0}) {
		t.Errorf("the peer got %q", got)
	}
	if l.is(lfDead) || b.ended != 0 {
		t.Error("the link ended with one of its conns")
	}
	if err := a.c.RequestWritable(); !errors.Is(err, ErrConnClosed) {
		t.Errorf("a verb on the dead conn: %v", err)
	}
	peer.Reset()
	k.Drive()
	if b.ended != 1 {
		t.Errorf("closed %d times when the link broke", b.ended)
	}
}

func TestMuxChokeIsTheLinks(t *testing.T) {
	k, _, peer, l, r := muxWorld(t, 10)
	peer.Stall(true)
	for _, m := range r.conns {
		m.greedy = true
		m.c.RequestWritable()
	}
	k.Drive()
	if !l.choked() {
		t.Fatal("not choked")
	}
	before := 0
	for _, m := range r.conns {
		before += m.writes
		m.greedy = false
	}
	k.Drive()
	after := 0
	for _, m := range r.conns {
		after += m.writes
	}
	if after != before {
		t.Errorf("%d writes while choked", after-before)
	}
	peer.Stall(false)
	k.Drive()
	for n, m := range r.conns {
		if m.writes == 0 {
			t.Errorf("conn %d was never served", n)
		}
	}
}
