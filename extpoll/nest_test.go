//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package extpoll_test

import (
	"errors"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/extpoll"
)

// nest tries the three that wait or walk, inside a turn of the set.
func nest(t *testing.T, where string, set *extpoll.Set) {
	t.Helper()
	never := func(p *loop.PollFD) { t.Errorf("%s: a nested turn reports %+v", where, *p) }
	if err := set.Turn(0, never); !errors.Is(err, extpoll.ErrInTurn) {
		t.Errorf("%s: Turn: %v", where, err)
	}
	if n, err := set.Wait(0); n != 0 || !errors.Is(err, extpoll.ErrInTurn) {
		t.Errorf("%s: Wait: %d, %v", where, n, err)
	}
	if err := set.Each(never); !errors.Is(err, extpoll.ErrInTurn) {
		t.Errorf("%s: Each: %v", where, err)
	}
}

// TestTurnsDoNotNest: a turn inside mine is refused, and the outer one goes on as
// if it had not been tried: every ready descriptor is reported once, and what mine
// was given stays what it was, also when the array has gaps to close.
func TestTurnsDoNotNest(t *testing.T) {
	set := extpoll.New()
	const n = 4
	for range n {
		r, w := pipe(t)
		set.Add(r, loop.In)
		unix.Write(w, []byte("x"))
	}
	seen := map[int32]int{}
	if err := set.Turn(0, func(p *loop.PollFD) {
		was := *p
		seen[p.Fd]++
		set.Remove(int(p.Fd)) // a gap
		nest(t, "in mine", set)
		set.Pending() // has nothing to do, and closes no gap here
		nest(t, "in mine, after Pending", set)
		if *p != was {
			t.Errorf("mine was given %+v, which has become %+v", was, *p)
		}
	}); err != nil {
		t.Fatal(err)
	}
	for fd, times := range seen {
		if times != 1 {
			t.Errorf("descriptor %d was reported %d times", fd, times)
		}
	}
	if len(seen) != n || set.Len() != 0 {
		t.Errorf("%d descriptors were reported, %d are left", len(seen), set.Len())
	}
}

// TestTurnsDoNotNestInCallbacksOfCore: neither in one that a descriptor announces
// nor in one of pending work.
func TestTurnsDoNotNestInCallbacksOfCore(t *testing.T) {
	set := extpoll.New()
	file := &nester{t: t, set: set}
	eng, err := core.New(core.Config{Backend: set.Backend(), VHosts: []core.VHost{{Protocols: []core.Protocol{{
		Name: "f", File: func(*core.Conn) core.FileHandler { return file }}}}}})
	if err != nil {
		t.Fatal(err)
	}
	if err := set.Turn(0, nil); err != nil {
		t.Fatal(err)
	}
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(p[1])
	if _, err := eng.Thread(0).AdoptFile(p[0], eng.VHost("default"), "f"); err != nil {
		t.Fatal(err)
	}
	unix.Write(p[1], []byte("x"))
	timer := false
	eng.Thread(0).AfterFunc(0, func() { timer = true; nest(t, "in a timer", set) })
	for end := time.Now().Add(time.Minute); (!timer || file.reads == 0) && time.Now().Before(end); {
		if err := set.Turn(-1, nil); err != nil {
			t.Fatal(err)
		}
	}
	if !timer || file.reads != 1 {
		t.Errorf("timer %v, %d reads", timer, file.reads)
	}
	eng.Stop(-1)
	for eng.Thread(0).Hosted() {
		if err := set.Turn(-1, nil); err != nil {
			t.Fatal(err)
		}
	}
	<-eng.Done()
}

type nester struct {
	t     *testing.T
	set   *extpoll.Set
	reads int
}

func (n *nester) Readable(_ *core.Conn, f *core.File) error {
	var b [1]byte
	f.Read(b[:])
	n.reads++
	nest(n.t, "in Readable", n.set)
	return nil
}

func (n *nester) Writable(*core.Conn, *core.File) error { return nil }

// TestPanicInMineEndsTheTurn: who recovers from it turns the set again.
func TestPanicInMineEndsTheTurn(t *testing.T) {
	set := extpoll.New()
	r, w := pipe(t)
	set.Add(r, loop.In)
	unix.Write(w, []byte("x"))
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was lost")
			}
		}()
		set.Turn(0, func(*loop.PollFD) { panic("mine") })
	}()
	reported := 0
	if err := set.Turn(0, func(*loop.PollFD) { reported++ }); err != nil || reported != 1 {
		t.Errorf("the next turn: %v, %d reported", err, reported)
	}
}
