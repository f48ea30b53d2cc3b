package core_test

import (
	"bytes"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// crowd is many WebSockets over virtual wires, all opened at the same moment, so
// that all of their time limits are due at the same moment, too.
type crowd struct {
	*world
	peers   []*sim.Peer
	buf     []byte
	closed  []closing // in order of their Closed
	opened  []*core.Conn
	visits  int // since the start
	turns   int // the turn of the last visit
	inTurn  int // visits in it
	most    int // of any turn
	onVisit func(c *core.Conn)
}

// closing is a Closed callback.
type closing struct {
	c    *core.Conn
	err  error
	turn int
}

// crowdHandler echoes, and tells the crowd of its life.
type crowdHandler struct {
	w   *crowd
	msg []byte
}

func (h *crowdHandler) Opened(c *core.Conn, _ *core.Request) error {
	h.w.opened = append(h.w.opened, c)
	return nil
}

func (h *crowdHandler) Receive(c *core.Conn, f core.Fragment) error {
	h.msg = append(h.msg, f.Data...)
	return c.RequestWritable()
}

func (h *crowdHandler) Writable(c *core.Conn, w *core.WSWriter) error {
	msg := h.msg
	h.msg = nil
	return w.Text(msg)
}

func (h *crowdHandler) Closed(c *core.Conn, err error) {
	h.w.closed = append(h.w.closed, closing{c, err, h.w.k.Counts().Turns})
}

// newCrowd opens n WebSockets; lim may set time limits.
func newCrowd(t *testing.T, n int, lim core.Limits) *crowd {
	t.Helper()
	w := &crowd{}
	if lim.AcceptBatch = crowdBatch; lim.MaxConns == 0 {
		lim.MaxConns = -1
	}
	w.world = newWorld(t, sim.Options{Nameless: true, Capacity: 4096}, core.Config{Limits: lim, VHosts: []core.VHost{{Protocols: []core.Protocol{{
		Name: "crowd", AnyName: true, WS: func(*core.Conn) core.WSHandler { return &crowdHandler{w: w} }}}}}})
	core.OnVisit(t, w.visit)
	w.join(n)
	w.visits, w.most = 0, 0
	return w
}

// crowdBatch is how many join at a time.
const crowdBatch = 512

// join opens n more.
func (w *crowd) join(n int) {
	w.t.Helper()
	for n > 0 {
		some := min(n, crowdBatch)
		n -= some
		from := len(w.peers)
		for range some {
			p := w.k.Dial(host)
			p.WriteString(handshake + "\r\n")
			w.peers = append(w.peers, p)
		}
		w.k.Drive()
		for _, p := range w.peers[from:] {
			if b := w.read(p); !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
				w.t.Fatalf("no upgrade: %q", b)
			}
		}
	}
}

// read returns what p has received, until the next read.
func (w *crowd) read(p *sim.Peer) []byte {
	w.buf = p.ReadTo(w.buf[:0])
	return w.buf
}

func (w *crowd) visit(c *core.Conn) {
	if turn := w.k.Counts().Turns; turn != w.turns {
		w.turns, w.inTurn = turn, 0
	}
	w.visits++
	w.inTurn++
	w.most = max(w.most, w.inTurn)
	if w.onVisit != nil {
		w.onVisit(c)
	}
}

// mostClosed returns the largest number of Closed callbacks of one turn, and the
// number of turns that had some.
func (w *crowd) mostClosed() (most, turns int) {
	n := 0
	for i, c := range w.closed {
		if i == 0 || c.turn != w.closed[i-1].turn {
			n = 0
			turns++
		}
		n++
		most = max(most, n)
	}
	return most, turns
}

// opens counts the peers that are still connected.
func (w *crowd) opens() int {
	n := 0
	for _, p := range w.peers {
		if !p.Gone() {
			n++
		}
	}
	return n
}

var pongFrame = ws.AppendFrame(nil, ws.Header{Op: ws.Pong, Fin: true, Masked: true, Mask: testMask}, nil)

// isPing reports whether b is one Ping of a server's, and nothing else.
func isPing(b []byte) bool { return len(b) == 10 && b[0] == 0x89 && b[1] == 8 }

// crowded returns many, or few where everything takes longer.
func crowded(many, few int) int {
	if testing.Short() || core.Debugging {
		return few
	}
	return many
}

// instant fails the test if virtual time is not what it was.
func (w *crowd) instant(what string, then time.Time) {
	w.t.Helper()
	if now := w.k.Now(); !now.Equal(then) {
		w.t.Errorf("%s took %v of virtual time", what, now.Sub(then))
	}
}
