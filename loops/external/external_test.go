package external_test

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/loops/external"
)

func TestMissingHooks(t *testing.T) {
	if _, err := core.New(core.Config{Backend: external.Backend(external.Hooks{})}); !errors.Is(err, external.ErrHooks) {
		t.Errorf("got %v", err)
	}
}

// TestLocksAreBalanced_13_10_T1: Lock and Unlock stand around every call, and say
// whether membership changes.
func TestLocksAreBalanced_13_10_T1(t *testing.T) {
	depth, calls := 0, 0
	membership := false
	table := map[int]loop.Events{}
	in := func(want bool) {
		calls++
		if depth != 1 || membership != want {
			t.Errorf("a call inside %d locks, membership %v", depth, membership)
		}
	}
	eng, err := core.New(core.Config{Backend: external.Backend(external.Hooks{
		Add:    func(fd int, ev loop.Events) error { in(true); table[fd] = ev; return nil },
		Change: func(fd int, _, ev loop.Events) { in(false); table[fd] = ev },
		Del:    func(fd int) { in(true); delete(table, fd) },
		Lock:   func(m bool) { depth++; membership = m },
		Unlock: func(m bool) {
			depth--
			if m != membership {
				t.Error("Unlock does not match its Lock")
			}
		},
	}), VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	eng.Stop(0)
	for th := eng.Thread(0); th.Hosted(); th.ServicePending() {
		for fd, ev := range table {
			p := []unix.PollFd{{Fd: int32(fd), Events: int16(ev)}}
			if n, _ := unix.Poll(p, 0); n > 0 {
				q := loop.PollFD{Fd: int32(fd), Revents: p[0].Revents}
				th.ServiceFD(&q)
			}
		}
	}
	if calls < 4 || depth != 0 || len(table) != 0 {
		t.Errorf("%d calls, depth %d, %d left", calls, depth, len(table))
	}
}

// TestRearm: work that is asked for between turns is told to a loop that sleeps on
// a timer of its own, once.
func TestRearm(t *testing.T) {
	rearmed := 0
	eng, err := core.New(core.Config{Backend: external.Backend(external.Hooks{
		Add: func(int, loop.Events) error { return nil }, Change: func(int, loop.Events, loop.Events) {}, Del: func(int) {},
		Rearm: func() { rearmed++ },
	}), VHosts: []core.VHost{{Protocols: []core.Protocol{{Name: "f", File: func(*core.Conn) core.FileHandler { return idle{} }}}}}})
	if err != nil {
		t.Fatal(err)
	}
	th := eng.Thread(0)
	th.ServicePending()
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	c, err := th.AdoptFile(p[0], eng.VHost("default"), "f")
	if err != nil {
		t.Fatal(err)
	}
	th.AdjustTimeout(-1)
	before := rearmed
	c.RequestWritable()
	c.RequestWritable()
	if rearmed != before+1 {
		t.Errorf("told %d times of one request", rearmed-before)
	}
	if d := th.AdjustTimeout(-1); d != 0 {
		t.Errorf("AdjustTimeout %v", d)
	}
	th.ServicePending()
}

// TestOpen: a loop is handed core's side before the first Add, again when the
// engine comes back, and it may refuse.
func TestOpen(t *testing.T) {
	var got []loop.Service
	adds, refuse := 0, error(nil)
	hooks := external.Hooks{
		Open: func(s loop.Service) error {
			if adds != 0 {
				t.Errorf("%d Adds before Open", adds)
			}
			if refuse == nil {
				got = append(got, s)
			}
			return refuse
		},
		Add: func(int, loop.Events) error { adds++; return nil }, Change: func(int, loop.Events, loop.Events) {}, Del: func(int) { adds-- },
		Close: func() {
			if refuse != nil {
				t.Error("Close after a refused Open")
			}
		},
	}
	eng, err := core.New(core.Config{Backend: external.Backend(hooks), VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	eng.Detach()
	if err := eng.Attach(external.Backend(hooks)); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || got[0] != loop.Service(eng.Thread(0)) || got[1] != got[0] {
		t.Errorf("Open was given %v", got)
	}
	eng.Detach()
	refuse = errors.New("no room")
	if err := eng.Attach(external.Backend(hooks)); !errors.Is(err, refuse) {
		t.Errorf("a refused Open: %v", err)
	}
	refuse = nil
	if err := eng.Attach(external.Backend(hooks)); err != nil {
		t.Fatal(err)
	}
	eng.Stop(-1)
	for th := eng.Thread(0); th.Hosted(); th.ServicePending() {
		for fd := range int32(1 << 10) {
			q := loop.PollFD{Fd: fd, Events: 1, Revents: 1}
			th.ServiceFD(&q)
		}
	}
}

type idle struct{}

func (idle) Readable(*core.Conn, *core.File) error { return nil }
func (idle) Writable(*core.Conn, *core.File) error { return nil }

// The loop of the README: the application's own poll(2) array.
func Example() {
	var fds []unix.PollFd // the application's
	at := func(fd int) int { return slices.IndexFunc(fds, func(p unix.PollFd) bool { return int(p.Fd) == fd }) }
	eng, err := core.New(core.Config{Backend: external.Backend(external.Hooks{
		Add: func(fd int, ev loop.Events) error {
			fds = append(fds, unix.PollFd{Fd: int32(fd), Events: int16(ev)})
			return nil
		},
		Change: func(fd int, _, ev loop.Events) { fds[at(fd)].Events = int16(ev) },
		Del:    func(fd int) { fds[at(fd)] = unix.PollFd{Fd: -1} }, // compact between turns only
	}), VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	eng.Post(func() { fmt.Println("in the application's loop"); eng.Stop(0) })
	for th := eng.Thread(0); th.Hosted(); th.ServicePending() {
		fds = slices.DeleteFunc(fds, func(p unix.PollFd) bool { return p.Fd < 0 })
		if _, err := unix.Poll(fds, loop.Millis(th.AdjustTimeout(-1))); err != nil {
			continue // EINTR leaves the Revents of last time
		}
		for i := 0; i < len(fds); i++ {
			if p := loop.PollFD(fds[i]); p.Revents != 0 && p.Fd >= 0 && !th.ServiceFD(&p) {
				fmt.Println("the application's own:", p.Fd)
			}
		}
	}
	fmt.Println("left as found:", slices.IndexFunc(fds, func(p unix.PollFd) bool { return p.Fd >= 0 }) < 0)
	// Output:
	// in the application's loop
	// left as found: true
}
