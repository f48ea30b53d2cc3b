package core_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestRemoveIsBoundedPerTurn: goodbyes are a bounded number a turn, and others are
// served in between; who belongs to other vhosts is not even looked at.
func TestRemoveIsBoundedPerTurn(t *testing.T) {
	n := crowded(16, 5)*core.TurnBatch + 300
	w := newCrowd(t, core.TurnBatch, core.Limits{CloseTimeout: -1})
	v := w.leaving("leaving", n)
	busy, timer, answered := w.peers[0], 0, 0
	w.onVisit = func(c *core.Conn) {
		v.visit(c)
		if v.visits == core.TurnBatch/2 {
			busy.Write(frame(1, true, "hello"))
			w.eng.Thread(0).AfterFunc(0, func() { timer = v.visits })
		}
		if answered == 0 && string(w.read(busy)) == "\x81\x05hello" {
			answered = v.visits
		}
	}
	then := w.k.Now()
	v.vh.Remove()
	w.k.Drive()
	w.instant("the goodbyes", then)
	w.onVisit = nil
	if v.visits != n || v.most != core.TurnBatch {
		t.Errorf("%d goodbyes, at most %d in a turn; want %d, %d", v.visits, v.most, n, core.TurnBatch)
	}
	if least, _ := batches(n); len(v.turns) != least {
		t.Errorf("%d turns, want %d", len(v.turns), least)
	}
	if timer != core.TurnBatch || answered != core.TurnBatch+1 {
		t.Errorf("a timer ran after %d goodbyes, and a message was answered before number %d", timer, answered)
	}
	if w.visits != n+1 { // and the listener
		t.Errorf("%d visits for %d goodbyes", w.visits, n)
	}
	if len(w.closed)+len(v.destroyed) != 0 {
		t.Errorf("%d ended early; Destroy: %v", len(w.closed), v.destroyed)
	}
	v.told()
	v.answered(n)
	if w.opens() != core.TurnBatch {
		t.Errorf("of the other vhost %d are left", w.opens())
	}
}

// TestRemoveSeveralAtOnceIsBoundedPerTurn: together; a small one does not wait for a
// large one.
func TestRemoveSeveralAtOnceIsBoundedPerTurn(t *testing.T) {
	const large, small = 4*core.TurnBatch + 7, 100
	w := newCrowd(t, 0, core.Limits{CloseTimeout: -1})
	a, b, c := w.leaving("a", large), w.leaving("b", small), w.leaving("c", large)
	all := &leaver{w: w}
	smallDone := 0
	w.onVisit = func(conn *core.Conn) {
		if all.vh = conn.VHost(); all.vh != nil { // not a listener
			all.visit(conn)
			b.visit(conn)
		}
		if smallDone == 0 && b.visits == small {
			smallDone = all.visits
		}
	}
	then := w.k.Now()
	for _, v := range []*leaver{a, b, c} {
		v.vh.Remove()
		v.vh.Remove() // changes nothing
	}
	w.k.Drive()
	w.instant("the goodbyes", then)
	if n := 2*large + small; all.visits != n || all.most != core.TurnBatch {
		t.Errorf("%d goodbyes, at most %d in a turn; want %d, %d", all.visits, all.most, n, core.TurnBatch)
	}
	if smallDone != core.TurnBatch+small {
		t.Errorf("the small one was done after %d goodbyes, want %d", smallDone, core.TurnBatch+small)
	}
	n := 0
	for _, v := range []*leaver{a, b, c} {
		v.told()
		n += len(v.peers)
		v.answered(n)
	}
}

// TestStopWhileRemoving: the end of the engine finds whoever is left, and nobody is
// told twice.
func TestStopWhileRemoving(t *testing.T) {
	const n = 6*core.TurnBatch + 30
	for _, grace := range []time.Duration{-1, 0, 7 * time.Second} {
		t.Run(fmt.Sprint(grace), func(t *testing.T) {
			w := newCrowd(t, 0, core.Limits{CloseTimeout: time.Minute, FlushTimeout: time.Second})
			v := w.leaving("leaving", n)
			w.onVisit = func(c *core.Conn) {
				v.visit(c)
				if v.visits == 2*core.TurnBatch+5 {
					w.eng.Stop(grace)
				}
			}
			then := w.k.Now()
			v.vh.Remove()
			w.k.Drive()
			w.instant("the goodbyes", then)
			if w.most > core.TurnBatch+1 { // the listener is one more
				t.Errorf("%d goodbyes in a turn", w.most)
			}
			if grace >= 0 {
				v.told()
				v.answered(n)
			} else {
				w.closedOnce(n)
			}
			select {
			case <-w.eng.Done():
			default:
				t.Error("the engine has not ended")
			}
			w.end = true
			if len(v.destroyed) != 1 || v.destroyed[0] != n {
				t.Errorf("Destroy came after %v Closed, want once after %d", v.destroyed, n)
			}
		})
	}
}

