//go:build linux

package crowd

import "math/bits"

// Hist counts durations, in steps of at most a 32nd of themselves. The zero value
// is empty.
type Hist struct{ N []uint64 }

// Add counts one, in ns.
func (h *Hist) Add(ns int64) {
	i := place(ns)
	for i >= len(h.N) {
		h.N = append(h.N, 0)
	}
	h.N[i]++
}

// Merge counts what another has counted.
func (h *Hist) Merge(o *Hist) {
	for i, n := range o.N {
		for i >= len(h.N) {
			h.N = append(h.N, 0)
		}
		h.N[i] += n
	}
}

// Count returns how many were counted.
func (h *Hist) Count() (n int) {
	for _, k := range h.N {
		n += int(k)
	}
	return n
}

// Quantile returns what the part q of all is not above, in ns, rounded up to the
// step; 0 if nothing was counted.
func (h *Hist) Quantile(q float64) int64 {
	left := int(q * float64(h.Count()))
	for i, k := range h.N {
		if left -= int(k); left < 0 {
			return upper(i)
		}
	}
	if len(h.N) == 0 {
		return 0
	}
	return upper(len(h.N) - 1)
}

// place: below 64 one place for each ns, then 32 for each power of two.
func place(ns int64) int {
	v := uint64(max(ns, 0))
	if v < 64 {
		return int(v)
	}
	shift := bits.Len64(v) - 6
	return shift*32 + int(v>>shift)
}

// upper returns the largest of a place.
func upper(i int) int64 {
	if i < 64 {
		return int64(i)
	}
	shift := i/32 - 1
	return (int64(i-shift*32)+1)<<shift - 1
}
