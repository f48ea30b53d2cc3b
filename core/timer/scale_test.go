package timer

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestMomentsInOrderStayOutOfTheHeap: moments that come in order, from as many
// sources as there are runs, are appended; a heap would cost a million connections
// a pointer each and a walk down twenty levels for every Pong.
func TestMomentsInOrderStayOutOfTheHeap(t *testing.T) {
	var q Queue[int]
	nodes := make([]Node[int], maxRuns*1000)
	for i := range nodes {
		source := i % maxRuns
		q.SetAt(&nodes[i], int64(i/maxRuns+10_000*source))
	}
	if len(q.heap) != 0 || q.runs != maxRuns {
		t.Errorf("%d in the heap, %d runs", len(q.heap), q.runs)
	}
	extra := &Node[int]{}
	q.SetAt(extra, -1) // before the ends of all
	if len(q.heap) != 1 {
		t.Errorf("%d in the heap, want the one that fits nowhere", len(q.heap))
	}
	var got []int64
	q.Begin()
	for n := q.Expire(1 << 40); n != nil; n = q.Expire(1 << 40) {
		got = append(got, n.When())
	}
	if len(got) != len(nodes)+1 || !slices.IsSorted(got) {
		t.Errorf("%d fired, sorted: %v", len(got), slices.IsSorted(got))
	}
}

// TestRunsAreUsedAgain: a run that has become empty takes any moment.
func TestRunsAreUsedAgain(t *testing.T) {
	var q Queue[int]
	n := &Node[int]{}
	for when := int64(1000); when > 0; when-- {
		q.SetAt(n, when)
		if len(q.heap) > 0 || q.runs > 1 {
			t.Fatalf("%d in the heap, %d runs for one deadline", len(q.heap), q.runs)
		}
	}
}

// TestRipeTimersDoNotSearchTheHeap: timers that re-arm themselves with no delay
// cost what they are, not what else is armed: a search of the heap would meet the
// nils.
func TestRipeTimersDoNotSearchTheHeap(t *testing.T) {
	var q Queue[int]
	far := make([]Node[int], 1000)
	for i := range far {
		q.SetAt(&far[i], int64(1_000_000-i))
	}
	if len(q.heap) < len(far)-maxRuns {
		t.Fatalf("only %d in the heap", len(q.heap))
	}
	for i := len(q.heap) / 2; i < len(q.heap); i++ {
		q.heap[i] = nil // a leaf
	}
	q.heap = q.heap[:len(q.heap):len(q.heap)]
	self := make([]Node[int], 50)
	for now := int64(1); now < 100; now++ {
		for i := range self {
			q.Set(&self[i], now, 0)
		}
		q.Begin()
		fired := 0
		for n := q.Expire(now); n != nil; n = q.Expire(now) {
			fired++
			q.Set(n, now, 0)
		}
		if fired != len(self) {
			t.Fatalf("%d fired, want %d", fired, len(self))
		}
	}
}

// TestAPassMayBeLeft: what a pass does not get to is due in the next one, in order.
func TestAPassMayBeLeft(t *testing.T) {
	var q Queue[int]
	nodes := make([]Node[int], 100)
	for i := range nodes {
		nodes[i].Owner = i
		q.Set(&nodes[i], int64(i), 1000)
	}
	var got []int
	for range 10 {
		q.Begin()
		for range 10 {
			n := q.Expire(5000)
			got = append(got, n.Owner)
			q.Set(n, 5000, 0) // again, behind all others
		}
		if w, ok := q.Next(); !ok || w > 5000 {
			t.Fatalf("Next = %d %v", w, ok)
		}
	}
	for i, g := range got {
		if i != g {
			t.Fatalf("number %d was %d", i, g)
		}
	}
}

// TestPassesAgainstModel: what was due and armed before a pass fires in it, once;
// what is armed in it does not, wherever it lies and whenever it is due.
func TestPassesAgainstModel(t *testing.T) {
	r := rand.New(rand.NewPCG(20261126, 1))
	var q Queue[int]
	nodes := make([]Node[int], 64)
	for i := range nodes {
		nodes[i].Owner = i
	}
	now := int64(0)
	arm := func(n *Node[int]) {
		if r.IntN(2) == 0 {
			q.Set(n, now, int64(r.IntN(4)))
		} else {
			q.SetAt(n, now+int64(r.IntN(40)-20))
		}
	}
	for step := range 20_000 {
		now += int64(r.IntN(5))
		for range r.IntN(8) {
			arm(&nodes[r.IntN(len(nodes))])
		}
		due := map[int]bool{}
		for i := range nodes {
			if n := &nodes[i]; n.Armed() && n.When() <= now {
				due[i] = true
			}
		}
		q.Begin()
		for n := q.Expire(now); n != nil; n = q.Expire(now) {
			if !due[n.Owner] {
				t.Fatalf("step %d: %d fired, which was not due when the pass began", step, n.Owner)
			}
			delete(due, n.Owner)
			for range r.IntN(3) {
				o := &nodes[r.IntN(len(nodes))]
				arm(o) // a later deadline, or the next pass
				delete(due, o.Owner)
			}
		}
		if len(due) > 0 {
			t.Fatalf("step %d: %d were due and did not fire", step, len(due))
		}
		armed := 0
		for i := range nodes {
			if nodes[i].Armed() {
				armed++
			}
		}
		if q.Len() != armed {
			t.Fatalf("step %d: Len %d, armed %d", step, q.Len(), armed)
		}
	}
}
