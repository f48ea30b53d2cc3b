package flate

import (
	"encoding/binary"
	"math/bits"
)

// remember appends output to the history. The ring grows by doubling while it is
// smaller than the window; until it has that size it never wraps.
func (z *Inflater) remember(p []byte) {
	if len(p) == 0 {
		return
	}
	window := 1 << z.bits
	if len(p) > window {
		p = p[len(p)-window:]
	}
	have := int(z.have)
	if need := min(have+len(p), window); need > len(z.hist) {
		ring := make([]byte, max(1<<MinBits, 1<<bits.Len(uint(need-1))))
		copy(ring, z.hist[:have])
		z.hist, z.pos = ring, uint16(have)
	}
	k := copy(z.hist[z.pos:], p)
	copy(z.hist, p[k:])
	z.pos = uint16((int(z.pos) + len(p)) & (len(z.hist) - 1))
	z.have = uint16(min(have+len(p), window))
}

// reaches reports whether distance d, after produced bytes of this call, is within
// the window and the data.
func (z *Inflater) reaches(d, produced int) bool {
	return d <= 1<<z.bits && d <= int(z.have)+produced
}

// copyMatch writes n bytes from distance d at w, from the history what this call
// did not produce. There is room for n, and d reaches.
func (z *Inflater) copyMatch(dst []byte, start, w, d, n int) {
	if back := d - (w - start); back > 0 {
		p := (int(z.pos) - back) & (len(z.hist) - 1)
		k := min(n, back)
		c := copy(dst[w:w+k], z.hist[p:])
		copy(dst[w+c:w+k], z.hist)
		w, n = w+k, n-k
	}
	for n > 0 {
		k := copy(dst[w:w+n], dst[w-d:w])
		w, n, d = w+k, n-k, d+k
	}
}

// copyFar is copyMatch by words for what lies in one piece in the history, back
// bytes before its end. It reports whether that was so.
func (z *Inflater) copyFar(dst []byte, w, back, n int) bool {
	p := (int(z.pos) - back) & (len(z.hist) - 1)
	if n > back || n > 64 || p+n+slack > len(z.hist) {
		return false
	}
	from := z.hist[p : p+n+slack]
	to := dst[w : w+n+slack]
	for i := 0; i < n; i += 8 {
		binary.LittleEndian.PutUint64(to[i:], binary.LittleEndian.Uint64(from[i:]))
	}
	return true
}

// slack is how far beyond a match's end copying by words may read and write.
const slack = 8

// copyNear is copyMatch for what this call produced, by words.
func copyNear(dst []byte, w, d, n int) {
	s, end := w-d, w+n
	if d < 8 {
		// The first word byte by byte; from then on the pattern repeats at a
		// multiple of d that is at least a word.
		for k := range 8 {
			dst[w+k] = dst[s+k]
		}
		w += 8
		s = w - d*((7+d)/d)
	} else if n > 48 && d >= n {
		copy(dst[w:end], dst[s:s+n])
		return
	}
	for w < end {
		binary.LittleEndian.PutUint64(dst[w:], binary.LittleEndian.Uint64(dst[s:]))
		w, s = w+8, s+8
	}
}
