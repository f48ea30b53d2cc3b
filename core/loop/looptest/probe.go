package looptest

import (
	"bytes"
	"fmt"
	"io"
	"runtime"
	"strconv"
	"sync"
	"time"

	"anyloop/core/loop"
)

// probe stands between core and a loop and watches both.
type probe struct {
	inner loop.Backend
	mu    sync.Mutex
	watch map[int]loop.Events
	order []int // descriptors in the order of their Adds
	wrong []string
	adds  int
	svc   loop.Service // core
	l     loop.Loop    // the loop
	// The goroutine that turns the loop, 0 before it has.
	turner uint64
	calls  map[int]int // ServiceFD calls with readiness In, by descriptor
	strays []string    // loop calls from other goroutines
	gauge  func() uint64
	gate   []func() // to run between two entries
	most   uint64   // largest growth of gauge in one ServiceFD
}

func newProbe(b loop.Backend) *probe {
	return &probe{inner: b, watch: map[int]loop.Events{}, calls: map[int]int{}}
}

// asBackend gives the probe the optional interfaces of the backend.
func asBackend(p *probe, b loop.Backend) loop.Backend {
	k, isKernel := b.(loop.Kernel)
	c, isClock := b.(loop.Clock)
	a, accepts := b.(loop.Acceptor)
	switch {
	case accepts && isClock:
		return struct {
			*acceptorProbe
			loop.Clock
		}{&acceptorProbe{p, a}, c}
	case accepts:
		return &acceptorProbe{p, a}
	case isKernel && isClock:
		return struct {
			*probe
			loop.Kernel
			loop.Clock
		}{p, k, c}
	case isClock:
		return struct {
			*probe
			loop.Clock
		}{p, c}
	}
	return p
}

// acceptorProbe is the probe of a backend that accepts by itself.
type acceptorProbe struct {
	*probe
	a loop.Acceptor
}

// Listen implements loop.Acceptor.
func (p *acceptorProbe) Listen(network, address string, accept func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)) (string, io.Closer, error) {
	return p.a.Listen(network, address, accept)
}

// Info implements loop.Backend.
func (p *probe) Info() loop.Info { return p.inner.Info() }

// Open implements loop.Backend.
func (p *probe) Open(thread int, s loop.Service) (loop.Loop, error) {
	p.svc = s
	l, err := p.inner.Open(thread, probeService{p})
	if err != nil {
		return nil, err
	}
	p.l = l
	base := &probeLoop{p}
	_, rearms := l.(loop.Rearmer)
	_, runs := l.(loop.Runner)
	switch {
	case rearms && runs:
		return probeRunRearmer{probeRunner{base}}, nil
	case rearms:
		return probeRearmer{base}, nil
	case runs:
		return probeRunner{base}, nil
	}
	return base, nil
}

func (p *probe) fault(format string, args ...any) {
	p.wrong = append(p.wrong, fmt.Sprintf(format, args...))
}

func (p *probe) watched() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.watch)
}

func (p *probe) mask(fd int) (loop.Events, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	ev, ok := p.watch[fd]
	return ev, ok
}

// added returns the descriptor of the n-th Add, -1 if there was none.
func (p *probe) added(n int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	if n >= len(p.order) {
		return -1
	}
	return p.order[n]
}

func (p *probe) faults() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.wrong...)
}

func (p *probe) readsOf(fd int) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.calls[fd]
}

// fromTurner notes a loop call that another goroutine made.
func (p *probe) fromTurner(call string, fd int) {
	if p.turner != 0 && goroutineID() != p.turner {
		p.strays = append(p.strays, fmt.Sprintf("%s(%d) from another goroutine", call, fd))
	}
}

// probeLoop is the loop that core sees.
type probeLoop struct{ p *probe }

func (l *probeLoop) AddPollFD(fd int, ev loop.Events) error {
	p := l.p
	p.mu.Lock()
	if _, twice := p.watch[fd]; twice {
		p.fault("second Add of %d", fd)
	}
	p.watch[fd] = ev
	p.order = append(p.order, fd)
	p.adds++
	p.fromTurner("AddPollFD", fd)
	p.mu.Unlock()
	err := p.l.AddPollFD(fd, ev)
	if err != nil {
		p.mu.Lock()
		delete(p.watch, fd)
		p.mu.Unlock()
	}
	return err
}

