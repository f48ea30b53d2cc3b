//go:build !race && !anyloopdebug

package core

import "testing"

// TestStreamFeedAllocatesNothing: an echo over a stream costs what one over a
// descriptor does.
func TestStreamFeedAllocatesNothing(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	frame := []byte(textFrame("sixty-four bytes"))
	buf := make([]byte, len(frame))
	w.f.took = make([]byte, 0, 1<<20)
	w.f.sc.Feed(append(buf[:0], frame...))
	fixed := &sinkStream{}
	w.f.sc.(*streamWire).s = fixed
	n := testing.AllocsPerRun(1000, func() { w.f.sc.Feed(append(buf[:0], frame...)) })
	w.f.sc.(*streamWire).s = w.f
	if n != 0 {
		t.Errorf("%v allocations per message", n)
	}
	if fixed.n == 0 {
		t.Error("nothing was written")
	}
}

type sinkStream struct {
	fakeStream
	n int
}

func (s *sinkStream) Write(head, tail []byte) (int, error) {
	s.n += len(head) + len(tail)
	return len(head) + len(tail), nil
}
