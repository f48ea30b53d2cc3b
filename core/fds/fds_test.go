package fds

import (
	"math/rand/v2"
	"testing"
)

func TestTable(t *testing.T) {
	var tab Table[int]
	model := map[int]int{}
	r := rand.New(rand.NewPCG(1, 2))
	for range 20_000 {
		fd := r.IntN(20_000)
		if r.IntN(3) == 0 {
			tab.Set(fd, 0)
			delete(model, fd)
		} else {
			tab.Set(fd, fd+1)
			model[fd] = fd + 1
		}
		if q := r.IntN(30_000) - 5_000; tab.Get(q) != model[q] {
			t.Fatalf("%d has %d, want %d", q, tab.Get(q), model[q])
		}
	}
	last := -1
	for fd, v := range tab.All {
		if fd <= last || v != model[fd] {
			t.Fatalf("%d after %d has %d, want %d", fd, last, v, model[fd])
		}
		last = fd
		delete(model, fd)
	}
	if len(model) > 0 {
		t.Errorf("%d were not visited", len(model))
	}
	for fd := range tab.All {
		if fd == 3 {
			break
		}
		if fd > 3 {
			t.Fatal("not ended")
		}
	}
}

// TestGrowthCopiesNothing: what a table allocates is in proportion to the highest
// descriptor, whatever the order in which they come.
func TestGrowthCopiesNothing(t *testing.T) {
	var tab Table[*int]
	n := testing.AllocsPerRun(1, func() {
		for fd := range 20_000 {
			tab.Set(fd, nil)
		}
	})
	if n > 20_000/piece+12 {
		t.Errorf("%v allocations", n)
	}
}
