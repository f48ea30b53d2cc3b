package core_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	wsclient "anyloop/core/loop/looptest/client"
	"anyloop/core/loop/sim"
	"anyloop/loops/poll"
)

// TestSendFromBounds: what is on its way counts at the moment of the call, and
// one post carries all of it.
func TestSendFromBounds(t *testing.T) {
	for _, tc := range []struct {
		policy       core.Policy
		bytes, count int
		taken        int // of 100 messages of 100 bytes, with no turn in between
		first        int // number of the first that arrives
		closed       bool
	}{
		{policy: core.PauseSource, bytes: 1000, count: -1, taken: 10},
		{policy: core.Refuse, bytes: 999, count: -1, taken: 9},
		{policy: core.Refuse, bytes: -1, count: 7, taken: 7},
		{policy: core.Refuse, bytes: 50, count: -1, taken: 1},
		{policy: core.DropOldest, bytes: 1000, count: -1, taken: 100, first: 90},
		{policy: core.CloseSlow, bytes: 1000, count: -1, taken: 10, closed: true},
	} {
		for _, shared := range []bool{false, true} {
			t.Run(fmt.Sprintf("%v/%d/%d/shared=%v", tc.policy, tc.bytes, tc.count, shared), func(t *testing.T) {
				lim := core.Limits{OutboxBytes: tc.bytes, OutboxCount: tc.count}
				w, all := newBoxes(t, sim.Options{}, tc.policy, core.Config{Limits: lim}, nil)
				p := w.ws()
				h := (*all)[0]
				posts := w.eng.Stats().Posts
				taken := 0
				for i := range 100 {
					m := core.Message{Data: numbered(i, 100)}
					var err error
					if shared {
						err = h.out.SendSharedFrom(core.NewShared(m))
					} else {
						err = h.out.SendFrom(m)
					}
					clear(m.Data)
					switch {
					case err == nil:
						taken++
					case !errors.Is(err, core.ErrFull):
						t.Fatal(err)
					}
				}
				if taken != tc.taken {
					t.Errorf("%d taken, want %d", taken, tc.taken)
				}
				w.k.Drive()
				if n := w.eng.Stats().Posts - posts; n != 1 {
					t.Errorf("%d posts, want 1", n)
				}
				raw := string(p.Read())
				want := span(tc.first, tc.first+min(tc.taken, 10)-1)
				if tc.closed {
					want = nil // too slow before anything was written
				}
				if got := numbers(raw); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("arrived %v, want %v", got, want)
				}
				if tc.policy == core.DropOldest && h.out.Dropped() != 90 {
					t.Errorf("dropped %d, want 90", h.out.Dropped())
				}
				if closed := !h.c.Open(); closed != tc.closed {
					t.Errorf("closing: %v", closed)
				}
				if !tc.closed {
					if err := h.out.SendFrom(core.Message{Data: []byte("more")}); err != nil {
						t.Errorf("there is room again: %v", err)
					}
				}
			})
		}
	}
}

// TestSendFromCountsWhatWaits: messages that wait at the thread, its own too, are
// part of the bound; a taken message is never refused later.
func TestSendFromCountsWhatWaits(t *testing.T) {
	lim := core.Limits{OutboxBytes: 1000, OutboxCount: -1}
	w, all := newBoxes(t, sim.Options{Capacity: 500}, core.Refuse, core.Config{Limits: lim}, nil)
	p := w.ws()
	h := (*all)[0]
	p.Stall(true)
	send := func(n int) error { return h.out.SendFrom(core.Message{Data: numbered(n, 100)}) }
	if err := h.out.SendFrom(core.Message{Data: numbered(0, 548)}); err != nil { // the wire takes 500, 52 are below
		t.Fatal(err)
	}
	w.k.Drive()
	for n := 1; n <= 4; n++ { // the thread's own
		if err := h.out.Send(core.Message{Data: numbered(n, 100)}); err != nil {
			t.Fatal(err)
		}
	}
	for n := 5; n <= 10; n++ {
		if err := send(n); err != nil {
			t.Fatalf("%d: %v", n, err)
		}
	}
	if err := send(11); !errors.Is(err, core.ErrFull) {
		t.Errorf("the 11th: %v", err)
	}
	if err := h.out.Send(core.Message{Data: numbered(11, 100)}); !errors.Is(err, core.ErrFull) {
		t.Errorf("the thread's 11th: %v", err)
	}
	w.k.Drive()
	if h.out.Len() != 10 || h.out.Pending() != 1000+52 {
		t.Errorf("%d wait, %d bytes", h.out.Len(), h.out.Pending())
	}
	p.Stall(false)
	w.k.Drive()
	if got := numbers(string(p.Read())); fmt.Sprint(got) != fmt.Sprint(span(0, 10)) {
		t.Errorf("arrived %v", got)
	}
	if err := send(12); err != nil {
		t.Errorf("after the drain: %v", err)
	}
}

