package core_test

import (
	"errors"
	"slices"
	"testing"
	"time"

	"anyloop/core"
)

// batches is how many full turns n pieces of work take, and a few that belong to
// the beginning and the end.
func batches(n int) (least, most int) {
	least = (n + core.TurnBatch - 1) / core.TurnBatch
	return least, least + 2
}

// TestLimitsDueAtOnceLeaveRoom: while very many time limits are due at the same
// moment, other connections are answered and timers run in between, and the limits
// are served in order.
func TestLimitsDueAtOnceLeaveRoom(t *testing.T) {
	const n = 8 * core.TurnBatch
	w := newCrowd(t, n, core.Limits{PongTimeout: -1})
	busy := w.peers[n-1] // its own Ping comes last
	timer := 0
	w.eng.Thread(0).AfterFunc(40*time.Second, func() { timer = w.visits })
	answered := 0
	var order []uint64
	w.onVisit = func(c *core.Conn) {
		order = append(order, c.ID())
		if len(order) == 2*core.TurnBatch {
			busy.Write(frame(1, true, "hello"))
		}
		if answered == 0 && busy.Received() > len(switching)+6 {
			answered = len(order)
		}
	}
	w.k.Advance(40 * time.Second)
	if timer != core.TurnBatch {
		t.Errorf("the timer ran after %d visits, want it in the first turn, %d", timer, core.TurnBatch)
	}
	if answered == 0 || answered > 3*core.TurnBatch+1 {
		t.Errorf("a message that came with visit %d was answered before visit %d", 2*core.TurnBatch, answered)
	}
	if len(order) != n || !slices.IsSorted(order) || w.most != core.TurnBatch {
		t.Errorf("%d visits, in order: %v, at most %d in a turn", len(order), slices.IsSorted(order), w.most)
	}
	for i, p := range w.peers[:n-1] {
		if !isPing(w.read(p)) {
			t.Fatalf("peer %d got no Ping", i)
		}
	}
}

// switching is what each peer of a crowd gets first.
const switching = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"

// TestTimersDueAtOnceLeaveRoom: the same for users' timers.
func TestTimersDueAtOnceLeaveRoom(t *testing.T) {
	const n = 5 * core.TurnBatch
	w := newCrowd(t, 1, core.Limits{})
	th := w.eng.Thread(0)
	perTurn := map[int]int{}
	ran, answered := 0, 0
	for i := range n {
		th.AfterFunc(time.Second, func() {
			if ran != i {
				t.Fatalf("timer %d ran as number %d", i, ran)
			}
			ran++
			perTurn[w.k.Counts().Turns]++
			if ran == core.TurnBatch/2 {
				w.peers[0].Write(frame(1, true, "hello"))
			}
			if answered == 0 && string(w.read(w.peers[0])) == "\x81\x05hello" {
				answered = ran
			}
		})
	}
	w.k.Advance(time.Second)
	for _, k := range perTurn {
		if k != core.TurnBatch {
			t.Errorf("%d timers ran in a turn, want %d", k, core.TurnBatch)
		}
	}
	if ran != n || answered != core.TurnBatch+1 {
		t.Errorf("%d timers ran; a message was answered before number %d", ran, answered)
	}
}

// TestPendingIsBoundedPerTurn: conns that a callback has dropped all at once end in
// order, a bounded number a turn, while others are served.
func TestPendingIsBoundedPerTurn(t *testing.T) {
	const n = 6*core.TurnBatch + 100
	w := newCrowd(t, n, core.Limits{})
	busy := w.peers[n-1]
	then := w.k.Now()
	w.eng.Post(func() {
		for _, c := range w.opened[:n-1] {
			c.Drop()
		}
	})
	answered := 0
	w.onVisit = func(*core.Conn) {
		if w.visits == core.TurnBatch/2 {
			busy.Write(frame(1, true, "hello"))
		}
		if answered == 0 && string(w.read(busy)) == "\x81\x05hello" {
			answered = w.visits
		}
	}
	w.k.Drive()
	w.instant("dropping all", then)
	for i, c := range w.closed {
		if c.c != w.opened[i] || !errors.Is(c.err, core.ErrDrop) {
			t.Fatalf("number %d was %v: %v", i, c.c, c.err)
		}
	}
	most, turns := w.mostClosed()
	if least, atMost := batches(n - 1); len(w.closed) != n-1 || most != core.TurnBatch || turns < least || turns > atMost {
		t.Errorf("%d ended, at most %d in a turn, in %d turns; want %d, %d, %d to %d", len(w.closed), most, turns, n-1, core.TurnBatch, least, atMost)
	}
	if w.most > core.TurnBatch || answered == 0 || answered > core.TurnBatch+1 {
		t.Errorf("at most %d visits in a turn; a message that came with visit %d was answered before visit %d", w.most, core.TurnBatch/2, answered)
	}
}

