package core_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// perTurn counts visits of conns that have a vhost.
type perTurn struct {
	k           *sim.Kernel
	all, most   int
	turn, share int
}

func (n *perTurn) visit(c *core.Conn) {
	if c.VHost() == nil {
		return
	}
	if turn := n.k.Counts().Turns; turn != n.turn {
		n.turn, n.share = turn, 0
	}
	n.all++
	n.share++
	n.most = max(n.most, n.share)
}

// dialMany opens connections that send nothing.
func (w *world) dialMany(n int) (peers []*sim.Peer) {
	w.t.Helper()
	for range n {
		peers = append(peers, w.k.Dial(host))
		if len(peers)%crowdBatch == 0 {
			w.k.Drive()
		}
	}
	w.k.Drive()
	return peers
}

// TestRemoveHandsOnABoundedNumberPerTurn: clients that have not said what they want,
// to the vhost that is left on the address; who says it meanwhile is none of those.
func TestRemoveHandsOnABoundedNumberPerTurn(t *testing.T) {
	const n, early = 4*core.TurnBatch + 30, 300
	var seen perTurn
	var peers []*sim.Peer
	w := newHosts(t, func(c *core.Conn) {
		seen.visit(c)
		if seen.all == 5 {
			for i, p := range peers[:early] { // the oldest, whose turn comes last
				get(p, []string{"leaves.test", "stays.test", "nobody.test"}[i%3])
			}
		}
	}, named("leaves.test"), named("stays.test"))
	seen.k = w.k
	peers = w.dialMany(n)
	seen.all = 0
	w.eng.VHost("leaves.test").Remove()
	w.k.Drive()
	if seen.all != n-early || seen.most != core.TurnBatch {
		t.Errorf("%d visits, at most %d in a turn; want %d, %d", seen.all, seen.most, n-early, core.TurnBatch)
	}
	for _, p := range peers[early:] {
		get(p, "leaves.test")
	}
	w.k.Drive()
	for i, p := range peers {
		if got := by(p); got != "stays.test" || p.EOF() {
			t.Fatalf("client %d was served by %s; closed: %v", i, got, p.EOF())
		}
	}
}

// TestConnsThatMoveWhileRemoving: connections that the vhost has served end, but for
// those that have come to another one in time.
func TestConnsThatMoveWhileRemoving(t *testing.T) {
	const n, early = 3*core.TurnBatch + 30, 300
	var seen perTurn
	var peers []*sim.Peer
	w := newHosts(t, func(c *core.Conn) {
		seen.visit(c)
		if seen.all == 5 {
			for _, p := range peers[:early] {
				get(p, "stays.test")
			}
		}
	}, named("leaves.test"), named("stays.test"))
	seen.k = w.k
	peers = w.dialMany(n)
	for _, p := range peers {
		get(p, "leaves.test")
	}
	w.k.Drive()
	for i, p := range peers {
		if got := by(p); got != "leaves.test" {
			t.Fatalf("client %d was served by %s", i, got)
		}
	}
	seen.all = 0
	w.eng.VHost("leaves.test").Remove()
	w.k.Drive()
	if seen.all != n-early || seen.most != core.TurnBatch {
		t.Errorf("%d visits, at most %d in a turn; want %d, %d", seen.all, seen.most, n-early, core.TurnBatch)
	}
	for i, p := range peers {
		if got := by(p); i < early && (got != "stays.test" || p.EOF()) || i >= early && (got != "" || !p.EOF()) {
			t.Fatalf("client %d was served by %q; closed: %v", i, got, p.EOF())
		}
	}
}

// slowHTTP answers when it is asked to by RequestWritable.
type slowHTTP struct {
	order *[]uint64
	ends  *int
}

func (slowHTTP) Request(*core.Conn, *core.Request) error { return nil }
func (h slowHTTP) Writable(c *core.Conn, w *core.HTTPWriter) error {
	*h.order = append(*h.order, c.ID())
	return w.Respond(200, nil, []byte("<late>"))
}
func (h slowHTTP) Closed(*core.Conn, error) { *h.ends++ }

