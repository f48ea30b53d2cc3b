package looptest

import (
	"io"
	"runtime"
	"strings"
	"sync/atomic"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
)

// Line 1: one Add and one Del per registration, Change only between them, only
// when the mask changes, with the true previous mask.
func line1(t TB, h *harness) {
	r := h.engine(pausing(), core.Limits{})
	for range 5 {
		c := r.ws()
		for range 10 {
			r.echo(c, "pause") // makes the interest go and come
		}
		c.Close()
	}
	r.until("all connections are gone", func() bool { return r.eng.Thread(0).Stats().Conns == 0 })
	for _, f := range r.probe.faults() {
		t.Errorf("%s", f)
	}
	if r.probe.adds < 5 {
		t.Errorf("only %d Adds were seen", r.probe.adds)
	}
}

// pausing echoes, and pauses and resumes itself for a message "pause".
func pausing() core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "p", WS: core.OnMessage(
		func(c *core.Conn, m core.Message, out *core.Outbox) error {
			if string(m.Data) == "pause" {
				if err := c.Pause(); err != nil {
					return err
				}
				if err := c.Post(func(c *core.Conn) { c.Resume() }); err != nil {
					return err
				}
			}
			return out.Send(m)
		})}}}
}

// Line 2: every descriptor goes through the loop: here the wake-up, the
// listener, and each connection.
func line2(t TB, h *harness) {
	r := h.engine(echoVHost(), core.Limits{})
	a, b := r.ws(), r.ws()
	r.echo(a, "a")
	r.echo(b, "b")
	if n := r.probe.watched(); n != 4 {
		t.Errorf("%d descriptors are announced; the wake-up, the listener and two connections make 4", n)
	}
}

// Line 3: a descriptor that is not core's is untouched.
func line3(t TB, h *harness) {
	r := h.engine(echoVHost(), core.Limits{})
	c := r.ws()
	r.between(func() {
		for _, fd := range []int32{-1, 1 << 20, 1<<31 - 1} {
			p := loop.PollFD{Fd: fd, Events: 1, Revents: 5}
			if r.probe.l != nil && serviceOf(r).ServiceFD(&p) || p != (loop.PollFD{Fd: fd, Events: 1, Revents: 5}) {
				t.Errorf("descriptor %d was taken, or its pollfd touched: %+v", fd, p)
			}
		}
	})
	r.echo(c, "still here")
}

// serviceOf is core as the loop sees it.
func serviceOf(r *running) loop.Service { return r.probe.svc }

// Line 4: Events is never needed.
func line4(t TB, h *harness) {
	r := h.engine(echoVHost(), core.Limits{})
	c := r.ws()
	fd := int32(r.probe.added(2))
	served := uint64(0)
	r.between(func() {
		before := r.eng.Thread(0).Stats().Reads
		p := loop.PollFD{Fd: fd, Events: 0, Revents: int16(loop.In)}
		if !serviceOf(r).ServiceFD(&p) || p.Revents != 0 {
			t.Errorf("a made-up pollfd of ours was refused: %+v", p)
		}
		served = r.eng.Thread(0).Stats().Reads - before
	})
	if served == 0 {
		t.Errorf("readiness without Events was not served")
	}
	r.echo(c, "alive")
}

// Line 5: AdjustTimeout is 0 exactly when work is pending that no descriptor
// announces, and ServicePending does it.
func line5(t TB, h *harness) {
	r := h.engine(pausing(), core.Limits{})
	r.ws()
	r.between(func() {
		th := serviceOf(r)
		if d := th.AdjustTimeout(time.Hour); d == 0 {
			t.Errorf("AdjustTimeout is 0 with nothing to do")
		}
		c := r.h.conns[0]
		c.RequestWritable()
		if d := th.AdjustTimeout(time.Hour); d != 0 {
			t.Errorf("AdjustTimeout is %v with a Writable owed", d)
		}
		th.ServicePending()
		if d := th.AdjustTimeout(time.Hour); d == 0 {
			t.Errorf("AdjustTimeout is still 0 after ServicePending")
		}
	})
}

// Line 6: spurious, duplicated and stale readiness does no harm.
func line6(t TB, h *harness) {
	r := h.engine(echoVHost(), core.Limits{})
	a, b := r.ws(), r.ws()
	fa, fb := int32(r.probe.added(2)), int32(r.probe.added(3))
	for round := range 5 {
		r.between(func() {
			for _, fd := range []int32{fa, fb, fa} {
				for _, ev := range []loop.Events{loop.In, loop.Out, loop.Hup, loop.Err, loop.In | loop.Out | loop.Hup} {
					p := loop.PollFD{Fd: fd, Events: int16(ev), Revents: int16(ev)}
					serviceOf(r).ServiceFD(&p)
				}
			}
		})
		r.echo(a, strings.Repeat("a", round+1))
		r.echo(b, strings.Repeat("b", round+1))
	}
}

// Busy counts jobs that must not hold up the loop.
var Busy atomic.Int32

// Line 7: core never blocks: while a job of a worker hangs, the loop turns.
func line7(t TB, h *harness) {
	release := make(chan struct{})
	vh := core.VHost{Protocols: []core.Protocol{{Name: "w", WS: core.OnMessage(
		func(c *core.Conn, m core.Message, out *core.Outbox) error {
			if string(m.Data) != "work" {
				return out.Send(m)
			}
			Busy.Add(1)
			return c.Work(func() { <-release; Busy.Add(-1) }, func(*core.Conn) error { return out.Text("done") })
		})}}}
	r := h.engine(vh, core.Limits{})
	a, b := r.ws(), r.ws()
	if err := a.Text("work"); err != nil {
		t.Errorf("%v", err)
	}
	for end := time.Now().Add(r.h.host.Bound); Busy.Load() == 0 && time.Now().Before(end); {
		runtime.Gosched()
	}
	r.echo(b, "meanwhile")
	close(release)
	if got, err := a.Next(); err != nil || string(got.Payload) != "done" {
		t.Errorf("after the job: %q %v", got.Payload, err)
	}
}

