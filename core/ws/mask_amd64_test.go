package ws

import (
	"runtime/debug"
	"strings"
	"testing"
	"unsafe"
)

// wideForTest is the wide way for n bytes, nil if there is none.
func wideForTest(n int) func(key [4]byte, pos int, b []byte) {
	if !haveAVX2 || n < 32 {
		return nil
	}
	return func(key [4]byte, pos int, b []byte) { maskAVX2(&b[0], len(b), keyAt(key, pos)) }
}

// TestMaskTakesTheWideWay: from wideFrom on. That is not to be seen by the result,
// so memory that is not there tells who touched it first.
func TestMaskTakesTheWideWay(t *testing.T) {
	if !hasAVX2() {
		t.Skip("this processor has no AVX2")
	}
	for _, n := range []int{1, wideFrom - 1, wideFrom, wideFrom + 1, 16 << 10} {
		stack := touchNothing(n)
		if got, want := strings.Contains(stack, "ws.maskAVX2"), n >= wideFrom; got != want {
			t.Errorf("%d bytes: wide %v, want %v\n%s", n, got, want, stack)
		}
	}
}

// touchNothing masks n bytes at address 0 and returns the stack of the fault.
func touchNothing(n int) (stack string) {
	defer func() {
		if recover() != nil {
			stack = string(debug.Stack())
		}
	}()
	slice := struct {
		at       uintptr
		len, cap int
	}{0, n, n}
	Mask(key, 0, *(*[]byte)(unsafe.Pointer(&slice)))
	return ""
}

// TestMaskLooksForASCII: it says ASCII only of ASCII, wherever another byte is,
// and it says so of all long ASCII.
func TestMaskLooksForASCII(t *testing.T) {
	if !haveAVX2 {
		t.Skip("this processor has no AVX2")
	}
	for n := 32; n < 400; n++ {
		buf := make([]byte, n+33)
		for off := range 33 {
			b := buf[off : off+n]
			at := n // no other byte, then one everywhere
			for step := 0; step < 12 || n < 200 && step <= n; step++ {
				for i := range b {
					b[i] = byte(i) & 0x7f
				}
				if step > 0 {
					at = (step*31 + off) % n
					b[at] |= 0x80
				}
				maskNaive(key, off, b)
				if got := maskAVX2(&b[0], n, keyAt(key, off)); got != (step == 0) {
					t.Fatalf("length %d, offset %d, other byte at %d: ASCII %v", n, off, at, got)
				}
				if raceEnabled && step == 2 {
					break
				}
			}
		}
	}
	for _, n := range []int{0, 1, wideFrom - 1, wideFrom, 16 << 10} {
		b := make([]byte, n)
		Mask(key, 0, b)
		if _, ascii := maskLooking(key, 0, b); ascii != (n >= wideFrom) {
			t.Errorf("%d bytes: ASCII %v", n, ascii)
		}
	}
}

// TestMaskWithoutAVX2: what an older processor does is right too.
func TestMaskWithoutAVX2(t *testing.T) {
	defer func(was bool) { haveAVX2 = was }(haveAVX2)
	haveAVX2 = false
	for n := range 1100 {
		checkMask(t, "Mask without AVX2", Mask, n, n%9, n)
	}
	if _, done := maskWide(0, make([]byte, wideFrom)); done {
		t.Error("maskWide claims to have masked")
	}
}