// TestRemoveWhileStopping: the end of the engine tells everybody; nothing is said on
// top of that.
func TestRemoveWhileStopping(t *testing.T) {
	const n = 4*core.TurnBatch + 30
	w := newCrowd(t, 0, core.Limits{CloseTimeout: time.Minute, FlushTimeout: time.Second})
	v := w.leaving("leaving", n)
	w.onVisit = func(c *core.Conn) {
		if v.visit(c); v.visits == 5 {
			v.vh.Remove()
		}
	}
	w.eng.Stop(0)
	w.k.Drive()
	if v.visits != n || v.most > core.TurnBatch {
		t.Errorf("%d goodbyes, at most %d in a turn; want %d, %d", v.visits, v.most, n, core.TurnBatch)
	}
	v.told()
	v.answered(n)
	w.end = true
}

// TestLateComersDoNotHoldUpOtherRemovals: however many clients come to a removed
// vhost in one turn, it takes turns with another one.
func TestLateComersDoNotHoldUpOtherRemovals(t *testing.T) {
	const large, small, late = 6 * core.TurnBatch, 100, 8
	w := newCrowd(t, 0, core.Limits{CloseTimeout: -1})
	a, b := w.leaving("a", large), w.leaving("b", small)
	for range late {
		p := w.k.Dial(a.addr)
		p.WriteString(handshake)
		a.peers = append(a.peers, p)
	}
	w.k.Drive()
	w.onVisit = func(c *core.Conn) {
		a.visit(c)
		if b.visit(c); c.VHost() != a.vh {
			return
		}
		switch a.visits {
		case core.TurnBatch / 2:
			for _, p := range a.peers[large:] {
				p.WriteString("\r\n")
			}
		case core.TurnBatch + 5: // in the next turn, when those have come
			b.vh.Remove()
		}
	}
	a.vh.Remove()
	w.k.Drive()
	if last := slices.Index(a.turns, b.turns[len(b.turns)-1]); b.visits != small || last < 0 || last > 3 {
		t.Errorf("the other one's %d were told in turns %v; a's turns were %v", b.visits, b.turns, a.turns)
	}
	for _, p := range a.peers[large:] {
		if got := string(w.read(p)); !strings.HasPrefix(got, "HTTP/1.1 101 ") || strings.Index(got, "\r\n\r\n\x88") != len(switching)-4 {
			t.Errorf("who came late got %q", got)
		}
	}
	a.peers = a.peers[:large]
	a.told()
	b.told()
}

// TestDetachWhileRemoving: what is left to be done is pending work, before and after
// another loop takes over.
func TestDetachWhileRemoving(t *testing.T) {
	const n = 4*core.TurnBatch + 30
	w := newCrowd(t, 0, core.Limits{CloseTimeout: -1})
	v := w.leaving("leaving", n)
	left := false
	w.onVisit = func(c *core.Conn) {
		v.visit(c)
		if v.visits == core.TurnBatch+5 && !left {
			left = true
			w.eng.Post(w.eng.Detach)
		}
	}
	v.vh.Remove()
	w.k.Drive()
	if v.visits != 2*core.TurnBatch || w.k.Watched() != 0 {
		t.Fatalf("%d goodbyes, %d descriptors watched", v.visits, w.k.Watched())
	}
	if d := w.eng.Thread(0).AdjustTimeout(-1); d != 0 {
		t.Errorf("a loop could sleep for %v", d)
	}
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	then := w.k.Now()
	w.k.Drive()
	w.instant("the rest", then)
	if v.visits != n || v.most != core.TurnBatch {
		t.Errorf("%d goodbyes, at most %d in a turn", v.visits, v.most)
	}
	if d := w.eng.Thread(0).AdjustTimeout(-1); d == 0 {
		t.Error("nothing is left to be done, and the loop does not sleep")
	}
	v.told()
	v.answered(n)
}

