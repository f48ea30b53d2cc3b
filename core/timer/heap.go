package timer

// push puts n into the heap, a binary min-heap by deadline.
func (q *Queue[T]) push(n *Node[T]) {
	q.heap = append(q.heap, n)
	n.at = int32(len(q.heap))
	q.up(len(q.heap) - 1)
}

func (q *Queue[T]) remove(i int) {
	last := len(q.heap) - 1
	q.swap(i, last)
	q.heap[last] = nil
	q.heap = q.heap[:last]
	if i < last {
		q.up(i)
		q.down(i)
	}
}

func (q *Queue[T]) swap(i, j int) {
	h := q.heap
	h[i], h[j] = h[j], h[i]
	h[i].at, h[j].at = int32(i+1), int32(j+1)
}

func (q *Queue[T]) up(i int) {
	for i > 0 {
		p := (i - 1) / 2
		if q.heap[p].when <= q.heap[i].when {
			return
		}
		q.swap(i, p)
		i = p
	}
}

func (q *Queue[T]) down(i int) {
	for {
		c := 2*i + 1
		if c >= len(q.heap) {
			return
		}
		if c+1 < len(q.heap) && q.heap[c+1].when < q.heap[c].when {
			c++
		}
		if q.heap[i].when <= q.heap[c].when {
			return
		}
		q.swap(i, c)
		i = c
	}
}
