// Package timer keeps the deadlines of one service thread.
//
// Nearly every deadline of a server is "now plus one of a dozen configured
// limits". All deadlines of one duration therefore form a list that is sorted
// by itself, because time moves forward: putting one in, taking one out and
// moving one to the end cost a few pointer writes, whether there are ten
// connections or a million, and a deadline is exact, not rounded to a tick.
// Odd durations (users' timers, the remainder of a limit) go to a heap.
//
// Nothing here reads a clock: now is an argument, in nanoseconds on any
// monotonic scale.
package timer

// maxLists bounds the number of durations that have a list of their own. The
// earliest deadline is found by looking at the head of each.
const maxLists = 32

// Node is one deadline, embedded in what it belongs to. The zero value, with
// Owner set, is ready for use. A Node must not be copied while it is armed.
type Node[T any] struct {
	Owner T

	prev, next *Node[T]
	when       int64  // ns on the caller's scale
	pass       uint32 // the Expire pass in which it was armed
	at         int32  // 0: not armed; i+1: at i in the heap; -(i+1): in list i
}

// Armed reports whether the node is waiting.
func (n *Node[T]) Armed() bool { return n.at != 0 }

// When returns the deadline of an armed node, in ns.
func (n *Node[T]) When() int64 { return n.when }

type list[T any] struct {
	d          int64 // duration, ns
	head, tail *Node[T]
}

// Queue holds deadlines. The zero value is ready for use. Loop thread only.
type Queue[T any] struct {
	lists []list[T]
	heap  []*Node[T]
	pass  uint32
	n     int
}

// Len returns the number of armed nodes.
func (q *Queue[T]) Len() int { return q.n }

// Set arms n for now+d with d one of the caller's configured durations, moving
// it if it is armed already. now must not go backwards between calls.
func (q *Queue[T]) Set(n *Node[T], now, d int64) {
	q.Stop(n)
	i := q.listFor(d)
	if i < 0 {
		q.push(n, now+d)
		return
	}
	l := &q.lists[i]
	n.when, n.pass, n.at = now+d, q.pass, -int32(i+1)
	n.prev = l.tail
	if l.tail != nil {
		l.tail.next = n
	} else {
		l.head = n
	}
	l.tail = n
	q.n++
}

// SetAt arms n for any moment, moving it if it is armed already.
func (q *Queue[T]) SetAt(n *Node[T], when int64) {
	q.Stop(n)
	q.push(n, when)
}

// Stop disarms n and reports whether it was armed.
func (q *Queue[T]) Stop(n *Node[T]) bool {
	switch {
	case n.at < 0:
		l := &q.lists[-n.at-1]
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
		n.prev, n.next, n.at = nil, nil, 0
	case n.at > 0:
		q.remove(int(n.at - 1))
	default:
		return false
	}
	q.n--
	return true
}

// Next returns the earliest deadline, false if nothing is armed.
func (q *Queue[T]) Next() (when int64, ok bool) {
	if n := q.first(); n != nil {
		return n.when, true
	}
	return 0, false
}

// Begin starts a pass of Expire: nodes armed from now on, even for the present
// moment, wait for the next pass, so a timer that re-arms itself with no delay
// cannot hold up the loop.
func (q *Queue[T]) Begin() { q.pass++ }

// Expire disarms and returns the earliest node that is due at now and was
// armed before Begin, nil if there is none.
func (q *Queue[T]) Expire(now int64) *Node[T] {
	n := q.first()
	if n == nil || n.when > now {
		return nil
	}
	if n.pass == q.pass {
		if n = q.olderRipe(now); n == nil {
			return nil
		}
	}
	q.Stop(n)
	return n
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

// olderRipe looks past nodes armed in this very pass. They are few: only those
// with no delay can be due.
func (q *Queue[T]) olderRipe(now int64) *Node[T] {
	var best *Node[T]
	consider := func(n *Node[T]) {
		if n.when <= now && n.pass != q.pass && (best == nil || n.when < best.when) {
			best = n
		}
	}
	for i := range q.lists {
		if h := q.lists[i].head; h != nil {
			consider(h) // a list is ordered by arming time: a new head means that no older node is left
		}
	}
	for _, n := range q.heap {
		if n.when <= now {
			consider(n)
		}
	}
	return best
}

// listFor returns the index of the list for d, making it if there is room.
func (q *Queue[T]) listFor(d int64) int {
	for i := range q.lists {
		if q.lists[i].d == d {
			return i
		}
	}
	for i := range q.lists {
		if q.lists[i].head == nil && len(q.lists) == maxLists {
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
