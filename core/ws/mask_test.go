package ws

import (
	"bytes"
	"fmt"
	"testing"
)

// maskNaive is RFC 6455 5.3 to the letter.
func maskNaive(key [4]byte, pos int, b []byte) {
	for i := range b {
		b[i] ^= key[(pos+i)&3]
	}
}

// bytesFor returns n bytes that differ from their neighbours.
func bytesFor(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	return b
}

// guard is how much around a payload must stay as it was.
const guard = 40

// checkMask masks n bytes at an offset, and looks at what is around them too.
func checkMask(t *testing.T, how string, mask func(key [4]byte, pos int, b []byte), pos, off, n int) {
	t.Helper()
	got := bytesFor(off + n + guard)
	want := bytes.Clone(got)
	maskNaive(key, pos, want[off:off+n])
	mask(key, pos, got[off:off+n])
	if !bytes.Equal(got, want) {
		for i := range got {
			if got[i] != want[i] {
				t.Fatalf("%s: length %d, position %d, offset %d: byte %d is %#x, want %#x", how, n, pos, off, i-off, got[i], want[i])
			}
		}
	}
}

// keyAt is the key as maskWords and maskWide want it.
func keyAt(key [4]byte, pos int) uint32 {
	var k uint32
	for i := range 4 {
		k |= uint32(key[(pos+i)&3]) << (8 * i)
	}
	return k
}

func words(key [4]byte, pos int, b []byte) {
	k := uint64(keyAt(key, pos))
	maskWords(k<<32|k, b)
}

// TestMaskWidths: every way to mask gives the bytes of the RFC, for all lengths,
// rotations and alignments, and touches nothing else.
func TestMaskWidths(t *testing.T) {
	for n := range 2*128 + 70 {
		for off := range 33 {
			if off < 9 {
				checkMask(t, "words", words, off, off, n)
				checkMask(t, "Mask", Mask, off+1, off, n)
			}
			if wide := wideForTest(n); wide != nil {
				checkMask(t, "wide", wide, n+off/4, off, n)
			}
		}
	}
	for _, n := range []int{511, 512, 513, 4096, 4099, 16384, 65536, 65537, 1 << 20} {
		for off := range 4 {
			checkMask(t, "words", words, off+1, off, n)
			checkMask(t, "Mask", Mask, off+1, off, n)
		}
	}
}

// TestMaskFollows: a payload masked in pieces is the payload masked at once.
func TestMaskFollows(t *testing.T) {
	for _, n := range []int{10, 300, 1000} {
		for _, step := range []int{1, 3, 64, 191, 192, 193, 257} {
			got, want := bytesFor(n), bytesFor(n)
			maskNaive(key, 0, want)
			pos := uint8(0)
			for p := got; len(p) > 0; p = p[min(step, len(p)):] {
				pos, _ = maskLooking(key, pos, p[:min(step, len(p))])
			}
			if !bytes.Equal(got, want) {
				t.Errorf("%d bytes in pieces of %d", n, step)
			}
			if int(pos) != n&3 {
				t.Errorf("rotation %d after %d bytes", pos, n)
			}
		}
	}
}

// FuzzMask: every way to mask gives the bytes of the RFC.
func FuzzMask(f *testing.F) {
	f.Add([]byte("Hello"), uint32(0x3d21fa37), uint8(0), uint16(0))
	f.Add(make([]byte, 300), uint32(0x01020304), uint8(3), uint16(5))
	f.Fuzz(func(t *testing.T, p []byte, k uint32, pos uint8, from uint16) {
		key := [4]byte{byte(k), byte(k >> 8), byte(k >> 16), byte(k >> 24)}
		off := min(int(from), len(p))
		n := len(p) - off
		for how, mask := range map[string]func([4]byte, int, []byte){"words": words, "Mask": Mask, "wide": wideForTest(n)} {
			if mask == nil {
				continue
			}
			got, want := bytes.Clone(p), bytes.Clone(p)
			maskNaive(key, int(pos), want[off:])
			mask(key, int(pos), got[off:])
			if !bytes.Equal(got, want) {
				t.Errorf("%s: % x\nwant % x", how, got, want)
			}
		}
	})
}

func BenchmarkMask(b *testing.B) {
	ways := []struct {
		name string
		mask func([4]byte, int, []byte)
	}{{"Mask", Mask}, {"words", words}}
	for _, n := range []int{1, 7, 16, 31, 64, 125, 512, 4 << 10, 16 << 10, 64 << 10, 1 << 20} {
		for _, off := range []int{0, 6} {
			buf := make([]byte, n+off)[off:]
			for _, w := range ways {
				b.Run(fmt.Sprintf("size=%d/off=%d/%s", n, off, w.name), func(b *testing.B) {
					b.SetBytes(int64(n))
					for b.Loop() {
						w.mask(key, 0, buf)
					}
				})
			}
		}
	}
}
