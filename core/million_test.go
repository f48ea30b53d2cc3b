package core_test

import (
	"errors"
	"flag"
	"runtime"
	"slices"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

var million = flag.Int("million", 0, "connections of TestMillion; 0: 150,000, or 10,000 with -short and under the race detector")

// TestMillion: very many WebSockets in one process. Each has its time limits, each
// is sent exactly one Ping when that is due, those that answer live on and the
// others end when PongTimeout says so, to the nanosecond, and no turn does more
// than its share. (go test -run TestMillion -million 1000000; examples/bench has it
// as a command, with more figures.)
func TestMillion(t *testing.T) {
	n := *million
	if n == 0 {
		n = crowded(150_000, 10_000)
	}
	before := heap()
	w := newCrowd(t, n, core.Limits{})
	t.Logf("%d connections, %d bytes each", n, (heap()-before)/int64(n))
	start := w.k.Now()

	w.k.Advance(40*time.Second - 1)
	if w.visits != 0 {
		t.Errorf("%d links were visited before anything was due", w.visits)
	}
	w.k.Advance(1)
	if w.most != core.TurnBatch || w.visits != n {
		t.Errorf("%d visits, at most %d in a turn, want %d, %d", w.visits, w.most, n, core.TurnBatch)
	}
	for i, p := range w.peers {
		if b := w.read(p); !isPing(b) {
			t.Fatalf("peer %d of %d got % x at %v, want one Ping", i, n, b, w.k.Now().Sub(start))
		}
		if i%2 == 0 {
			p.Write(pongFrame)
		}
	}
	w.visits, w.most = 0, 0
	w.k.Advance(10*time.Second - 1)
	if len(w.closed) != 0 || w.visits != 0 {
		t.Fatalf("%d have ended, %d were visited before PongTimeout", len(w.closed), w.visits)
	}
	w.k.Advance(1)
	var le *core.LimitError
	for _, c := range w.closed {
		if !errors.As(c.err, &le) || le.Limit != "PongTimeout" {
			t.Fatalf("ended by %v", c.err)
		}
	}
	for i, p := range w.peers {
		if gone := i%2 != 0; p.Gone() != gone || len(w.read(p)) > 0 {
			t.Fatalf("peer %d: gone is %v", i, p.Gone())
		}
	}
	if most, _ := w.mostClosed(); len(w.closed) != n/2 || most > core.TurnBatch || w.most > core.TurnBatch {
		t.Errorf("%d have ended, at most %d in a turn, with at most %d visits; want %d, %d, %[5]d", len(w.closed), most, w.most, n/2, core.TurnBatch)
	}
	w.k.Advance(30*time.Second - 1)
	if len(w.closed) != n/2 || w.visits != n/2 {
		t.Errorf("%d have ended, %d visits before the second Ping", len(w.closed), w.visits)
	}
	w.k.Advance(1)
	for i := 0; i < n; i += 2 {
		if !isPing(w.read(w.peers[i])) {
			t.Fatalf("peer %d got no second Ping", i)
		}
	}
}

// TestConnectionBytes: what a WebSocket that has echoed a message takes of the
// heap, the simulated kernel's two ends and wire apart, for few and for many: no
// table grows faster than the number of connections.
func TestConnectionBytes(t *testing.T) {
	if core.Debugging {
		t.Skip("the race detector allocates, too")
	}
	for _, n := range []int{2_000, crowded(20_000, 8_000)} {
		w := newCrowd(t, 1_000, core.Limits{}) // tables and pools that there are anyway
		w.peers, w.opened = slices.Grow(w.peers, n), slices.Grow(w.opened, n)
		before := heap()
		w.join(n)
		for _, p := range w.peers[1_000:] {
			p.Write(frame(1, true, "hello"))
			w.k.Drive()
			if got := w.read(p); string(got) != "\x81\x05hello" {
				t.Fatalf("got %q", got)
			}
		}
		all := heap() - before
		before = heap()
		k := sim.New(sim.Options{})
		for range n {
			k.Pipe()
		}
		ends := heap() - before
		runtime.KeepAlive(k)
		bytes := float64(all-ends)/float64(n) - float64(core.VirtualWire)
		t.Logf("%d: %.1f bytes per connection, and %d of the virtual wire", n, bytes, core.VirtualWire)
		if bytes > 300 {
			t.Errorf("%.1f bytes per connection", bytes)
		}
		runtime.KeepAlive(w)
	}
}

// TestWakeCostsWhatIsPending: a wake-up with 10 pending connections, timers that are
// due, and a turn with nothing to do, cost the same among 1,000 connections as among
// very many: in visits, in calls of the kernel, and in allocated bytes, which a list
// of all connections would show in.
func TestWakeCostsWhatIsPending(t *testing.T) {
	type cost struct {
		visits, turns, reads, writes, changes int
		bytes                                 uint64
	}
	var costs []cost
	for _, n := range []int{1_000, crowded(100_000, 20_000)} {
		w := newCrowd(t, n, core.Limits{PingInterval: -1, PongTimeout: -1})
		th := w.eng.Thread(0)
		some := w.opened[n/2:][:10]
		round := func() (c cost) {
			for _, c := range some {
				th.AfterFunc(time.Second, func() { c.RequestWritable() })
			}
			var m, after runtime.MemStats
			from := w.k.Counts()
			w.visits = 0
			runtime.ReadMemStats(&m)
			th.Post(func() {
				for _, c := range some {
					c.RequestWritable()
				}
			})
			w.k.Drive()
			w.eng.Wake()
			w.k.Drive()
			w.k.Advance(time.Second) // the timers
			w.k.Drive()
			runtime.ReadMemStats(&after)
			k := w.k.Counts()
			return cost{w.visits, k.Turns - from.Turns, k.Reads - from.Reads, k.Writes - from.Writes, k.Changes - from.Changes, after.TotalAlloc - m.TotalAlloc}
		}
		round()
		c := round()
		for range 3 { // the runtime allocates a little of its own, now and then
			next := round()
			next.bytes = min(next.bytes, c.bytes)
			if c.bytes = next.bytes; c != next {
				t.Errorf("%d connections: once %+v, then %+v", n, c, next)
			}
		}
		costs = append(costs, c)
		w.visits = 0
		if w.k.Turn() || w.visits != 0 {
			t.Errorf("%d connections: an idle turn visited %d", n, w.visits)
		}
	}
	few, many := costs[0], costs[1]
	t.Logf("%+v", many)
	if few.visits != 20 || few.writes != 20 || few.reads != 0 || few.changes != 0 {
		t.Errorf("among few: %+v, want 20 visits and writes and no reads or changes", few)
	}
	if many.bytes > few.bytes+4096 {
		t.Errorf("%d bytes among few, %d among many", few.bytes, many.bytes)
	}
	if few.bytes = many.bytes; few != many {
		t.Errorf("among few %+v, among many %+v", few, many)
	}
}

// TestAFreedPlaceCostsWhatWaits: at MaxConns, a connection that ends lets one in that
// waits, at the same cost among few as among many.
func TestAFreedPlaceCostsWhatWaits(t *testing.T) {
	var costs []uint64
	for _, n := range []int{1_000, 20_000} {
		w := newCrowd(t, n, core.Limits{PingInterval: -1, PongTimeout: -1, MaxConns: n})
		round := func(leaves int) uint64 {
			waits := w.k.Dial(host)
			waits.WriteString(handshake + "\r\n")
			w.k.Drive()
			if waits.Received() != 0 {
				t.Fatalf("%d connections: one more than MaxConns", n)
			}
			var m, after runtime.MemStats
			runtime.ReadMemStats(&m)
			w.peers[leaves].Reset()
			w.k.Drive()
			runtime.ReadMemStats(&after)
			if waits.Received() == 0 {
				t.Fatalf("%d connections: none gets in when one has gone", n)
			}
			return after.TotalAlloc - m.TotalAlloc
		}
		round(n / 2)
		costs = append(costs, min(round(n/3), round(n/4), round(n/5))) // the runtime allocates a little of its own, now and then
	}
	if few, many := costs[0]/4096, costs[1]/4096; many > few+1 {
		t.Errorf("%d bytes among few, %d among many", costs[0], costs[1])
	}
}
