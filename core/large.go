package core

import "time"

// largeBufs are buffers that a thread has just used: for messages that were
// assembled, and for what wires refused. The next large message takes one instead
// of fresh memory, which the system would have to find and clear page by page. What
// is not taken for a while goes.
type largeBufs struct {
	bufs   [][]byte // oldest first
	bytes  int      // their capacity
	misses int      // times there was none
	taken  bool     // one was, since the timer was set
	timer  timerNode
	lent   []byte // an assembled message that a handler looks at
}

const (
	// largeFrom is the size from which a buffer is worth keeping.
	largeFrom = 64 << 10
	// largeMost is the most that one thread keeps, bytes.
	largeMost = 16 << 20
	// largeTime is how long unused ones are kept, at least.
	largeTime = 5 * time.Second
)

// takeLarge returns an empty buffer with room for n bytes, nil if there is none.
func (th *Thread) takeLarge(n int) []byte {
	s := &th.large
	if n < largeFrom {
		return nil
	}
	for i := len(s.bufs) - 1; i >= 0; i-- {
		b := s.bufs[i]
		if cap(b) < n {
			continue
		}
		s.taken = true
		s.bytes -= cap(b)
		last := len(s.bufs) - 1
		copy(s.bufs[i:], s.bufs[i+1:])
		s.bufs[last] = nil
		s.bufs = s.bufs[:last]
		return b[:0]
	}
	s.misses++
	return nil
}

// giveLarge keeps b, which nobody needs any more, for the next that does.
func (th *Thread) giveLarge(b []byte) {
	s := &th.large
	if cap(b) < largeFrom || s.bytes+cap(b) > largeMost {
		return
	}
	s.bufs = append(s.bufs, b[:0])
	s.bytes += cap(b)
	if s.timer.Owner == nil {
		s.timer.Owner = th.dropLarge
	}
	if !s.timer.Armed() {
		th.timers.SetAt(&s.timer, th.now()+int64(largeTime))
		th.deadlineMoved()
	}
}

// dropLarge gives up what nobody has taken since it was last called.
func (th *Thread) dropLarge() {
	s := &th.large
	if s.taken && len(s.bufs) > 0 {
		s.taken = false
		th.timers.SetAt(&s.timer, th.now()+int64(largeTime))
		return
	}
	s.bufs, s.bytes = nil, 0
}

// lend notes that b is a handler's until its Receive returns; returned ends that.
func (th *Thread) lend(b []byte) { th.large.lent = b }

func (th *Thread) returned() {
	b := th.large.lent
	if b == nil {
		return
	}
	th.large.lent = nil
	if debugging {
		spoil(b)
	}
	th.giveLarge(b)
}
