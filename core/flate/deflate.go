package flate

// Level says how hard a Deflater looks for matches. What it writes can be read
// by every inflater whatever the level.
type Level uint8

const (
	// Default looks at a few earlier places and puts a match off by a byte if
	// the next one is longer: about the size of zlib's level 6.
	Default Level = iota
	// Fast takes the first good match: less work, more bytes.
	Fast
	// Best looks at many earlier places.
	Best
)

// Deflater is one direction of a connection that compresses: its history, and
// nothing else. It is embedded by value and must not be copied after its first
// use; [Deflater.Init] comes first. It belongs to one thread at a time.
type Deflater struct {
	hist  []byte // a ring once it is as long as the window
	at    int    // where the next byte goes when the ring is full
	bits  uint8
	level Level
}

// Init makes a deflater whose distances stay within 1<<bits bytes, MinBits to
// MaxBits; bits outside are brought inside. It forgets everything before.
func (d *Deflater) Init(bits int, level Level) {
	*d = Deflater{bits: uint8(min(max(bits, MinBits), MaxBits)), level: level}
}

// Append compresses src, appends the result to dst and returns it. It ends in a
// sync flush: an empty stored block, after which the output is whole bytes and
// ends in 00 00 ff ff, which the caller may cut off (RFC 7692 7.2.1). Empty src
// gives the flush alone, 00 00 00 ff ff. What Append saw before may be referred
// to; the last 1<<bits bytes of src may be by later calls. Neither slice is kept.
func (d *Deflater) Append(ms *Matchers, dst, src []byte) []byte {
	return appendStored(dst, src)
}

// AppendOnce is [Deflater.Append] of a message that refers to nothing before and
// that nothing after refers to: no context takeover. The deflater holds no
// memory afterwards.
func (d *Deflater) AppendOnce(ms *Matchers, dst, src []byte) []byte {
	d.Forget()
	return appendStored(dst, src)
}

// Forget drops the history and its memory; the next message refers to nothing
// before it. It is always legal.
func (d *Deflater) Forget() { d.hist, d.at = nil, 0 }

// Memory is how many bytes of heap the deflater holds: its history, at most
// 1<<bits.
func (d *Deflater) Memory() int { return cap(d.hist) }

func appendStored(dst, src []byte) []byte {
	for len(src) > 0 {
		n := min(len(src), 65535)
		dst = append(dst, 0, byte(n), byte(n>>8), byte(^n), byte(^n>>8))
		dst = append(dst, src[:n]...)
		src = src[n:]
	}
	return append(dst, 0, 0, 0, 0xff, 0xff)
}
