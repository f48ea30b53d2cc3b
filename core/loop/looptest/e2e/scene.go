package e2e

import (
	"cmp"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
)

// scene is one engine with its clients. Its methods are for the test's goroutine
// unless they say otherwise.
type scene struct {
	t       testing.TB
	host    Host
	threads int
	newHost func(testing.TB, int) Host
	guard   *guard
	log     logBuffer
	beside  []core.VHost // served beside "test"
	eng     *core.Engine
	addr    string
	ctx     context.Context
	cancel  context.CancelFunc
	ended   chan error // what Run returned; nil while nobody turns the loop
	over    bool

	mu      sync.Mutex
	clients []*client.Conn
}

// up starts an engine with one vhost, "test", in the guard's hands. The error is
// core.New's: what the backend refuses.
func (s *scene) up(vh core.VHost, lim core.Limits) error {
	if err := s.make(vh, lim); err != nil {
		return err
	}
	s.turn()
	s.addr = s.where("test")
	return nil
}

// make is up without turning the loop.
func (s *scene) make(vh core.VHost, lim core.Limits) error {
	s.t.Helper()
	if s.host.Err != nil {
		return s.host.Err
	}
	s.guard = &guard{t: s.t, conns: map[*core.Conn]*watched{}}
	vh.Name, vh.Addr = "test", s.host.Listen
	vhs := append([]core.VHost{vh}, s.beside...)
	for i := range vhs {
		s.guard.vhost(&vhs[i])
		s.secure(&vhs[i])
	}
	lim = unhurried(lim)
	log := slog.New(slog.NewTextHandler(&s.log, nil))
	var err error
	s.eng, err = core.New(core.Config{Backend: s.host.Backend, Threads: s.threads, Limits: lim, Log: log, VHosts: vhs})
	return err
}

// unhurried gives the limits of time that a case does not name the suite's own bound:
// the whole world is in this process, with the race detector and on a busy machine,
// and nobody is to fail for being slow.
func unhurried(l core.Limits) core.Limits {
	for _, d := range []*time.Duration{&l.HandshakeTimeout, &l.TLSTimeout, &l.HeaderIdleTimeout, &l.KeepAliveTimeout,
		&l.ContentTimeout, &l.FlushTimeout, &l.CloseTimeout, &l.HangupTimeout, &l.LingerTimeout, &l.FinTimeout, &l.PingInterval,
		&l.ConnectTimeout, &l.AnswerTimeout} {
		*d = cmp.Or(*d, Bound)
	}
	l.PongTimeout = cmp.Or(l.PongTimeout, 2*Bound)
	return l
}

// turn lets the host turn the loops, and waits until each has turned: an engine
// that accepts by itself may not listen before.
func (s *scene) turn() {
	s.t.Helper()
	s.ctx, s.cancel = context.WithCancel(context.Background())
	ended := make(chan error, 1)
	s.ended = ended
	go func(h Host) { ended <- h.Run(s.ctx, s.eng) }(s.host)
	for i := range s.eng.Threads() {
		s.on(i, func() {})
	}
}

// where waits until the address of a vhost is known.
func (s *scene) where(vhost string) (addr string) {
	s.t.Helper()
	s.until("vhost "+vhost+" has an address", func() bool {
		addr = s.host.Addr(s.eng, vhost)
		return addr != ""
	})
	return addr
}

// returned waits until the host has come back from turning the loop.
func (s *scene) returned() {
	s.t.Helper()
	if s.ended == nil {
		return
	}
	select {
	case err := <-s.ended:
		s.ended = nil
		if err != nil && !errors.Is(err, context.Canceled) {
			s.t.Errorf("the loop's owner returned: %v", err)
		}
	case <-time.After(s.host.Bound):
		s.t.Fatalf("the loop's owner does not return\n%s", stacks())
	}
}

// finish ends the engine if the case has not, and closes what is left.
func (s *scene) finish() {
	if s.eng == nil && s.host.Backend != nil && !s.t.Failed() {
		s.up(echoing(), core.Limits{}) // a host frees what it is made of when it has run
	}
	if s.eng != nil && !s.over {
		s.eng.Stop(-1)
		s.done()
	}
	if s.cancel != nil {
		s.cancel()
	}
	for _, c := range s.clients {
		c.Close()
	}
	if s.t.Failed() {
		s.t.Logf("log of the engine:\n%s", s.log.String())
	}
}

// done waits for the end that was asked for, and looks at what must hold then.
func (s *scene) done() {
	s.t.Helper()
	s.over = true
	if s.ended == nil { // nobody turns a detached engine: a case has failed
		return
	}
	s.wait(s.eng.Done(), "the engine ends")
	s.returned()
	s.guard.settled()
	if n := s.eng.Stats().Misuses; n != 0 {
		s.t.Errorf("%d misuses of the API were noted", n)
	}
}

