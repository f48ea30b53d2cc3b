package core

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// names is a resolver of one table. What is not in it does not exist.
type names struct {
	mu    sync.Mutex
	addrs map[string][]netip.Addr
	errs  map[string][]error // first answers of a name
	hold  chan struct{}      // if set, lookups wait for it, or their context
	asked []string
	ended int
}

func (n *names) LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error) {
	n.mu.Lock()
	n.asked = append(n.asked, network+" "+host)
	hold := n.hold
	n.mu.Unlock()
	defer func() {
		n.mu.Lock()
		n.ended++
		n.mu.Unlock()
	}()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if e := n.errs[host]; len(e) > 0 {
		n.errs[host] = e[1:]
		if e[0] == errPanics {
			panic("a resolver's bug")
		}
		return nil, e[0]
	}
	if a, ok := n.addrs[host]; ok {
		return a, nil
	}
	return nil, &net.DNSError{Err: "no such host", Name: host, IsNotFound: true}
}

var (
	errPanics = errors.New("panic")
	errLater  = &net.DNSError{Err: "server misbehaving", Name: "flaky", IsTemporary: true}
)

func (n *names) count() (asked, ended int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.asked), n.ended
}

func addrs(s ...string) (all []netip.Addr) {
	for _, a := range s {
		all = append(all, netip.MustParseAddr(a))
	}
	return all
}

// track is an engine without vhosts on a simulated kernel, for races.
type track struct {
	t     *testing.T
	k     *sim.Kernel
	eng   *Engine
	th    *Thread
	names *names
	start time.Time
	gos   int
}

func newTrack(t *testing.T, o sim.Options) *track {
	t.Helper()
	w := &track{t: t, k: sim.New(o), names: &names{addrs: map[string][]netip.Addr{}, errs: map[string][]error{}}, gos: runtime.NumGoroutine()}
	eng, err := New(Config{Backend: w.k, Resolver: w.names})
	if err != nil {
		t.Fatal(err)
	}
	w.eng, w.th, w.start = eng, eng.Thread(0), w.k.Now()
	w.k.Drive()
	t.Cleanup(w.finish)
	return w
}

// finish stops the engine; nothing may be left of it anywhere.
func (w *track) finish() {
	w.t.Helper()
	w.eng.Stop(-1)
	w.until("the engine ends", func() bool {
		select {
		case <-w.eng.Done():
			return true
		default:
			return false
		}
	})
	if n := w.k.Files(); n != 0 {
		w.t.Errorf("%d descriptors are still open", n)
	}
	if st := w.eng.Stats(); st.Adds != st.Dels || st.Panics != 0 {
		w.t.Errorf("left over: %+v", st)
	}
	if n := w.th.timers.Len() + w.th.limits.Len(); n != 0 {
		w.t.Errorf("%d deadlines are still armed", n)
	}
	w.k.Check(w.t)
	for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > w.gos; runtime.Gosched() {
		if time.Now().After(end) {
			w.t.Fatalf("%d goroutines before, %d after", w.gos, runtime.NumGoroutine())
		}
	}
}

// until drives until a condition holds that a goroutine brings about.
func (w *track) until(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		w.k.Drive()
		if cond() {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("never: %s", what)
		}
	}
}

// idle checks that nothing is left but the wake-up.
func (w *track) idle() {
	w.t.Helper()
	if f, l, wd := w.k.Files(), w.th.nlinks, w.k.Watched(); f != 1 || l != 1 || len(w.th.links()) != 1 || w.th.hosted.Load() && wd != 1 {
		w.t.Errorf("%d descriptors, %d links, %d watched: more than the wake-up", f, l, wd)
	}
	if n := w.th.timers.Len(); n != 0 {
		w.t.Errorf("%d timers are armed", n)
	}
}

// went returns when which address was tried.
func (w *track) went() string {
	var s []string
	for _, a := range w.k.Attempts() {
		s = append(s, a.At.Sub(w.start).String()+" "+a.Address)
	}
	return strings.Join(s, ", ")
}

// runner is one reach.
type runner struct {
	w      *track
	calls  int
	at     time.Duration
	own    *link // what took the descriptor over
	peer   string
	err    error
	take   bool
	then   func()
	inside bool
	cancel func() error
}

func (w *track) reach(t target) *runner {
	r := &runner{w: w, take: true, inside: true}
	r.cancel = w.th.reach(t, r.done)
	r.inside = false
	return r
}

func (r *runner) done(from *link, peer string, err error) {
	w := r.w
	r.calls++
	r.at, r.peer, r.err = w.k.Now().Sub(w.start), peer, err
	if r.inside || !w.th.inTurn() || w.th.cur != nil {
		w.t.Errorf("done inside reach %v, in a turn %v, with a link in service %v", r.inside, w.th.inTurn(), w.th.cur != nil)
	}
	if (from == nil) != (err != nil) {
		w.t.Errorf("link %v with error %v", from, err)
	}
	if r.then != nil {
		r.then()
	}
	if from == nil || !r.take {
		return
	}
	r.own = w.th.newLink(-1, &takerRole{})
	r.own.flags |= lfKeepFD | lfReady
	w.th.drift(r.own)
	r.own.inherit(from)
	w.th.begin(r.own)
	w.th.finishService(r.own)
}

// takerRole reads what comes.
type takerRole struct {
	baseRole
	got []byte
	end bool
}

func (*takerRole) name() string          { return "taker" }
func (*takerRole) gone(l *link, _ error) { l.own().state = stDead }
func (r *takerRole) ready(l *link) {
	buf := make([]byte, 1000)
	n, err := l.wireRead(buf)
	r.got = append(r.got, buf[:n]...)
	if n == 0 && err == nil {
		r.end = true
		l.flags |= lfNoRead
	}
}

// over checks how the race went, and ends the winner.
func (r *runner) over(at time.Duration, peer, err string) {
	r.w.t.Helper()
	if r.calls != 1 {
		r.w.t.Fatalf("done was called %d times", r.calls)
	}
	got := ""
	if r.err != nil {
		got = r.err.Error()
	}
	if r.at != at || r.peer != peer || got != err {
		r.w.t.Errorf("at %v %q %q\nwant %v %q %q", r.at, r.peer, got, at, peer, err)
	}
	if r.own != nil {
		if ev, ok := r.w.k.Interest(int(r.own.fd)); !ok || ev != loop.In {
			r.w.t.Errorf("the winner's interest is %v, watched %v", ev, ok)
		}
		if err := r.cancel(); err != nil || r.own.is(lfDead) {
			r.w.t.Errorf("cancel after done: %v", err)
		}
		r.own.doom(nil)
		r.w.th.buryLink(r.own)
	}
	r.w.idle()
}

func tcp(host string) target { return target{network: "tcp", host: host, port: 80} }

const ms = time.Millisecond

// threeAddrs has attempts at 0, 250 and 500 ms.
func threeAddrs(w *track) {
	w.names.addrs["three"] = addrs("10.0.0.1", "10.0.0.2", "2001:db8::1", "10.0.0.1", "::ffff:10.0.0.2")
}

const (
	six  = "[2001:db8::1]:80"
	one  = "10.0.0.1:80"
	two  = "10.0.0.2:80"
	each = "0s " + six + ", 250ms " + one + ", 500ms " + two
)

// up starts a race over three addresses and waits for the lookup.
func (w *track) up(t target) *runner {
	r := w.reach(t)
	w.until("the first attempt", func() bool { return len(w.k.Attempts()) > 0 || r.calls > 0 })
	return r
}