func (l *probeLoop) DelPollFD(fd int) {
	p := l.p
	p.mu.Lock()
	if _, ok := p.watch[fd]; !ok {
		p.fault("Del of %d, which is not watched", fd)
	}
	delete(p.watch, fd)
	p.fromTurner("DelPollFD", fd)
	p.mu.Unlock()
	p.l.DelPollFD(fd)
}

func (l *probeLoop) ChangeModePollFD(fd int, prev, next loop.Events) {
	p := l.p
	p.mu.Lock()
	is, ok := p.watch[fd]
	switch {
	case !ok:
		p.fault("Change of %d, which is not watched", fd)
	case is != prev:
		p.fault("Change of %d from %d, but it was %d", fd, prev, is)
	case prev == next:
		p.fault("Change of %d that changes nothing", fd)
	}
	p.watch[fd] = next
	p.fromTurner("ChangeModePollFD", fd)
	p.mu.Unlock()
	p.l.ChangeModePollFD(fd, prev, next)
}

// Close implements loop.Closer.
func (l *probeLoop) Close() error {
	if c, ok := l.p.l.(loop.Closer); ok {
		return c.Close()
	}
	return nil
}

type probeRunner struct{ *probeLoop }

func (l probeRunner) Run() error { return l.p.l.(loop.Runner).Run() }

type probeRearmer struct{ *probeLoop }

func (l probeRearmer) Rearm() { l.p.l.(loop.Rearmer).Rearm() }

type probeRunRearmer struct{ probeRunner }

func (l probeRunRearmer) Rearm() { l.p.l.(loop.Rearmer).Rearm() }

// probeService is the core that the loop sees.
type probeService struct{ p *probe }

func (s probeService) turns() {
	p := s.p
	p.mu.Lock()
	if p.turner == 0 {
		p.turner = goroutineID()
	}
	p.mu.Unlock()
}

func (s probeService) ServiceFD(fd *loop.PollFD) bool {
	s.turns()
	p := s.p
	p.mu.Lock()
	if loop.Events(fd.Revents)&loop.In != 0 {
		p.calls[int(fd.Fd)]++
	}
	gauge := p.gauge
	p.mu.Unlock()
	before := uint64(0)
	if gauge != nil {
		before = gauge()
	}
	owned := p.svc.ServiceFD(fd)
	if gauge != nil {
		p.mu.Lock()
		p.most = max(p.most, gauge()-before)
		p.mu.Unlock()
	}
	s.runGate()
	return owned
}

func (s probeService) AdjustTimeout(d time.Duration) time.Duration {
	s.turns()
	return s.p.svc.AdjustTimeout(d)
}
func (s probeService) ServicePending() {
	s.turns()
	s.p.svc.ServicePending()
	s.runGate()
}

// runGate runs what waits to be run between two entries: after either kind, since
// a loop may leave out ServicePending where AdjustTimeout says that there is
// nothing for it.
func (s probeService) runGate() {
	p := s.p
	p.mu.Lock()
	gate := p.gate
	p.gate = nil
	p.mu.Unlock()
	for _, f := range gate {
		f()
	}
}
func (s probeService) NextDeadline() (time.Time, bool) { return s.p.svc.NextDeadline() }
func (s probeService) Hosted() bool                    { return s.p.svc.Hosted() }
func (s probeService) Wake()                           { s.p.svc.Wake() }

// goroutineID reads the running goroutine's number from its stack header.
func goroutineID() uint64 {
	var buf [40]byte
	s := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	if i := bytes.IndexByte(s, ' '); i > 0 {
		n, _ := strconv.ParseUint(string(s[:i]), 10, 64)
		return n
	}
	return 0
}

// Inner returns the loop behind the suite's probe, for mutants that go past it.
func Inner(l loop.Loop) loop.Loop {
	if h, ok := l.(interface{ inner() loop.Loop }); ok {
		return h.inner()
	}
	return l
}

func (l *probeLoop) inner() loop.Loop { return l.p.l }