// TestConnsThatEndWhileRemoving: before they are told, and while others are; it does
// not matter how.
func TestConnsThatEndWhileRemoving(t *testing.T) {
	const n = 4*core.TurnBatch + 30
	w := newCrowd(t, 0, core.Limits{CloseTimeout: -1})
	v := w.leaving("leaving", n)
	told := map[*core.Conn]bool{}
	w.onVisit = func(c *core.Conn) {
		if !c.Open() { // it was dropped, and this is its end
			return
		}
		told[c] = true
		switch len(told) {
		case 5, core.TurnBatch, 2 * core.TurnBatch:
			for i, c := range w.opened {
				switch {
				case i%7 == 1:
					c.Drop()
				case i%7 == 2:
					v.peers[i].Reset()
				case i%7 == 3 && told[c]:
					v.peers[i].Write(closeFrame)
				}
			}
		}
	}
	v.vh.Remove()
	w.k.Drive()
	if len(told) < n*3/7 || len(told) == n {
		t.Errorf("%d were told", len(told))
	}
	for i, p := range v.peers {
		b := w.read(p)
		if i%7 != 1 && i%7 != 2 && (len(b) < 4 || b[0] != 0x88 || b[3] != 1001&255) {
			t.Fatalf("peer %d got % x", i, b)
		}
	}
	v.answered(n)
	for i, c := range w.closed {
		if c.err == nil {
			t.Fatalf("number %d ended without a cause", i)
		}
	}
}

// TestUpgradeAfterRemove: a client whose header was under way becomes a WebSocket of
// a vhost that is gone, and is told so.
func TestUpgradeAfterRemove(t *testing.T) {
	w := newCrowd(t, 0, core.Limits{CloseTimeout: -1})
	v := w.leaving("leaving", 1)
	late := w.k.Dial(v.addr)
	late.WriteString(handshake)
	w.k.Drive()
	v.vh.Remove()
	w.k.Drive()
	late.WriteString("\r\n")
	w.k.Drive()
	p := &peer{Peer: late, w: w.world}
	if b := w.read(late); string(b[:min(12, len(b))]) != "HTTP/1.1 101" {
		t.Fatalf("%q", b)
	} else {
		p.buf = append(p.buf, b[len(switching):]...)
	}
	p.want(`close 1001 "server is going away"`)
	v.told()
	v.peers = append(v.peers, late)
	v.answered(2)
}

// TestRemovedVHostTakesNobody: its Destroy would never come, or would have come.
func TestRemovedVHostTakesNobody(t *testing.T) {
	w := newCrowd(t, 0, core.Limits{})
	vh, err := w.eng.AddVHost(core.VHost{Name: "gone", Protocols: []core.Protocol{{Name: "p",
		WS:   core.OnMessage(echoFn),
		Raw:  func(*core.Conn) core.RawHandler { t.Error("Raw"); return nil },
		File: func(*core.Conn) core.FileHandler { t.Error("File"); return nil }}}})
	if err != nil {
		t.Fatal(err)
	}
	vh.Remove()
	th := w.eng.Thread(0)
	for i := range 2 { // before the threads know, and after
		for name, take := range map[string]func() error{
			"AdoptSocket": func() error { _, err := th.AdoptSocket(99, vh, "x", nil); return err },
			"AdoptStream": func() error { _, err := th.AdoptStream(nil, vh, "x"); return err },
			"AdoptRaw":    func() error { _, err := th.AdoptRaw(99, vh, "p", "x", nil); return err },
			"AdoptFile":   func() error { _, err := th.AdoptFile(99, vh, "p"); return err },
			"Dial":        func() error { _, err := th.Dial(vh, core.Dial{URL: "ws://x/", Protocol: "p"}); return err },
		} {
			if err := take(); !errors.Is(err, core.ErrRemoved) || !errors.Is(err, core.ErrStopped) {
				t.Errorf("%s, %d: %v", name, i, err)
			}
		}
		w.k.Drive()
	}
}

// TestClosedTellsTheEndOfAVHostFromTheEngines: both said "closed by Stop: the engine
// has stopped".
func TestClosedTellsTheEndOfAVHostFromTheEngines(t *testing.T) {
	for _, k := range []struct {
		end     func(e *core.Engine, vh *core.VirtualHost)
		removed bool
		want    string
	}{
		{func(_ *core.Engine, vh *core.VirtualHost) { vh.Remove() }, true, "core: closed by Remove: the vhost has been removed"},
		{func(e *core.Engine, _ *core.VirtualHost) { e.Stop(0) }, false, "core: closed by Stop: the engine has stopped"},
	} {
		var recs []*recorder
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{recording("p", &recs, nil)}}}})
		p := w.ws()
		vh := w.eng.VHost("default")
		k.end(w.eng, vh)
		w.k.Drive()
		p.want(`close 1001 "server is going away"`)
		p.close(1001, "")
		p.Close()
		w.k.Drive()
		if len(recs) != 1 || recs[0].err == nil || recs[0].err.Error() != k.want ||
			errors.Is(recs[0].err, core.ErrRemoved) != k.removed || !errors.Is(recs[0].err, core.ErrStopped) {
			t.Errorf("Closed: %v, %s; want %s", recs[0].err, recs[0].log(), k.want)
		}
	}
}
