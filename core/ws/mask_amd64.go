package ws

// haveAVX2 is whether the processor and the system have it.
var haveAVX2 = hasAVX2()

// maskWide masks b, at least wideFrom bytes, by words of 32 bytes: about three
// times as fast as maskWords while the data is in the cache, which it is when it
// was just received. It reports whether b is all ASCII now, and done false, having
// done nothing, where it cannot.
func maskWide(k uint32, b []byte) (ascii, done bool) {
	if !haveAVX2 {
		return false, false
	}
	return maskAVX2(&b[0], len(b), k), true
}

// maskAVX2 masks n bytes at b, at least 32, with the key k, and reports whether
// they are all ASCII now.
//
//go:noescape
func maskAVX2(b *byte, n int, k uint32) (ascii bool)

// hasAVX2 asks CPUID, and XGETBV whether the system saves the wide registers.
func hasAVX2() bool
