package flate

import "math/bits"

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

// Deflater is one direction of a connection that compresses. It is embedded by
// value and must not be copied after its first use; [Deflater.Init] comes first.
// It belongs to one thread at a time, and may go to another between messages.
//
// It keeps its history itself, beside what a [Matcher] has of it: a copy costs
// nanoseconds, the memory of a connection stays what [Deflater.Memory] says
// whether it is busy or not, and the Matcher can be given to another, on any
// occasion, without asking its owner.
type Deflater struct {
	m    *Matcher // the one it used last
	turn uint64   // it is still its own while Matcher.owner is this
	hist []byte   // grows up to the window, and is a ring then
	at   int      // where the next byte goes in the ring: its oldest byte
	bits uint8
	lvl  Level
}

// Init makes a deflater whose distances are at most 1<<bits, MinBits to MaxBits;
// bits outside are brought inside, and an unknown level is Default. It forgets
// everything before.
func (d *Deflater) Init(bits int, level Level) {
	if int(level) >= len(efforts) {
		level = Default
	}
	*d = Deflater{bits: uint8(min(max(bits, MinBits), MaxBits)), lvl: level}
}

// Append compresses src, appends the result to dst and returns it. It ends in a
// sync flush: an empty stored block, after which the output is whole bytes and
// ends in 00 00 ff ff, which the caller may cut off (RFC 7692 7.2.1). Empty src
// gives the flush alone, 00 00 00 ff ff. What Append saw before may be referred
// to, and later calls may refer to the last 1<<bits bytes of src. Neither slice
// is kept. src that does not compress grows by 5 bytes for every 65,535 begun,
// and the flush's 5.
//
// ms belongs to the thread that calls.
func (d *Deflater) Append(ms *Matchers, dst, src []byte) []byte {
	if len(src) > 0 {
		if !ms.hot(d.m, d.turn) {
			d.m = ms.take(d.bits, true)
			d.turn = ms.turns
			d.m.owner = d.turn
			d.m.effort = efforts[d.lvl]
			d.m.take(1<<d.bits, d.hist[d.at:], d.hist[:d.at], primeStep(len(d.hist), d.lvl))
		}
	}
	dst = ms.deflate(d.m, dst, src)
	d.save(src)
	return dst
}

// AppendOnce is [Deflater.Append] of a message that refers to nothing before it
// and that nothing after it refers to: no context takeover. The deflater holds no
// memory afterwards.
func (d *Deflater) AppendOnce(ms *Matchers, dst, src []byte) []byte {
	d.Forget()
	var m *Matcher
	if len(src) > 0 {
		// A window as long as the message does for it, and its tables are smaller.
		b := uint8(min(max(bits.Len(uint(len(src)-1)), MinBits), int(d.bits)))
		m = ms.take(b, false)
		m.effort = efforts[d.lvl]
		m.take(1<<b, nil, nil, 1)
	}
	return ms.deflate(m, dst, src)
}

// Forget drops the history and its memory; the next message refers to nothing
// before it. It is always legal. The Matcher it used last, if any, is its thread's
// and serves others.
func (d *Deflater) Forget() {
	d.m, d.turn, d.hist, d.at = nil, 0, nil, 0
}

// Memory is how many bytes of heap the deflater holds: its history, at most
// 1<<bits. What is in a Matcher is counted by [Matchers.Memory].
func (d *Deflater) Memory() int { return cap(d.hist) }

// primeStep is how far apart the places of a history of n bytes are that a cold
// Matcher enters. Skipping some costs a few bytes of output and saves most of
// the time of a small message; parse finds the beginnings of matches again.
func primeStep(n int, level Level) int {
	switch {
	case level == Best || n <= 1<<10:
		return 1
	case n <= 1<<13:
		return 2
	}
	return 4
}

// save makes src the history's end.
func (d *Deflater) save(src []byte) {
	window := 1 << d.bits
	src = src[max(len(src)-window, 0):]
	if room := window - len(d.hist); room > 0 {
		n := min(room, len(src))
		if need := len(d.hist) + n; need > cap(d.hist) {
			hist := make([]byte, len(d.hist), min(max(need, 2*cap(d.hist)), window))
			copy(hist, d.hist)
			d.hist = hist
		}
		d.hist = append(d.hist, src[:n]...)
		src = src[n:]
	}
	for len(src) > 0 {
		n := copy(d.hist[d.at:], src)
		d.at = (d.at + n) & (window - 1)
		src = src[n:]
	}
}

// deflate compresses src with a matcher that is ready; with none, src is empty.
func (ms *Matchers) deflate(m *Matcher, dst, src []byte) []byte {
	ms.enc.begin(dst, src)
	if len(src) > 0 {
		m.compress(&ms.enc, src)
	}
	return ms.enc.finish()
}
