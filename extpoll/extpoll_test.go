//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package extpoll_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/extpoll"
)

func pipe(t testing.TB) (r, w int) {
	t.Helper()
	var p [2]int
	if err := unix.Pipe(p[:]); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func TestReadyOnesAreHandedOut(t *testing.T) {
	set := extpoll.New()
	r1, w1 := pipe(t)
	r2, _ := pipe(t)
	for _, fd := range []int{r1, r2} {
		if err := set.Add(fd, loop.In); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.Add(r1, loop.In); !errors.Is(err, unix.EEXIST) {
		t.Errorf("second Add: %v", err)
	}
	unix.Write(w1, []byte("x"))
	var got []int32
	if err := set.Turn(0, func(p *loop.PollFD) { got = append(got, p.Fd) }); err != nil {
		t.Fatal(err)
	}
	if fmt.Sprint(got) != fmt.Sprint([]int{r1}) {
		t.Errorf("ready %v, want %d", got, r1)
	}
}

// TestRemoveWhileWalking_13_10_T11: removing one descriptor inside the callback of
// another neither loses a third one's readiness nor reports the removed one.
func TestRemoveWhileWalking_13_10_T11(t *testing.T) {
	set := extpoll.New()
	var rs []int
	for range 5 {
		r, w := pipe(t)
		set.Add(r, loop.In)
		unix.Write(w, []byte("x"))
		rs = append(rs, r)
	}
	seen := map[int32]int{}
	set.Turn(0, func(p *loop.PollFD) {
		seen[p.Fd]++
		if int(p.Fd) == rs[0] {
			set.Remove(rs[0])
			set.Remove(rs[3])
		}
	})
	for i, r := range rs {
		want := 1
		if i == 3 {
			want = 0
		}
		if seen[int32(r)] != want {
			t.Errorf("descriptor %d was reported %d times, want %d", i, seen[int32(r)], want)
		}
	}
	if set.Len() != 3 {
		t.Errorf("%d in the set", set.Len())
	}
}

// TestNumberReuseInOneTurn_13_10_T12: a number that is removed and added again
// while the array is walked does not get the old readiness.
func TestNumberReuseInOneTurn_13_10_T12(t *testing.T) {
	set := extpoll.New()
	r1, w1 := pipe(t)
	r2, w2 := pipe(t)
	set.Add(r1, loop.In)
	set.Add(r2, loop.In)
	unix.Write(w1, []byte("x"))
	unix.Write(w2, []byte("x"))
	reported := 0
	set.Turn(0, func(p *loop.PollFD) {
		if int(p.Fd) == r1 {
			set.Remove(r2)
			set.Add(r2, loop.Out) // a new owner, interested in something else
			return
		}
		reported++
	})
	if reported != 0 {
		t.Error("the new owner of the number got the old one's readiness")
	}
}

func TestInterruptedWaitLeavesNothingBehind(t *testing.T) {
	set := extpoll.New()
	r, w := pipe(t)
	set.Add(r, loop.In)
	unix.Write(w, []byte("x"))
	n, err := set.Wait(0)
	if n != 1 || err != nil {
		t.Fatal(n, err)
	}
	set.Each(nil)
	var b [1]byte
	unix.Read(r, b[:])
	if n, err := set.Wait(0); n != 0 || err != nil {
		t.Errorf("%d ready, %v", n, err)
	}
	set.Each(func(p *loop.PollFD) { t.Errorf("reported %+v", *p) })
}

// TestTwoEnginesOnOneSet_15_2_T3: one ends, the other still serves.
func TestTwoEnginesOnOneSet_15_2_T3(t *testing.T) {
	set := extpoll.New()
	var engs []*core.Engine
	for range 2 {
		e, err := core.New(core.Config{Backend: set.Backend(), VHosts: []core.VHost{{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{
			Name: "h", HTTP: core.HTTPFunc(func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
				return w.Respond(200, nil, []byte("here"))
			})}}}}})
		if err != nil {
			t.Fatal(err)
		}
		engs = append(engs, e)
	}
	engs[0].Stop(0)
	for engs[0].Thread(0).Hosted() {
		if err := set.Turn(-1, nil); err != nil {
			t.Fatal(err)
		}
	}
	<-engs[0].Done()
	if n := set.Len(); n != 2 {
		t.Errorf("%d descriptors left; the other engine has 2", n)
	}
	ran := false
	engs[1].Post(func() { ran = true })
	set.Turn(-1, nil)
	if !ran {
		t.Error("the other engine does not turn")
	}
	engs[1].Stop(0)
	for engs[1].Thread(0).Hosted() {
		set.Turn(-1, nil)
	}
	if set.Len() != 0 {
		t.Errorf("%d descriptors left", set.Len())
	}
}