// Line 8: what other goroutines ask for happens on the loop's own.
func line8(t TB, h *harness) {
	r := h.engine(pausing(), core.Limits{})
	c := r.ws()
	var done = make(chan struct{})
	for range 4 {
		go func() {
			for range 200 {
				r.eng.Wake()
				r.eng.Post(func() {})
			}
			done <- struct{}{}
		}()
	}
	for range 4 {
		r.wait(done, "Wake or Post blocks")
	}
	r.echo(c, "pause")
	r.until("a wake-up was heard", func() bool { return r.eng.Thread(0).Stats().Wakes > 0 })
	r.probe.mu.Lock()
	defer r.probe.mu.Unlock()
	for _, s := range r.probe.strays {
		t.Errorf("%s", s)
	}
}

// Line 9: interest none is held: a paused connection with bytes waiting is not
// reported.
func line9(t TB, h *harness) {
	r := h.engine(echoVHost(), core.Limits{})
	c := r.ws()
	fd := r.probe.added(2)
	r.between(func() { r.h.conns[0].Pause() })
	r.between(func() {})
	before := r.probe.readsOf(fd)
	if err := c.Text("waits"); err != nil {
		t.Errorf("%v", err)
	}
	for range 20 {
		r.between(func() {}) // turns
	}
	if n := r.probe.readsOf(fd) - before; n > 1 {
		t.Errorf("%d readiness reports for a descriptor with interest none", n)
	}
	r.between(func() { r.h.conns[0].Resume() })
	if got, err := c.Next(); err != nil || string(got.Payload) != "waits" {
		t.Errorf("after resuming: %q %v", got.Payload, err)
	}
}

// Line 10: a callback may close other connections and stop the engine.
func line10(t TB, h *harness) {
	var conns []*core.Conn
	vh := core.VHost{Protocols: []core.Protocol{{Name: "k", WS: func(c *core.Conn) core.WSHandler {
		conns = append(conns, c)
		return core.OnMessage(func(c *core.Conn, m core.Message, out *core.Outbox) error {
			switch string(m.Data) {
			case "others":
				for _, o := range conns {
					if o != c {
						o.Drop()
					}
				}
			case "stop":
				c.Thread().Engine().Stop(-1)
				return nil
			}
			return out.Send(m)
		})(c)
	}}}}
	r := h.engine(vh, core.Limits{})
	a, b := r.ws(), r.ws()
	bFD := r.probe.added(3)
	r.echo(a, "others")
	if _, err := b.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("the other connection ended with %v", err)
	}
	r.between(func() {
		if _, still := r.probe.mask(bFD); still {
			t.Errorf("a connection that a callback closed is still watched")
		}
	})
	if err := a.Text("stop"); err != nil {
		t.Errorf("%v", err)
	}
	r.stop()
}

// Line 11: a greedy peer gets a bounded amount of service at once.
func line11(t TB, h *harness) {
	r := h.engine(core.VHost{Protocols: []core.Protocol{{Name: "sink", WS: func(*core.Conn) core.WSHandler { return sink{} }}}}, core.Limits{})
	c := r.ws()
	r.between(func() {
		r.probe.mu.Lock()
		r.probe.gauge = func() uint64 { return r.eng.Thread(0).Stats().BytesIn }
		r.probe.mu.Unlock()
	})
	msg := strings.Repeat("x", 60000)
	for range 100 {
		if err := c.Text(msg); err != nil {
			t.Fatalf("%v", err)
		}
	}
	r.until("all is received", func() bool { return r.eng.Thread(0).Stats().Messages == 100 })
	r.probe.mu.Lock()
	defer r.probe.mu.Unlock()
	if r.probe.most > 160<<10 {
		t.Errorf("%d bytes were read in one call of ServiceFD", r.probe.most)
	}
	if r.probe.most == 0 {
		t.Errorf("nothing was measured")
	}
}

type sink struct{}

func (sink) Receive(*core.Conn, core.Fragment) error   { return nil }
func (sink) Writable(*core.Conn, *core.WSWriter) error { return nil }

// Line 12: at the limit of connections the listener is not watched for In, and
// it is again when there is room.
func line12(t TB, h *harness) {
	r := h.engine(echoVHost(), core.Limits{MaxConns: 2})
	listener := r.probe.added(1)
	a, b := r.ws(), r.ws()
	c := r.dial()
	if err := c.AskUpgrade(""); err != nil {
		t.Errorf("%v", err)
	}
	r.echo(a, "a")
	r.echo(b, "b")
	r.until("the listener is paused", func() bool {
		ev, ok := r.probe.mask(listener)
		return ok && ev == 0
	})
	for range 10 {
		runtime.Gosched()
		r.between(func() {})
	}
	if n := r.eng.Thread(0).Stats().Accepted; n != 2 {
		t.Errorf("%d connections accepted at a limit of 2", n)
	}
	a.Close()
	if err := c.ReadUpgrade(); err != nil {
		t.Errorf("the waiting connection: %v", err)
	}
	r.echo(c, "c")
}

// Line 13: after a detach nothing is left in the loop.
func line13(t TB, h *harness) {
	r := h.engine(echoVHost(), core.Limits{})
	c := r.ws()
	r.echo(c, "before")
	r.stop()
	if n := r.probe.watched(); n != 0 {
		t.Errorf("%d descriptors are left in the loop", n)
	}
}
