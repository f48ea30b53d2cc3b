// Package timer keeps the deadlines of one service thread.
//
// Nearly every deadline of a server is "now plus one of a dozen configured
// limits". All deadlines of one duration therefore form a list that is sorted
// by itself, because time moves forward: putting one in, taking one out and
// moving one to the end cost a few pointer writes, whether there are ten
// connections or a million, and a deadline is exact, not rounded to a tick.
// Odd moments (users' timers, the remainder of a limit) mostly come in order,
// too: they are appended to one of a few runs. Only what fits behind none of them
// goes to a heap.
//
// Nothing here reads a clock: now is an argument, in nanoseconds on any
// monotonic scale.
package timer

// maxLists bounds the number of durations that have a list of their own. The
// earliest deadline is found by looking at the head of each.
const maxLists = 32

// maxRuns of the lists are runs: of any moments, as long as each is not before the
// last one.
const maxRuns = 8

// isRun is the duration of a list that is a run.
const isRun = -1

// heldAt marks a node that is ripe and waits for the next pass.
const heldAt = -1 << 31

// Node is one deadline, embedded in what it belongs to. The zero value, with
// Owner set, is ready for use. A Node must not be copied while it is armed.
type Node[T any] struct {
	Owner T

	prev, next *Node[T]
	when       int64  // ns on the caller's scale
	pass       uint32 // the Expire pass in which it was armed
	at         int32  // 0: not armed; i+1: at i in the heap; -(i+1): in list i; or heldAt
}

// Armed reports whether the node is waiting.
func (n *Node[T]) Armed() bool { return n.at != 0 }

// When returns the deadline of an armed node, in ns.
func (n *Node[T]) When() int64 { return n.when }

type list[T any] struct {
	d          int64 // duration, ns; or isRun
	head, tail *Node[T]
}

// push appends n.
func (l *list[T]) push(n *Node[T]) {
	n.prev = l.tail
	if l.tail != nil {
		l.tail.next = n
	} else {
		l.head = n
	}
	l.tail = n
}

// remove takes n out.
func (l *list[T]) remove(n *Node[T]) {
	if n.prev != nil {
		n.prev.next = n.next
	} else {
		l.head = n.next
	}
	if n.next != nil {
		n.next.prev = n.prev
	} else {
		l.tail = n.prev
	}
	n.prev, n.next = nil, nil
}

// Queue holds deadlines. The zero value is ready for use. Loop thread only.
type Queue[T any] struct {
	lists []list[T]
	runs  int // of the lists
	heap  []*Node[T]
	held  list[T] // ripe, but armed in this pass
	pass  uint32
	n     int
}

// Len returns the number of armed nodes.
func (q *Queue[T]) Len() int { return q.n }

// Set arms n for now+d with d one of the caller's configured durations, moving
// it if it is armed already. now must not go backwards between calls.
func (q *Queue[T]) Set(n *Node[T], now, d int64) {
	if d < 0 {
		q.SetAt(n, now+d)
		return
	}
	q.Stop(n)
	n.when, n.pass = now+d, q.pass
	q.put(n, q.listFor(d))
}

// SetAt arms n for any moment, moving it if it is armed already.
func (q *Queue[T]) SetAt(n *Node[T], when int64) {
	q.Stop(n)
	n.when, n.pass = when, q.pass
	q.put(n, q.runFor(when))
}

// put puts n into list i, or the heap if i is negative.
func (q *Queue[T]) put(n *Node[T], i int) {
	q.n++
	if i < 0 {
		q.push(n)
		return
	}
	n.at = -int32(i + 1)
	q.lists[i].push(n)
}

// Stop disarms n and reports whether it was armed.
func (q *Queue[T]) Stop(n *Node[T]) bool {
	switch {
	case n.at == heldAt:
		q.held.remove(n)
	case n.at < 0:
		q.lists[-n.at-1].remove(n)
	case n.at > 0:
		q.remove(int(n.at - 1))
	default:
		return false
	}
	n.at = 0
	q.n--
	return true
}

// Next returns the earliest deadline, false if nothing is armed.
func (q *Queue[T]) Next() (when int64, ok bool) {
	q.release()
	if n := q.first(); n != nil {
		return n.when, true
	}
	return 0, false
}

// Begin starts a pass of Expire: nodes armed from now on, even for the present
// moment, wait for the next pass, so a timer that re-arms itself with no delay
// cannot hold up the loop.
func (q *Queue[T]) Begin() {
	q.release()
	q.pass++
}

// Expire disarms and returns the earliest node that is due at now and was
// armed before Begin, nil if there is none. A pass may be left before that: the
// rest is due in the next one.
func (q *Queue[T]) Expire(now int64) *Node[T] {
	for {
		n := q.first()
		if n == nil || n.when > now {
			return nil
		}
		q.Stop(n)
		if n.pass != q.pass {
			return n
		}
		q.hold(n) // once in a pass, so nobody looks past it again
	}
}

// hold keeps a ripe node for the next pass.
func (q *Queue[T]) hold(n *Node[T]) {
	n.at = heldAt
	q.held.push(n)
	q.n++
}

// release puts what was held among the others.
func (q *Queue[T]) release() {
	for n := q.held.head; n != nil; n = q.held.head {
		q.Stop(n)
		q.put(n, q.runFor(n.when))
	}
}

// first returns the earliest node; of equals the one in the first list.
func (q *Queue[T]) first() *Node[T] {
	var best *Node[T]
	for i := range q.lists {
		if h := q.lists[i].head; h != nil && (best == nil || h.when < best.when) {
			best = h
		}
	}
	if len(q.heap) > 0 && (best == nil || q.heap[0].when < best.when) {
		best = q.heap[0]
	}
	return best
}

// runFor returns the run that ends closest before when, so that few runs hold what
// comes from several sources, each in order; -1 if when is before the ends of all.
func (q *Queue[T]) runFor(when int64) int {
	best, empty := -1, -1
	for i := range q.lists {
		l := &q.lists[i]
		switch {
		case l.d != isRun:
		case l.tail == nil:
			empty = i
		case l.tail.when <= when && (best < 0 || l.tail.when > q.lists[best].tail.when):
			best = i
		}
	}
	switch {
	case best >= 0:
		return best
	case empty >= 0:
		return empty
	case q.runs == maxRuns || len(q.lists) == maxLists:
		return -1
	}
	q.runs++
	q.lists = append(q.lists, list[T]{d: isRun})
	return len(q.lists) - 1
}

// listFor returns the index of the list for d, making it if there is room.
func (q *Queue[T]) listFor(d int64) int {
	for i := range q.lists {
		if q.lists[i].d == d {
			return i
		}
	}
	for i := range q.lists {
		if q.lists[i].head == nil && q.lists[i].d != isRun && len(q.lists) == maxLists {
			q.lists[i].d = d
			return i
		}
	}
	if len(q.lists) == maxLists {
		return -1
	}
	q.lists = append(q.lists, list[T]{d: d})
	return len(q.lists) - 1
}