// TestPendingWorkKeepsItsOrder: what is asked for while a long list is worked
// through comes behind it, and all of it is done.
func TestPendingWorkKeepsItsOrder(t *testing.T) {
	const n = 3*core.TurnBatch + 7
	w := newCrowd(t, n, core.Limits{})
	again := 0
	var order []uint64
	w.onVisit = func(c *core.Conn) {
		order = append(order, c.ID())
		if i := len(order) - 2; i >= 0 && again < 2*core.TurnBatch {
			again++
			w.opened[i].RequestWritable() // it has had its Writable: anew, behind all
		}
	}
	w.eng.Post(func() {
		for _, c := range w.opened {
			c.RequestWritable()
		}
	})
	w.k.Drive()
	want := make([]uint64, 0, n)
	for _, c := range w.opened {
		want = append(want, c.ID())
	}
	if len(order) != n+again || !slices.Equal(order[:n], want) || !slices.Equal(order[n:], want[:again]) {
		t.Errorf("%d visits, want %d in order and %d of them again, in order", len(order), n, again)
	}
	if w.most > core.TurnBatch {
		t.Errorf("%d visits in a turn", w.most)
	}
	if w.eng.Thread(0).AdjustTimeout(-1) == 0 {
		t.Error("work is left")
	}
}

// TestStopIsBoundedPerTurn: goodbyes, and what CloseTimeout or the grace time cuts
// off, are a bounded number a turn; the listener closes in the first one.
func TestStopIsBoundedPerTurn(t *testing.T) {
	n := crowded(16, 5)*core.TurnBatch + 300
	w := newCrowd(t, n, core.Limits{CloseTimeout: -1})
	if _, err := w.eng.AddVHost(core.VHost{Name: "late", Addr: "late:80", Protocols: []core.Protocol{echoProtocol()}}); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	th := w.eng.Thread(0)
	ran := false
	th.AfterFunc(0, func() { ran = true })
	w.eng.Stop(7 * time.Second)
	turn := 0
	w.onVisit = func(*core.Conn) {
		if w.turns != turn { // the first of a turn
			turn = w.turns
			if w.visits > core.TurnBatch && !ran {
				t.Error("a timer waits for all goodbyes")
			}
		}
		if w.visits == core.TurnBatch/2 && (w.k.Dial(host) != nil || w.k.Dial("late:80") != nil) {
			t.Error("still listening")
		}
	}
	then := w.k.Now()
	w.k.Drive()
	w.instant("the goodbyes", then)
	if w.most > core.TurnBatch+2 || w.visits < n { // the listeners are two more
		t.Errorf("%d goodbyes, at most %d in a turn", w.visits, w.most)
	}
	for i, p := range w.peers {
		if b := w.read(p); len(b) < 4 || b[0] != 0x88 || b[2] != 1001>>8 || b[3] != 1001&255 || len(b) != 2+int(b[1]) {
			t.Fatalf("peer %d got % x, want one Close with 1001", i, b)
		}
	}
	w.k.Advance(7*time.Second - 1)
	if len(w.closed) != 0 {
		t.Fatalf("%d ended before the grace time did", len(w.closed))
	}
	w.k.Advance(1)
	w.cutAll(n)
}

// cutAll checks that all n were ended by Stop, a bounded number a turn, in hardly
// more turns than that takes.
func (w *crowd) cutAll(n int) {
	w.t.Helper()
	for _, c := range w.closed {
		if !errors.Is(c.err, core.ErrStopped) {
			w.t.Fatalf("ended by %v", c.err)
		}
	}
	most, turns := w.mostClosed()
	least, atMost := batches(n)
	if len(w.closed) != n || most > core.TurnBatch || turns < least || turns > atMost {
		w.t.Errorf("%d ended, at most %d in a turn, in %d turns; want %d, %d, %d to %d", len(w.closed), most, turns, n, core.TurnBatch, least, atMost)
	}
	if o := w.opens(); o > 0 {
		w.t.Errorf("%d are still connected", o)
	}
	select {
	case <-w.eng.Done():
	default:
		w.t.Error("the engine has not ended")
	}
	w.end = true
}

// TestStopAtOnceIsBoundedPerTurn: without grace, too, and without delay.
func TestStopAtOnceIsBoundedPerTurn(t *testing.T) {
	const n = 5*core.TurnBatch + 1
	w := newCrowd(t, n, core.Limits{})
	then := w.k.Now()
	w.eng.Stop(-1)
	w.k.Drive()
	w.instant("the end", then)
	w.cutAll(n)
}

// TestCloseTimeoutAfterStopIsBoundedPerTurn: nobody answers the goodbyes.
func TestCloseTimeoutAfterStopIsBoundedPerTurn(t *testing.T) {
	const n = 5*core.TurnBatch + 1
	w := newCrowd(t, n, core.Limits{CloseTimeout: time.Second})
	w.eng.Stop(0)
	w.k.Advance(time.Second - 1)
	if len(w.closed) != 0 {
		t.Fatalf("%d ended early", len(w.closed))
	}
	w.k.Advance(1)
	w.cutAll(n)
}