// TestAttachDetach100Times_15_2_T2: nothing grows, and the application's own
// descriptor is served all the while.
func TestAttachDetach100Times_15_2_T2(t *testing.T) {
	set := extpoll.New()
	r, w := pipe(t)
	set.Add(r, loop.In)
	e, err := core.New(core.Config{Backend: set.Backend(), VHosts: []core.VHost{{Addr: "127.0.0.1:0"}}})
	if err != nil {
		t.Fatal(err)
	}
	for range 100 {
		unix.Write(w, []byte("x"))
		mine := 0
		set.Turn(-1, func(p *loop.PollFD) {
			mine++
			var b [1]byte
			unix.Read(int(p.Fd), b[:])
		})
		if mine != 1 {
			t.Fatalf("the application's descriptor was reported %d times", mine)
		}
		e.Detach()
		if set.Len() != 1 {
			t.Fatalf("%d descriptors after the detach", set.Len())
		}
		if err := e.Attach(set.Backend()); err != nil {
			t.Fatal(err)
		}
	}
	e.Stop(0)
	for e.Thread(0).Hosted() {
		set.Turn(time.Second, nil)
	}
	if set.Len() != 1 {
		t.Errorf("%d descriptors left", set.Len())
	}
}

func TestPortBusy_15_2_T6(t *testing.T) {
	set := extpoll.New()
	vh := core.VHost{Addr: "127.0.0.1:0"}
	e, err := core.New(core.Config{Backend: set.Backend(), VHosts: []core.VHost{vh}})
	if err != nil {
		t.Fatal(err)
	}
	vh.Addr = e.VHost("default").Addr()
	before := set.Len()
	if _, err := core.New(core.Config{Backend: set.Backend(), VHosts: []core.VHost{vh}}); !errors.Is(err, unix.EADDRINUSE) {
		t.Errorf("a busy port: %v", err)
	}
	if set.Len() != before {
		t.Errorf("%d descriptors, %d before", set.Len(), before)
	}
	e.Stop(0)
	for e.Thread(0).Hosted() {
		set.Turn(-1, nil)
	}
}

// FuzzSet does random things to a set while it is walked, beside a model.
func FuzzSet(f *testing.F) {
	for seed := uint64(1); seed < 6; seed++ {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) {
		r := rand.New(rand.NewPCG(seed, 5))
		set := extpoll.New()
		model := map[int]loop.Events{}
		var fds []int
		for range 6 {
			a, b := pipe(t)
			unix.Write(b, []byte("x"))
			fds = append(fds, a, b)
		}
		mutate := func() {
			fd := fds[r.IntN(len(fds))]
			ev := loop.Events(r.IntN(2)) | loop.Events(r.IntN(2)*4)
			_, in := model[fd]
			switch r.IntN(3) {
			case 0:
				if err := set.Add(fd, ev); (err == nil) == in {
					t.Fatalf("Add: %v", err)
				} else if err == nil {
					model[fd] = ev
				}
			case 1:
				if err := set.Change(fd, ev); (err == nil) != in {
					t.Fatalf("Change: %v", err)
				} else if err == nil {
					model[fd] = ev
				}
			case 2:
				if err := set.Remove(fd); (err == nil) != in {
					t.Fatalf("Remove: %v", err)
				}
				delete(model, fd)
			}
		}
		for range 30 {
			mutate()
			added := map[int32]bool{}
			for fd := range model {
				added[int32(fd)] = true
			}
			seen := map[int32]int{}
			set.Turn(0, func(p *loop.PollFD) {
				if seen[p.Fd]++; seen[p.Fd] > 1 || !added[p.Fd] {
					t.Fatalf("descriptor %d was reported %d times, in the set before: %v", p.Fd, seen[p.Fd], added[p.Fd])
				}
				if _, in := model[int(p.Fd)]; !in {
					t.Fatalf("descriptor %d was reported after its removal", p.Fd)
				}
				mutate()
			})
			if set.Len() != len(model) {
				t.Fatalf("%d in the set, %d in the model", set.Len(), len(model))
			}
			for fd, ev := range model {
				if got, ok := set.Interest(fd); !ok || got != ev {
					t.Fatalf("interest of %d: %v %v, want %v", fd, got, ok, ev)
				}
			}
		}
	})
}

// TestLeftInsideACallbackForAnotherSet: an engine that moves to another set inside
// a callback is not turned by the first one any more.
func TestLeftInsideACallbackForAnotherSet(t *testing.T) {
	a, b := extpoll.New(), extpoll.New()
	eng, err := core.New(core.Config{Backend: a.Backend()})
	if err != nil {
		t.Fatal(err)
	}
	if err := eng.Post(func() {
		eng.Detach()
		if err := eng.Attach(b.Backend()); err != nil {
			t.Error(err)
		}
	}); err != nil {
		t.Fatal(err)
	}
	if err := a.Turn(-1, nil); err != nil {
		t.Fatal(err)
	}
	if a.Len() != 0 {
		t.Errorf("%d descriptors are left in the first set", a.Len())
	}
	// What the first set still did would overlap with the second's turn.
	posted := false
	if err := eng.Post(func() { posted = true; a.Pending() }); err != nil {
		t.Fatal(err)
	}
	if err := b.Turn(-1, nil); err != nil || !posted {
		t.Errorf("the second set does not turn it: %v", err)
	}
	if n := eng.Stats().Misuses; n != 0 {
		t.Error("the first set still turns it")
	}
	eng.Stop(-1)
	for eng.Thread(0).Hosted() {
		if err := b.Turn(-1, nil); err != nil {
			t.Fatal(err)
		}
	}
	<-eng.Done()
}
