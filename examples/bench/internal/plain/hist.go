//go:build linux

package plain

import (
	"math/bits"
	"time"
)

// hist counts durations in nanoseconds: 64 buckets for each power of two, so that a
// quantile is within 1.6 % of the true one.
type hist struct {
	n   uint64
	max int64
	b   [64 * 40]uint64
}

func (h *hist) add(ns int64) {
	ns = max(ns, 0)
	h.b[min(bucket(uint64(ns)), len(h.b)-1)]++
	h.n++
	h.max = max(h.max, ns)
}

func bucket(v uint64) int {
	if v < 64 {
		return int(v)
	}
	e := bits.Len64(v) - 7 // v>>e is in [64,128)
	return (e+1)*64 + int(v>>uint(e)) - 64
}

// middle returns the middle of a bucket.
func middle(i int) uint64 {
	if i < 64 {
		return uint64(i)
	}
	e := uint(i/64 - 1)
	return uint64(i%64+64)<<e + 1<<e/2
}

// quantile returns the duration below which the part q of all lies.
func (h *hist) quantile(q float64) time.Duration {
	want, seen := min(uint64(q*float64(h.n)), max(h.n, 1)-1), uint64(0)
	for i, x := range h.b {
		if seen += x; seen > want {
			return time.Duration(middle(i))
		}
	}
	return 0
}
