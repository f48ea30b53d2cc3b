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

// TestMaskWithoutAVX2: what an older processor does is right too.
func TestMaskWithoutAVX2(t *testing.T) {
	defer func(was bool) { haveAVX2 = was }(haveAVX2)
	haveAVX2 = false
	for n := range 1100 {
		checkMask(t, "Mask without AVX2", Mask, n, n%9, n)
	}
	if maskWide(0, make([]byte, wideFrom)) {
		t.Error("maskWide claims to have masked")
	}
}
