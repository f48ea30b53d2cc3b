package core

// outTurn bounds the messages that one outbox sends in one turn.
const outTurn = 256

// outQueue is what waits; while a peer keeps up there is none.
type outQueue struct {
	items   []outItem // from head
	head    int
	bytes   int
	dropped uint64
	o       *Outbox
	end     endNode
}

// outItem is a message that waits.
type outItem struct {
	data   []byte  // ours
	shared *Shared // or everybody's
	binary bool
}

func (it *outItem) size() int {
	if it.shared != nil {
		return it.shared.Len()
	}
	return len(it.data)
}

func (q *outQueue) len() int { return len(q.items) - q.head }

func (q *outQueue) push(it outItem) {
	q.items = append(q.items, it)
	q.bytes += it.size()
}

// pop takes the oldest; the emptied queue keeps no memory to speak of.
func (q *outQueue) pop() outItem {
	it := q.items[q.head]
	q.items[q.head] = outItem{}
	q.head++
	q.bytes -= it.size()
	if q.head == len(q.items) {
		q.items, q.head = nil, 0
	} else if q.head > 32 && q.head*2 > len(q.items) {
		n := copy(q.items, q.items[q.head:])
		clear(q.items[n:])
		q.items, q.head = q.items[:n], 0
	}
	return it
}

// queue returns the queue, making it.
func (o *Outbox) queue() *outQueue {
	if o.q == nil {
		o.q = &outQueue{o: o}
		o.q.end.owner = o.q
		o.c.onEnd(&o.q.end)
	}
	return o.q
}

// release drops an empty queue, unless it has something to tell.
func (o *Outbox) release() {
	if q := o.q; q != nil && q.len() == 0 && q.dropped == 0 {
		o.c.offEnd(&q.end)
		o.q = nil
	}
}

// connEnded: nobody will take what waits.
func (q *outQueue) connEnded() { q.items, q.head, q.bytes = nil, 0, 0 }

// exceeds reports whether so much is more than an outbox holds.
func (o *Outbox) exceeds(bytes, count int) bool {
	return over(bytes, o.kind.lim.OutboxBytes) || over(count, o.kind.lim.OutboxCount)
}

// room reports whether a message of that size has room, dropping older ones for
// it if that is the policy. An empty outbox has room for anything. asked is false
// for a message that has its room already and only makes others go.
func (o *Outbox) room(size int, asked bool) bool {
	q := o.q
	for q != nil && q.len() > 0 && o.exceeds(q.bytes+size, q.len()+1) {
		if o.kind.policy != DropOldest {
			return !asked
		}
		q.pop()
		q.dropped++
	}
	return true
}
