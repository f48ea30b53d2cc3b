package ws

import (
	"testing"
	"unicode/utf8"
)

// TestValidAVX2Lengths: every length from the least on, every place of a fault in
// it, and every character that the end cuts off.
func TestValidAVX2Lengths(t *testing.T) {
	if !haveAVX2 {
		t.Skip("this processor has no AVX2")
	}
	for name, whole := range texts(310) {
		for from := range 5 {
			for n := wideText; from+n <= len(whole); n++ {
				p := whole[from : from+n]
				if got, want := validAVX2(&p[0], n), utf8.Valid(p); got != want {
					t.Fatalf("%s: %q: %v", name, p, got)
				}
			}
		}
		for at := range whole {
			was := whole[at]
			for _, b := range edges {
				whole[at] = b
				p := whole[:max(wideText, len(whole)-at%32)]
				if got, want := validAVX2(&p[0], len(p)), utf8.Valid(p); got != want {
					t.Fatalf("%s: % x at %d of %d: %v", name, b, at, len(p), got)
				}
			}
			whole[at] = was
		}
	}
}

// TestValidTextWithoutAVX2: what an older processor does is right too.
func TestValidTextWithoutAVX2(t *testing.T) {
	defer func(was bool) { haveAVX2 = was }(haveAVX2)
	haveAVX2 = false
	for name, p := range texts(1000) {
		if !validText(p) {
			t.Errorf("%s is not valid", name)
		}
		if p[900] = 0xff; validText(p) {
			t.Errorf("%s is valid with FF in it", name)
		}
	}
	if _, done := validWide(make([]byte, wideText)); done {
		t.Error("validWide claims to have checked")
	}
}
