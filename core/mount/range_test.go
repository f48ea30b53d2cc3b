package mount

import "testing"

// FuzzRange: what is served lies in the file, adds up to no more than it, and an
// answer of parts has at most maxRanges.
func FuzzRange(f *testing.F) {
	for _, s := range []string{"bytes=0-1", "bytes=-5", "bytes=5-", "bytes=0-1,3-4", "bytes=9-2", "bytes=,1-2", "bytes=99999999999999999999-", "lines=1"} {
		f.Add(s, int64(20))
	}
	f.Fuzz(func(t *testing.T, value string, size int64) {
		if size < 0 {
			return
		}
		spans, ok := parseRange(value, size)
		if !ok && spans != nil || len(spans) > maxRanges {
			t.Fatalf("%q: %v %v", value, spans, ok)
		}
		total := int64(0)
		for _, s := range spans {
			if s.off < 0 || s.n <= 0 || s.off+s.n > size {
				t.Fatalf("%q of %d: %+v", value, size, s)
			}
			total += s.n
		}
		if total > size {
			t.Fatalf("%q of %d: %d bytes in all", value, size, total)
		}
	})
}
