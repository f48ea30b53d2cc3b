package timer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestFiresInOrderOfDeadline(t *testing.T) {
	var q Queue[int]
	five, one, three := &Node[int]{Owner: 5}, &Node[int]{Owner: 1}, &Node[int]{Owner: 3}
	q.Set(five, 0, 5)
	q.Set(one, 0, 1)
	q.SetAt(three, 3)
	var got []int
	for now := int64(0); now <= 5; now++ {
		q.Begin()
		for n := q.Expire(now); n != nil; n = q.Expire(now) {
			if n.When() != now {
				t.Errorf("%d fired at %d", n.When(), now)
			}
			got = append(got, n.Owner)
		}
	}
	if !slices.Equal(got, []int{1, 3, 5}) {
		t.Errorf("fired %v, want [1 3 5]", got)
	}
	if q.Len() != 0 {
		t.Errorf("%d left", q.Len())
	}
}

func TestNeverEarly(t *testing.T) {
	var q Queue[string]
	n := &Node[string]{Owner: "limit"}
	q.Set(n, 100, 50)
	q.Begin()
	if q.Expire(149) != nil {
		t.Fatal("fired one nanosecond early")
	}
	if q.Expire(150) != n {
		t.Fatal("did not fire at its deadline")
	}
}

func TestRearmWithoutDelayWaitsForTheNextPass(t *testing.T) {
	for _, where := range []string{"list", "heap"} {
		var q Queue[int]
		self, other := &Node[int]{Owner: 1}, &Node[int]{Owner: 2}
		arm := func() {
			if where == "list" {
				q.Set(self, 10, 0)
			} else {
				q.SetAt(self, 10)
			}
		}
		arm()
		q.SetAt(other, 10)
		q.Begin()
		fired := map[int]int{}
		for n := q.Expire(10); n != nil; n = q.Expire(10) {
			fired[n.Owner]++
			if fired[n.Owner] > 1 {
				t.Fatalf("%s: fired twice in one pass", where)
			}
			if n == self {
				arm()
			}
		}
		if fired[1] != 1 || fired[2] != 1 {
			t.Fatalf("%s: fired %v, want each once", where, fired)
		}
		q.Begin()
		if q.Expire(10) != self {
			t.Fatalf("%s: the re-armed timer did not fire in the next pass", where)
		}
	}
}

func TestStopAndMove(t *testing.T) {
	var q Queue[int]
	nodes := make([]Node[int], 5)
	for i := range nodes {
		nodes[i].Owner = i
		q.Set(&nodes[i], int64(i), 100)
	}
	if !q.Stop(&nodes[2]) || q.Stop(&nodes[2]) {
		t.Fatal("Stop must report true once")
	}
	q.Set(&nodes[0], 50, 100) // moves to the end
	if w, ok := q.Next(); !ok || w != 101 {
		t.Fatalf("Next = %d %v, want 101", w, ok)
	}
	var got []int
	q.Begin()
	for n := q.Expire(1000); n != nil; n = q.Expire(1000) {
		got = append(got, n.Owner)
	}
	if !slices.Equal(got, []int{1, 3, 4, 0}) {
		t.Fatalf("order %v", got)
	}
}

// TestAgainstModel compares the queue with a plain map under random use, with
// more durations than there are lists.
func TestAgainstModel(t *testing.T) {
	const seed = 20261124
	r := rand.New(rand.NewPCG(seed, 1))
	var q Queue[int]
	nodes := make([]Node[int], 200)
	for i := range nodes {
		nodes[i].Owner = i
	}
	model := map[int]int64{}
	now := int64(0)
	for step := range 50000 {
		i := r.IntN(len(nodes))
		switch r.IntN(4) {
		case 0:
			d := int64(1 + r.IntN(2*maxLists))
			q.Set(&nodes[i], now, d)
			model[i] = now + d
		case 1:
			d := int64(1 + r.IntN(1000))
			q.SetAt(&nodes[i], now+d)
			model[i] = now + d
		case 2:
			_, armed := model[i]
			if q.Stop(&nodes[i]) != armed {
				t.Fatalf("step %d: Stop disagrees", step)
			}
			delete(model, i)
		case 3:
			now += int64(r.IntN(20))
			q.Begin()
			for n := q.Expire(now); n != nil; n = q.Expire(now) {
				if model[n.Owner] != n.When() || n.When() > now {
					t.Fatalf("step %d: node %d fired for %d at %d, model %d", step, n.Owner, n.When(), now, model[n.Owner])
				}
				delete(model, n.Owner)
			}
		}
		earliest, any := int64(0), false
		for _, w := range model {
			if !any || w < earliest {
				earliest, any = w, true
			}
		}
		if w, ok := q.Next(); ok != any || w != earliest {
			t.Fatalf("step %d: Next = %d %v, model %d %v", step, w, ok, earliest, any)
		}
		if q.Len() != len(model) {
			t.Fatalf("step %d: Len %d, model %d", step, q.Len(), len(model))
		}
	}
}

func TestNoAllocations(t *testing.T) {
	var q Queue[int]
	nodes := make([]Node[int], 1000)
	now := int64(0)
	touch := func() {
		now++
		for i := range nodes {
			q.Set(&nodes[i], now, 40)
		}
	}
	touch()
	if n := testing.AllocsPerRun(100, touch); n != 0 {
		t.Errorf("%v allocations while moving 1,000 deadlines", n)
	}
}

func BenchmarkMove(b *testing.B) {
	var q Queue[int]
	nodes := make([]Node[int], 100_000)
	for i := range nodes {
		q.Set(&nodes[i], 0, int64(i%10))
	}
	for i := 0; b.Loop(); i++ {
		q.Set(&nodes[i%len(nodes)], int64(i), 40)
	}
}
