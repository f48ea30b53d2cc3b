// Package looptest is the conformance suite for loop backends: the contract of
// package loop, a test for each of its numbered lines.
//
//	func TestMyLoop(t *testing.T) {
//		looptest.Run(t, func(testing.TB) looptest.Host {
//			return looptest.Host{Backend: myloop.Backend(), Run: func(e *core.Engine) error { ... }}
//		})
//	}
//
// It drives a whole engine over the backend, with a probe between the two that
// sees every call of either side. Package mutants has one broken pair for each
// line, to show that the suite finds it.
package looptest

import (
	"cmp"
	"context"
	"net"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// Host is a backend and how to turn its loop.
type Host struct {
	// Backend is a fresh backend for one engine with one service thread.
	Backend loop.Backend
	// Run turns the loop until the engine has ended; nil: Engine.Run.
	Run func(eng *core.Engine) error
	// Addr is where to listen; default "127.0.0.1:0".
	Addr string
	// Dial connects to an address; default TCP.
	Dial func(addr string) (net.Conn, error)
	// Bound is how long to wait for what must happen; default Bound.
	Bound time.Duration
}

// Bound is how long the suite waits for something that must happen: far longer
// than it takes, since only a hang needs it.
const Bound = time.Minute

// lines are the tests, by the line of the contract that they hold.
var lines = []struct {
	name string
	test func(t TB, h *harness)
}{
	{"Line1_AddChangeDelAreExact", line1},
	{"Line2_NothingIsHidden", line2},
	{"Line3_ForeignDescriptorsAreUntouched", line3},
	{"Line4_EventsIsNotNeeded", line4},
	{"Line5_ForcedService", line5},
	{"Line6_ReadinessIsAHint", line6},
	{"Line7_CoreNeverBlocks", line7},
	{"Line8_OthersOnlyPost", line8},
	{"Line9_AllFourMasks", line9},
	{"Line10_CallbacksMayEndAnything", line10},
	{"Line11_WorkIsBounded", line11},
	{"Line12_AcceptingPausesAtTheLimit", line12},
	{"Line13_LeftAsFound", line13},
}

// TB is what the suite needs of a test: *testing.T, or a stand-in that notes
// failures.
type TB interface {
	Helper()
	Errorf(format string, args ...any)
	Fatalf(format string, args ...any)
	Logf(format string, args ...any)
	Cleanup(func())
}

// Run runs the suite over fresh hosts.
func Run(t *testing.T, newHost func(t testing.TB) Host) {
	t.Helper()
	for _, l := range lines {
		t.Run(l.name, func(t *testing.T) { l.test(t, newHarness(t, newHost(t), nil)) })
	}
}

// Lines returns the names of the suite's tests.
func Lines() []string {
	var all []string
	for _, l := range lines {
		all = append(all, l.name)
	}
	return all
}

// RunLine runs one test of the suite by name, with wrap between core and the
// probe: for packages that show what the suite finds.
func RunLine(t TB, name string, h Host, wrap func(loop.Backend) loop.Backend) {
	for _, l := range lines {
		if l.name == name {
			l.test(t, newHarness(t, h, wrap))
			return
		}
	}
	t.Fatalf("looptest: no test %s", name)
}

// harness is a host with its probe, before an engine is made.
type harness struct {
	t     TB
	host  Host
	probe *probe
	wrap  func(loop.Backend) loop.Backend
	conns []*core.Conn // made so far; between turns only
}

func newHarness(t TB, h Host, wrap func(loop.Backend) loop.Backend) *harness {
	if h.Addr == "" {
		h.Addr = "127.0.0.1:0"
	}
	if h.Bound == 0 {
		h.Bound = Bound
	}
	if h.Dial == nil {
		h.Dial = func(addr string) (net.Conn, error) { return net.DialTimeout("tcp", addr, Bound) }
	}
	if h.Run == nil {
		h.Run = func(e *core.Engine) error { return e.Run(context.Background()) }
	}
	return &harness{t: t, host: h, wrap: wrap}
}

// engine starts an engine over the probe; it is stopped at the test's end.
func (h *harness) engine(vh core.VHost, lim core.Limits) *running {
	h.t.Helper()
	h.probe = newProbe(h.host.Backend)
	var b loop.Backend = asBackend(h.probe, h.host.Backend)
	if h.wrap != nil {
		b = h.wrap(b)
	}
	vh.Name, vh.Addr = "test", h.host.Addr
	for i := range vh.Protocols {
		h.recordConns(&vh.Protocols[i])
	}
	eng, err := core.New(core.Config{Backend: b, Limits: unhurried(lim), VHosts: []core.VHost{vh}})
	if err != nil {
		h.t.Fatalf("core.New: %v", err)
	}
	r := &running{h: h, eng: eng, probe: h.probe, addr: eng.VHost("test").Addr(), ended: make(chan error, 1)}
	go func() { r.ended <- h.host.Run(eng) }()
	h.t.Cleanup(r.stop)
	return r
}

// unhurried gives the limits of time that a test does not name the suite's own bound:
// client and server are in one process, perhaps with the race detector, and on a busy
// machine either may be held up for as long as a default is.
func unhurried(l core.Limits) core.Limits {
	for _, d := range []*time.Duration{&l.HandshakeTimeout, &l.HeaderIdleTimeout, &l.KeepAliveTimeout,
		&l.ContentTimeout, &l.FlushTimeout, &l.CloseTimeout, &l.PingInterval} {
		*d = cmp.Or(*d, Bound)
	}
	l.PongTimeout = cmp.Or(l.PongTimeout, 2*Bound)
	return l
}

// recordConns keeps the conns of a protocol at hand. The loop's goroutine only.
func (h *harness) recordConns(p *core.Protocol) {
	ws := p.WS
	p.WS = func(c *core.Conn) core.WSHandler {
		h.conns = append(h.conns, c)
		return ws(c)
	}
}

// running is an engine that is being turned.
type running struct {
	h     *harness
	eng   *core.Engine
	probe *probe
	addr  string
	ended chan error
	once  sync.Once
}

func (r *running) stop() {
	r.once.Do(func() {
		r.eng.Stop(-1)
		select {
		case <-r.eng.Done():
		case <-time.After(r.h.host.Bound):
			r.h.t.Errorf("the engine did not end")
			return
		}
		select {
		case err := <-r.ended:
			if err != nil {
				r.h.t.Errorf("the loop ended with: %v", err)
			}
		case <-time.After(r.h.host.Bound):
			r.h.t.Errorf("the loop's owner does not return")
		}
	})
}

// between runs f on the loop's goroutine, between two entries into core, and
// waits for it.
func (r *running) between(f func()) {
	r.h.t.Helper()
	done := make(chan struct{})
	r.probe.mu.Lock()
	r.probe.gate = append(r.probe.gate, func() { f(); close(done) })
	r.probe.mu.Unlock()
	r.eng.Wake()
	r.wait(done, "the loop does not turn after a wake-up")
}

func (r *running) wait(done <-chan struct{}, what string) {
	r.h.t.Helper()
	select {
	case <-done:
	case <-time.After(r.h.host.Bound):
		r.h.t.Fatalf("%s", what)
	}
}

// until waits for a condition of the loop's domain.
func (r *running) until(what string, cond func() bool) {
	r.h.t.Helper()
	for end := time.Now().Add(r.h.host.Bound); ; {
		ok := false
		r.between(func() { ok = cond() })
		if ok {
			return
		}
		if time.Now().After(end) {
			r.h.t.Fatalf("never: %s", what)
		}
	}
}

func (r *running) dial() *client.Conn {
	r.h.t.Helper()
	c, err := r.h.host.Dial(r.addr)
	if err != nil {
		r.h.t.Fatalf("dial: %v", err)
	}
	c.SetDeadline(time.Now().Add(r.h.host.Bound))
	r.h.t.Cleanup(func() { c.Close() })
	return client.New(c)
}

// echo sends p and reads it back.
func (r *running) echo(c *client.Conn, msg string) {
	r.h.t.Helper()
	if err := c.Echo(ws.Text, []byte(msg)); err != nil {
		r.h.t.Errorf("echo: %v", err)
	}
}

func (r *running) ws() *client.Conn {
	r.h.t.Helper()
	c := r.dial()
	if err := c.Upgrade(""); err != nil {
		r.h.t.Fatalf("upgrade: %v", err)
	}
	return c
}

func echoVHost() core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}
}
