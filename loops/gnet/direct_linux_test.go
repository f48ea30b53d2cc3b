//go:build !poll_opt

package gnetloop

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

// fake is core: it notes what it is told, and has pending work and a deadline as
// the test says.
type fake struct {
	pending  func() bool // nil: never
	deadline time.Time
	ready    []loop.PollFD
	turns    int
	serve    func(fd int, ev loop.Events)
	turn     func()
}

func (f *fake) ServiceFD(p *loop.PollFD) bool {
	f.ready = append(f.ready, *p)
	if f.serve != nil {
		f.serve(int(p.Fd), loop.Events(p.Revents))
	}
	return true
}

func (f *fake) AdjustTimeout(d time.Duration) time.Duration {
	switch {
	case f.pending != nil && f.pending():
		return 0
	case f.deadline.IsZero():
		return d
	}
	return max(0, time.Until(f.deadline))
}

func (f *fake) ServicePending() {
	f.turns++
	if f.turn != nil {
		f.turn()
	}
}
func (f *fake) NextDeadline() (time.Time, bool) { return f.deadline, !f.deadline.IsZero() }
func (f *fake) Hosted() bool                    { return true }
func (f *fake) Wake()                           {}

// fixture is a direct watcher over a real poller, without an engine.
type fixture struct {
	t *testing.T
	p *netpoll.Poller
	f *fake
	l *Loop
	d *direct
}

func newFixture(t *testing.T) *fixture { return newFixtureOn(t, nil) }

func newFixtureOn(t *testing.T, wrap func(registrar) registrar) *fixture {
	t.Helper()
	p, err := netpoll.OpenPoller()
	if err != nil {
		t.Fatal(err)
	}
	x := &fixture{t: t, p: p, f: &fake{}}
	x.l = &Loop{s: x.f, own: p}
	var r registrar = p
	if wrap != nil {
		r = wrap(p)
	}
	w, err := newDirect(r, x.l)
	if err != nil {
		t.Fatal(err)
	}
	x.l.watcher, x.d = w, w.(*direct)
	t.Cleanup(func() {
		if err := x.l.Close(); err != nil {
			t.Error(err)
		}
	})
	x.batch() // the ring that newDirect begins with
	x.l.n, x.f.turns = Counts{}, 0
	return x
}

// poll turns the poller until the callback says so.
func (x *fixture) poll(f func(fd int, ev netpoll.IOEvent) (end bool)) {
	x.t.Helper()
	err := x.p.Polling(func(fd int, ev netpoll.IOEvent, _ netpoll.IOFlags) error {
		if f(fd, ev) {
			return gneterrors.ErrEngineShutdown
		}
		return nil
	})
	if !errors.Is(err, gneterrors.ErrEngineShutdown) {
		x.t.Fatal(err)
	}
}

// batch turns the poller until the doorbell has come twice: between the two lies
// a whole batch, in which everything that is ready was reported.
func (x *fixture) batch() {
	x.t.Helper()
	bells, was := 0, x.f.pending
	x.f.pending = func() bool { return bells < 2 }
	x.d.ring()
	x.poll(func(fd int, ev netpoll.IOEvent) bool {
		if fd == x.d.bellFD {
			bells++
		}
		x.d.event(fd, ev)
		return bells == 2
	})
	x.f.pending = was
}

// seen returns what was reported of fd in one batch.
func (x *fixture) seen(fd int) (ev loop.Events) {
	x.t.Helper()
	x.f.ready = nil
	x.batch()
	for _, p := range x.f.ready {
		if int(p.Fd) == fd {
			ev |= loop.Events(p.Revents)
		}
	}
	return ev
}

// pair returns a connected pair of non-blocking sockets.
func pair(t *testing.T) (ours, peer int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

// TestAllMaskTransitions: each of the sixteen, none and write-only included, on a
// socket that is readable and writable; what the poller was told, and what it
// then reports. gnet's poller has no ModWrite and no mode none.
func TestAllMaskTransitions(t *testing.T) {
	want := strings.TrimSpace(`
from to   add mod del
   -  -     0   0   0
   -  r     1   0   0
   -  w     1   0   0
   - rw     1   0   0
   r  -     0   0   1
   r  r     0   1   0
   r  w     1   0   1
   r rw     0   1   0
   w  -     0   0   1
   w  r     0   1   0
   w  w     1   0   1
   w rw     0   1   0
  rw  -     0   0   1
  rw  r     0   1   0
  rw  w     1   0   1
  rw rw     0   1   0`)
	masks := []loop.Events{0, loop.In, loop.Out, loop.In | loop.Out}
	names := map[loop.Events]string{0: "-", 1: "r", 4: "w", 5: "rw"}
	x := newFixture(t)
	fd, peer := pair(t)
	if _, err := unix.Write(peer, []byte("waits to be read")); err != nil {
		t.Fatal(err)
	}
	got := "from to   add mod del\n"
	for _, from := range masks {
		for _, to := range masks {
			if err := x.d.AddPollFD(fd, from); err != nil {
				t.Fatal(err)
			}
			if ev := x.seen(fd); ev != from {
				t.Errorf("added with %s: reported %s", names[from], names[ev])
			}
			before := x.l.n
			x.d.ChangeModePollFD(fd, from, to)
			n := x.l.n
			got += fmt.Sprintf("%4s %2s %5d %3d %3d\n", names[from], names[to], n.Adds-before.Adds, n.Mods-before.Mods, n.Deletes-before.Deletes)
			if ev := x.seen(fd); ev != to {
				t.Errorf("%s to %s: reported %s", names[from], names[to], names[ev])
			}
			deletes := x.l.n.Deletes
			x.d.DelPollFD(fd)
			if n := x.l.n.Deletes - deletes; n != uint64(len(names[to])+1)/2*min(1, uint64(to)) {
				t.Errorf("Del at %s made %d calls", names[to], n)
			}
			if ev := x.seen(fd); ev != 0 {
				t.Errorf("after Del: reported %s", names[ev])
			}
		}
	}
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// TestHangUpAndErrorReachCore: what gnet's IsErrorEvent lumps together arrives as
// the bits that it was, whatever was asked for.
func TestHangUpAndErrorReachCore(t *testing.T) {
	for _, mask := range []loop.Events{loop.In, loop.Out} {
		x := newFixture(t)
		fd, peer := pair(t)
		if err := x.d.AddPollFD(fd, mask); err != nil {
			t.Fatal(err)
		}
		unix.Shutdown(peer, unix.SHUT_RDWR)
		if ev := x.seen(fd); ev&loop.Hup == 0 {
			t.Errorf("mask %d: a peer that is gone: %#x", mask, ev)
		}
		x.d.DelPollFD(fd)
	}
	x := newFixture(t)
	var p [2]int
	if err := unix.Pipe2(p[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	if err := x.d.AddPollFD(p[1], loop.Out); err != nil {
		t.Fatal(err)
	}
	unix.Close(p[0])
	if ev := x.seen(p[1]); ev&loop.Err == 0 {
		t.Errorf("a pipe without a reader: %#x", ev)
	}
	x.d.DelPollFD(p[1])
}
