package core_test

import (
	"bytes"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// leaver is a vhost that is going to be removed, with an address of its own.
type leaver struct {
	w         *crowd
	vh        *core.VirtualHost
	addr      string
	peers     []*sim.Peer
	visits    int
	turns     []int // in which there were visits
	most      int   // visits in one of them
	inTurn    int
	destroyed []int // how many Closed callbacks the crowd had had at each Destroy
}

// leaving adds a vhost with n WebSockets to a crowd.
func (w *crowd) leaving(name string, n int) *leaver {
	w.t.Helper()
	v := &leaver{w: w, addr: name + ":80"}
	var err error
	v.vh, err = w.eng.AddVHost(core.VHost{Name: name, Addr: v.addr, Protocols: []core.Protocol{{
		Name: "p", AnyName: true, WS: func(*core.Conn) core.WSHandler { return &crowdHandler{w: w} },
		Destroy: func(*core.VirtualHost) {
			if w.k.Dial(v.addr) != nil {
				w.t.Errorf("%s is destroyed and still listens", name)
			}
			v.destroyed = append(v.destroyed, len(w.closed))
		}}}})
	if err != nil {
		w.t.Fatal(err)
	}
	v.join(n)
	w.visits, w.most = 0, 0
	return v
}

// join opens n more.
func (v *leaver) join(n int) {
	v.w.t.Helper()
	for n > 0 {
		from := len(v.peers)
		for range min(n, crowdBatch) {
			p := v.w.k.Dial(v.addr)
			p.WriteString(handshake + "\r\n")
			v.peers = append(v.peers, p)
		}
		n -= len(v.peers) - from
		v.w.k.Drive()
		for _, p := range v.peers[from:] {
			if b := v.w.read(p); !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
				v.w.t.Fatalf("no upgrade: %q", b)
			}
		}
	}
}

// visit counts visits of v's conns.
func (v *leaver) visit(c *core.Conn) {
	if c.VHost() != v.vh {
		return
	}
	turn := v.w.k.Counts().Turns
	if len(v.turns) == 0 || v.turns[len(v.turns)-1] != turn {
		v.turns = append(v.turns, turn)
		v.inTurn = 0
	}
	v.visits++
	v.inTurn++
	v.most = max(v.most, v.inTurn)
}

// told checks that each of v's peers got one goodbye, and nothing else.
func (v *leaver) told() {
	v.w.t.Helper()
	for i, p := range v.peers {
		if b := v.w.read(p); len(b) < 4 || b[0] != 0x88 || b[2] != 1001>>8 || b[3] != 1001&255 || len(b) != 2+int(b[1]) {
			v.w.t.Fatalf("%s: peer %d got % x, want one Close with 1001", v.addr, i, b)
		}
	}
}

// answered answers the goodbyes, and checks that v has come to its end: n of the
// crowd's conns are closed by then, each once.
func (v *leaver) answered(n int) {
	v.w.t.Helper()
	for _, p := range v.peers {
		p.Write(closeFrame)
		p.CloseWrite()
	}
	v.w.k.Drive()
	v.w.closedOnce(n)
	if len(v.destroyed) != 1 || v.destroyed[0] != n {
		v.w.t.Errorf("%s: Destroy came after %v Closed, want once after %d", v.addr, v.destroyed, n)
	}
	for i, p := range v.peers {
		if !p.Gone() {
			v.w.t.Fatalf("%s: peer %d is still connected", v.addr, i)
		}
	}
}

// closedOnce checks that n conns have had a Closed, each one.
func (w *crowd) closedOnce(n int) {
	w.t.Helper()
	seen := map[*core.Conn]bool{}
	for _, c := range w.closed {
		if seen[c.c] {
			w.t.Fatalf("%v was closed twice", c.c)
		}
		seen[c.c] = true
	}
	if len(seen) != n {
		w.t.Fatalf("%d were closed, want %d", len(seen), n)
	}
}

var closeFrame = func() []byte {
	p := frame(8, true, "\x03\xe9")
	return p[:len(p):len(p)]
}()

// newHosts starts an engine whose address has the named vhosts, in this order, and
// counts visits.
func newHosts(t *testing.T, visit func(*core.Conn), vhosts ...core.VHost) *world {
	w := newWorld(t, sim.Options{Nameless: true, Capacity: 4096}, core.Config{
		Limits: core.Limits{AcceptBatch: crowdBatch, MaxConns: -1, HeaderPool: 8 * core.TurnBatch}, VHosts: vhosts})
	w.k.Drive()
	core.OnVisit(t, visit)
	return w
}

// get asks for a page of host.
func get(p *sim.Peer, host string) { p.WriteString("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n") }

// by returns who has answered: what named writes.
func by(p *sim.Peer) string {
	got := string(p.Read())
	i, j := strings.Index(got, "<"), strings.Index(got, ">")
	if i < 0 || j < i {
		return got
	}
	return got[i+1 : j]
}
