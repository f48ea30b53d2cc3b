package ws

import (
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
)

// TestTextTakesTheWideWay: what is not ASCII goes to validAVX2 if it is long
// enough. Of a text that goes on where no memory is, the stack of the fault tells
// who read first.
func TestTextTakesTheWideWay(t *testing.T) {
	if !haveAVX2 {
		t.Skip("this processor has no AVX2")
	}
	page := syscall.Getpagesize()
	mem, err := syscall.Mmap(-1, 0, 2*page, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer syscall.Munmap(mem)
	there := strings.Repeat("é", 16)
	from := page - copy(mem[page-len(there):], there)
	if err := syscall.Mprotect(mem[page:], syscall.PROT_NONE); err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{wideText - 1, wideText, 1000} {
		stack := readNothing(mem[from:][:n])
		if got, want := strings.Contains(stack, "ws.validAVX2"), n >= wideText; got != want {
			t.Errorf("%d bytes: wide %v, want %v\n%s", n, got, want, stack)
		}
	}
}

// readNothing checks p, which faults, and returns the stack of the fault.
func readNothing(p []byte) (stack string) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if recover() != nil {
			stack = string(debug.Stack())
		}
	}()
	validText(p)
	return ""
}
