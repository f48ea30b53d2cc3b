package ws

// wideText is the least that validWide takes.
const wideText = 35

// validWide is utf8.Valid for wideText bytes or more, by 32 bytes at a time and
// equally fast for all scripts. It reports done false where it cannot.
func validWide(p []byte) (valid, done bool) {
	if !haveAVX2 {
		return false, false
	}
	return validAVX2(&p[0], len(p)), true
}

// validAVX2 is utf8.Valid for n bytes, at least wideText, at p.
//
//go:noescape
func validAVX2(p *byte, n int) bool