// TestSendFromErrors names every way out.
func TestSendFromErrors(t *testing.T) {
	w, all := newBoxes(t, sim.Options{}, core.Refuse, core.Config{Limits: core.Limits{WriteLimit: 10}}, nil)
	p := w.ws()
	h := (*all)[0]
	m := core.Message{Data: []byte("short")}
	if err := h.out.SendFrom(core.Message{Data: make([]byte, 11)}); !errors.Is(err, core.ErrTooLong) {
		t.Errorf("too long: %v", err)
	}
	if err := h.out.SendFrom(m); err != nil {
		t.Error(err)
	}
	p.want(`text "short"`)
	h.out.SendFrom(m) // on its way when the conn ends
	h.c.Drop()
	w.k.Drive()
	for range 3 {
		if err := h.out.SendFrom(m); !errors.Is(err, core.ErrConnClosed) {
			t.Errorf("after the end: %v", err)
		}
		if err := h.out.SendSharedFrom(core.NewShared(m)); !errors.Is(err, core.ErrConnClosed) {
			t.Errorf("after the end, shared: %v", err)
		}
	}
	p2 := w.ws()
	late := (*all)[1]
	p2.Close()
	w.stop()
	if err := late.out.SendFrom(m); !errors.Is(err, core.ErrStopped) && !errors.Is(err, core.ErrConnClosed) {
		t.Errorf("after the engine's end: %v", err)
	}
	if err := late.out.SendFrom(m); !errors.Is(err, core.ErrConnClosed) {
		t.Errorf("once more: %v", err)
	}
}

// TestSendFromFullPostQueue: a full post queue does not stop it.
func TestSendFromFullPostQueue(t *testing.T) {
	w, all := newBoxes(t, sim.Options{}, core.Refuse, core.Config{Limits: core.Limits{PostQueue: 1}}, nil)
	p := w.ws()
	th := (*all)[0].c.Thread()
	for th.Post(func() {}) == nil {
	}
	if err := (*all)[0].out.SendFrom(core.Message{Data: []byte("x")}); err != nil {
		t.Error(err)
	}
	p.want(`text "x"`)
}

// TestSendFromManyGoroutines: 8 goroutines send to each of several connections
// over real sockets and two threads; every message arrives once, and those of one
// goroutine in its order.
func TestSendFromManyGoroutines(t *testing.T) {
	const senders, each, conns = 8, 400, 3
	if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		l.Close() // the runtime opens its own poller once
	}
	files, routines := openFiles(t), runtime.NumGoroutine()
	opened := make(chan *core.Outbox, conns)
	eng, err := core.New(core.Config{Backend: poll.Backend(), Threads: 2, Limits: unhurried, VHosts: []core.VHost{{
		Addr: "127.0.0.1:0", Limits: core.Limits{OutboxCount: 64},
		Protocols: []core.Protocol{{Name: "box", WS: func(c *core.Conn) core.WSHandler {
			h := &boxed{c: c, out: core.NewOutbox(c, core.Refuse)}
			opened <- h.out
			return h
		}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- eng.Run(context.Background()) }()
	var wg sync.WaitGroup
	for range conns {
		p, err := wsclient.Dial(eng.VHost("default").Addr(), time.Minute)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Close() })
		if err := p.Upgrade(""); err != nil {
			t.Fatal(err)
		}
		out := <-opened
		for s := range senders {
			wg.Go(func() {
				shared := s%2 == 1
				for i := 0; i < each; {
					m := core.Message{Data: fmt.Appendf(nil, "%d %d", s, i)}
					var err error
					if shared {
						err = out.SendSharedFrom(core.NewShared(m))
					} else {
						err = out.SendFrom(m)
					}
					switch {
					case err == nil:
						i++
					case errors.Is(err, core.ErrFull):
						runtime.Gosched()
					default:
						t.Error(err)
						return
					}
				}
			})
		}
		wg.Go(func() { inOrder(t, p, senders, each) })
	}
	wg.Wait()
	t.Logf("%d posts for %d messages", eng.Stats().Posts, conns*senders*each)
	if err := eng.Shutdown(context.Background()); err != nil {
		t.Error(err)
	}
	if err := <-done; err != nil {
		t.Error(err)
	}
	for n := time.Now().Add(time.Minute); openFiles(t) > files || runtime.NumGoroutine() > routines; runtime.Gosched() {
		if time.Now().After(n) {
			t.Fatalf("left over: %d descriptors of %d, %d goroutines of %d", openFiles(t), files, runtime.NumGoroutine(), routines)
		}
	}
}

// inOrder reads what 8 senders have sent.
func inOrder(t *testing.T, p *wsclient.Conn, senders, each int) {
	next := make([]int, senders)
	for range senders * each {
		f, err := p.Next()
		if err != nil {
			t.Error(err)
			return
		}
		var s, i int
		if _, err := fmt.Sscanf(string(f.Payload), "%d %d", &s, &i); err != nil || s >= senders || next[s] != i {
			t.Errorf("%q, want number %d of its sender", f.Payload, next[s])
			return
		}
		next[s]++
	}
	p.SendClose(1000, "")
	defer p.Close()
	for {
		if _, err := p.Next(); err != nil {
			var ne net.Error
			if errors.As(err, &ne) && ne.Timeout() {
				t.Error("the connection did not end")
			}
			return
		}
	}
}

func openFiles(t *testing.T) int {
	t.Helper()
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return 0
	}
	return len(d)
}