// TestAnswersOfARemovedVHost: requests that are being served have their answers, the
// newest first, wherever the goodbyes are at that time; each connection ends behind
// its answer, and Destroy follows the last.
func TestAnswersOfARemovedVHost(t *testing.T) {
	const n = 2*core.TurnBatch + 30
	for _, told := range []int{core.TurnBatch + 5, n} {
		t.Run(fmt.Sprint(told), func(t *testing.T) {
			var order []uint64
			ends, destroyed := 0, []int{}
			var seen perTurn
			var ask func()
			w := newHosts(t, func(c *core.Conn) {
				if seen.visit(c); seen.all == told {
					ask()
				}
			}, core.VHost{Name: "leaves.test", Protocols: []core.Protocol{{Name: "slow",
				HTTP:    func(c *core.Conn) core.HTTPHandler { return slowHTTP{&order, &ends} },
				Destroy: func(*core.VirtualHost) { destroyed = append(destroyed, ends) }}}})
			seen.k = w.k
			peers := w.dialMany(n)
			for _, p := range peers {
				get(p, "x")
			}
			w.k.Drive()
			vh := w.eng.VHost("leaves.test")
			ask = func() { w.eng.Post(func() { vh.RequestWritable("slow") }) }
			seen.all = 0
			vh.Remove()
			w.k.Drive()
			for i, p := range peers {
				if got := by(p); got != "late" || !p.EOF() {
					t.Fatalf("client %d was served by %q; closed: %v", i, got, p.EOF())
				}
				p.Close()
			}
			w.k.Drive()
			if !slices.Equal(destroyed, []int{n}) {
				t.Errorf("Destroy came after %v Closed, want once after %d", destroyed, n)
			}
			if told == n && !slices.IsSortedFunc(order, func(a, b uint64) int { return int(b) - int(a) }) {
				t.Error("not the newest first")
			}
		})
	}
}

// TestRemoveOnEveryThread: each thread tells its own, and Destroy comes once, when
// the last thread is through.
func TestRemoveOnEveryThread(t *testing.T) {
	const threads, n = 3, 3 * (core.TurnBatch + 10)
	ends, destroyed := 0, []int{}
	visits := map[[2]int]int{}
	w := newWorld(t, sim.Options{Nameless: true, Capacity: 4096}, core.Config{Threads: threads,
		Limits: core.Limits{AcceptBatch: crowdBatch, MaxConns: -1}, VHosts: []core.VHost{{Name: "leaves.test", Protocols: []core.Protocol{{Name: "p",
			WS:      func(*core.Conn) core.WSHandler { return closedCounter{&ends} },
			Destroy: func(*core.VirtualHost) { destroyed = append(destroyed, ends) }}}}, named("stays.test")}})
	peers := w.dialMany(n)
	for _, p := range peers {
		p.WriteString(strings.Replace(handshake, "Host: host", "Host: leaves.test", 1) + "\r\n")
	}
	w.k.Drive()
	for _, p := range peers {
		p.Read()
	}
	core.OnVisit(t, func(c *core.Conn) { visits[[2]int{c.Thread().Index(), w.k.Counts().Turns}]++ })
	w.eng.VHost("leaves.test").Remove()
	w.k.Drive()
	per := make([]int, threads)
	for at, k := range visits {
		if per[at[0]] += k; k > core.TurnBatch {
			t.Errorf("%d goodbyes in a turn", k)
		}
	}
	if want := []int{n / 3, n / 3, n / 3}; !slices.Equal(per, want) {
		t.Errorf("goodbyes by thread: %v, want %v", per, want)
	}
	for i, p := range peers {
		if b := p.Read(); len(b) < 4 || b[0] != 0x88 || b[2] != 1001>>8 || b[3] != 1001&255 || len(b) != 2+int(b[1]) {
			t.Fatalf("peer %d got % x, want one Close with 1001", i, b)
		}
		p.Write(closeFrame)
		p.CloseWrite()
	}
	w.k.Drive()
	if !slices.Equal(destroyed, []int{n}) {
		t.Errorf("Destroy came after %v Closed, want once after %d", destroyed, n)
	}
}