func (s *scene) wait(done <-chan struct{}, what string) {
	s.t.Helper()
	select {
	case <-done:
	case <-time.After(s.host.Bound):
		s.t.Fatalf("never: %s\n%s", what, stacks())
	}
}

// until waits for a condition that other goroutines bring about.
func (s *scene) until(what string, cond func() bool) {
	s.t.Helper()
	for end := time.Now().Add(s.host.Bound); !cond(); pause() {
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
	}
}

// pause gives others the processor while a condition is asked again and again.
func pause() { runtime.Gosched(); time.Sleep(time.Millisecond) }

// on runs f on service thread i and waits for it.
func (s *scene) on(i int, f func()) {
	s.t.Helper()
	done := make(chan struct{})
	if err := s.eng.Thread(i).Post(func() { f(); close(done) }); err != nil {
		s.t.Fatalf("Post: %v", err)
	}
	s.wait(done, "a post runs")
}

// with runs f on the thread of c and waits for it.
func (s *scene) with(c *core.Conn, f func(*core.Conn)) { s.on(c.Thread().Index(), func() { f(c) }) }

// laps lets every thread turn a few times.
func (s *scene) laps() {
	s.t.Helper()
	for range 5 {
		for i := range s.threads {
			s.on(i, func() {})
		}
	}
}

// steady waits until get gives the same again and again while the loops turn.
// Stats are asked for after a turn, since each turn publishes them.
func (s *scene) steady(what string, get func() uint64) uint64 {
	s.t.Helper()
	last, same := get(), 0
	for end := time.Now().Add(s.host.Bound); same < 20; {
		s.laps()
		pause()
		if now := get(); now != last {
			last, same = now, 0
		} else {
			same++
		}
		if time.Now().After(end) {
			s.t.Fatalf("never comes to rest: %s", what)
		}
	}
	return last
}

// dial connects a client; the handshake of TLS is left to its first Read or Write.
// Any goroutine.
func (s *scene) dial() (*client.Conn, error) {
	c, err := client.Dial(s.addr, s.host.Bound)
	if err != nil {
		return nil, err
	}
	if s.overTLS() {
		c = client.New(client.Client(c.Conn, s.speaks("test"), s.host.Wire.shape()))
	}
	s.owns(c)
	return c, nil
}

// owns closes c at the end. Any goroutine.
func (s *scene) owns(c *client.Conn) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = append(s.clients, c)
}

// conn is dial that must succeed.
func (s *scene) conn() *client.Conn {
	s.t.Helper()
	c, err := s.dial()
	if err != nil {
		s.t.Fatalf("dial: %v", err)
	}
	return c
}

// ws is a client that is upgraded.
func (s *scene) ws() *client.Conn {
	s.t.Helper()
	c := s.conn()
	if err := c.Upgrade(""); err != nil {
		s.t.Fatalf("upgrade: %v", err)
	}
	return c
}

// each runs f at the same time with n clients that are upgraded.
func (s *scene) each(n int, f func(i int, c *client.Conn) error) {
	s.t.Helper()
	errs := make(chan error, n)
	for i := range n {
		go func() {
			c, err := s.dial()
			if err == nil {
				err = c.Upgrade("")
			}
			if err == nil {
				err = f(i, c)
			}
			errs <- err
		}()
	}
	for range n {
		s.no(<-errs)
	}
}

// later runs f beside the case, which must take what it returns.
func (s *scene) later(f func() error) <-chan error {
	done := make(chan error, 1)
	go func() { done <- f() }()
	return done
}

// no reports an error. Any goroutine.
func (s *scene) no(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Errorf("%v", err)
	}
}

// must ends the case at an error.
func (s *scene) must(err error) {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%v", err)
	}
}

// gone reads to the end of the stream and returns what came; a deadline that
// passes is an error, and so is an end that TLS has not announced; a reset is an
// end.
func gone(c *client.Conn) (string, error) {
	rest, err := io.ReadAll(c)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return string(rest), errors.New("the connection is not closed")
	}
	if errors.Is(err, client.ErrCut) {
		return string(rest), err
	}
	return string(rest), nil
}

// dropped is gone for a connection that is given up: TLS need not say so.
func dropped(c *client.Conn) (string, error) {
	rest, err := gone(c)
	if errors.Is(err, client.ErrCut) {
		err = nil
	}
	return rest, err
}

// logBuffer collects the log of an engine.
type logBuffer struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// take receives from ch.
func take[T any](s *scene, ch <-chan T, what string) (v T) {
	s.t.Helper()
	select {
	case v = <-ch:
	case <-time.After(s.host.Bound):
		s.t.Fatalf("never: %s\n%s", what, stacks())
	}
	return v
}