// TestDestroyWaitsForEveryThread: one of them may be about to bring the vhost a
// connection until it knows. To remove it again changes nothing.
func TestDestroyWaitsForEveryThread(t *testing.T) {
	destroyed := 0
	cfg := named("leaves.test")
	cfg.Protocols[0].Destroy = func(*core.VirtualHost) { destroyed++ }
	w := newWorld(t, sim.Options{}, core.Config{Threads: 3, VHosts: []core.VHost{named("stays.test"), cfg}})
	w.k.Drive()
	vh := w.eng.VHost("leaves.test")
	vh.Remove()
	vh.Remove()
	if destroyed != 0 {
		t.Error("destroyed at once")
	}
	w.k.Drive()
	vh.Remove()
	w.k.Drive()
	if destroyed != 1 {
		t.Errorf("%d Destroy", destroyed)
	}
	if got := w.servedBy("leaves.test"); got != "stays.test" {
		t.Errorf("then %s serves", got)
	}
}

// closedCounter is a WebSocket that counts its end.
type closedCounter struct{ n *int }

func (closedCounter) Receive(*core.Conn, core.Fragment) error   { return nil }
func (closedCounter) Writable(*core.Conn, *core.WSWriter) error { return nil }
func (h closedCounter) Closed(*core.Conn, error)                { *h.n++ }

// TestRemoveInInitOfALateVHost: AddVHost says so, and nothing of it is left.
func TestRemoveInInitOfALateVHost(t *testing.T) {
	for _, addr := range []string{host, "late:80"} {
		t.Run(addr, func(t *testing.T) {
			destroyed := 0
			w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{named("stays.test")}})
			w.k.Drive()
			files := w.k.Files()
			cfg := named("late.test")
			cfg.Addr = addr
			cfg.Protocols[0].Init = func(vh *core.VirtualHost) error { vh.Remove(); return nil }
			cfg.Protocols[0].Destroy = func(*core.VirtualHost) { destroyed++ }
			if _, err := w.eng.AddVHost(cfg); err == nil || !strings.Contains(err.Error(), "late.test") {
				t.Errorf("AddVHost: %v", err)
			}
			w.k.Drive()
			if destroyed != 1 || w.eng.VHost("late.test") != nil || w.k.Files() != files {
				t.Errorf("%d Destroy; found: %v; %d descriptors, %d before", destroyed, w.eng.VHost("late.test"), w.k.Files(), files)
			}
			if w.k.Dial("late:80") != nil {
				t.Error("it listens")
			}
			if got := w.servedBy("late.test"); got != "stays.test" {
				t.Errorf("then %s serves", got)
			}
			cfg.Protocols[0].Init = nil
			if _, err := w.eng.AddVHost(cfg); err != nil {
				t.Errorf("again: %v", err)
			}
		})
	}
}

// TestRequestWritableNewestFirst: whoever is still there is asked once, in the order
// of their coming, the newest first, whoever has left in between.
func TestRequestWritableNewestFirst(t *testing.T) {
	var recs []*recorder
	var order []int
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{recording("p", &recs, func(r *recorder) {
		i := len(recs)
		r.write = func(*core.Conn, *core.WSWriter) error { order = append(order, i); return nil }
	})}}}})
	var peers []*peer
	for range 20 {
		peers = append(peers, w.ws())
	}
	here := make([]bool, len(peers))
	for i := range here {
		here[i] = true
	}
	for _, leaves := range [][]int{nil, {19}, {0}, {5, 6, 7}, {18}, {1, 17}, {2, 3, 4, 8, 9, 10, 11, 12, 13, 14, 15}, {16}} {
		for _, i := range leaves {
			peers[i].Reset()
			here[i] = false
		}
		w.k.Drive()
		if len(leaves) > 0 && leaves[0] == 5 { // and one comes
			peers, here = append(peers, w.ws()), append(here, true)
		}
		order = nil
		w.eng.RequestWritable("p")
		w.k.Drive()
		var want []int
		for i := len(here) - 1; i >= 0; i-- {
			if here[i] {
				want = append(want, i)
			}
		}
		if !slices.Equal(order, want) {
			t.Errorf("without %v: %v, want %v", leaves, order, want)
		}
	}
}
