package flate

import (
	"encoding/binary"
	"math/bits"
)

const (
	minMatch = 4 // what is hashed; shorter matches hardly pay
	maxMatch = 258
	maxSkip  = 32 // bytes passed over at once in data without matches

	matcherMul   = 0x9e3779b1
	matcherSlack = 8       // bytes past the buffer, so that eight are loaded at a time
	matcherWrap  = 1 << 31 // positions begin again past it
)

// effort is what a Level means.
type effort struct {
	chain int // places looked at for one match
	good  int // from this length on, a better one is looked for a quarter as far
	lazy  int // below this length, the next byte is tried too
	nice  int // from this length on, it is good enough
	calm  int // after 1<<calm bytes without a match one byte is passed over, after twice as many two
}

var efforts = [...]effort{
	Default: {chain: 24, good: 8, lazy: 32, nice: 128, calm: 7},
	Fast:    {chain: 4, good: 8, lazy: 0, nice: 32, calm: 5},
	Best:    {chain: 1024, good: 64, lazy: maxMatch, nice: maxMatch, calm: 20},
}

// Matcher finds earlier occurrences for one Deflater at a time. [Matchers] makes
// them; one takes about 8 bytes for each byte of its window.
//
// It holds a stretch of plain text, the window and what is being compressed, and
// knows every place in it by a position that only ever rises: so whatever an
// earlier owner left in the tables is out of reach, and nothing is cleared when
// the owner changes.
type Matcher struct {
	home  *Matchers
	slot  int32
	owner uint64 // the turn in which a Deflater took it; 0: nobody's

	buf  []byte
	base uint32 // position of buf[0]
	pos  int    // buf[:pos] is compressed
	end  int    // buf[:end] is the owner's text
	ins  int    // in the tables up to here
	off  int    // what turns an index of buf into one of the source

	window int // no distance is longer
	size   int // window of the tables, at least window
	shift  uint
	effort effort
	head   []uint32 // by hash: the last position
	prev   []uint16 // by position: how far before it the one of the same hash is, 0 for none
}

func newMatcher(bits uint8) *Matcher {
	size := 1 << bits
	return &Matcher{
		size: size, shift: uint(32 - bits),
		buf:  make([]byte, size+max(size, 1024)+matcherSlack),
		head: make([]uint32, size), prev: make([]uint16, size),
		base: uint32(size) + 1,
	}
}

func (m *Matcher) memory() int { return cap(m.buf) + 4*cap(m.head) + 2*cap(m.prev) }

// take begins with a new owner's history, in two parts; of it, every step-th
// place is entered.
func (m *Matcher) take(window int, a, b []byte, step int) {
	m.base += uint32(m.end + m.size + 1)
	m.window = window
	m.ins = 0
	m.end = copy(m.buf, a)
	m.end += copy(m.buf[m.end:], b)
	m.pos = m.end
	m.rebase()
	if last := m.end - minMatch + 1; step > 1 && last > 0 {
		m.enter(0, last, step)
		m.ins = last
	}
}

// rebase begins positions again before they overflow, with empty tables.
func (m *Matcher) rebase() {
	if m.base > matcherWrap {
		clear(m.head)
		m.base = uint32(m.size) + 1
	}
}

// compress turns src into tokens.
func (m *Matcher) compress(e *encoder, src []byte) {
	for at := 0; at < len(src); {
		room := len(m.buf) - matcherSlack
		if m.end+len(src)-at > room {
			m.slide()
		}
		m.off = at - m.end
		n := copy(m.buf[m.end:room], src[at:])
		m.end += n
		at += n
		stop := m.end
		if at < len(src) {
			stop -= maxMatch + 1 // matches may go on in what follows
		}
		m.parse(e, stop)
	}
}

// slide makes room in the buffer, and keeps the window.
func (m *Matcher) slide() {
	by := m.pos - m.size
	if by <= 0 {
		return
	}
	copy(m.buf, m.buf[by:m.end])
	m.pos -= by
	m.end -= by
	m.ins = max(m.ins-by, 0) // a long match may have left it behind
	m.base += uint32(by)
	m.rebase()
}

// parse turns the text from pos to stop into tokens; a match may reach beyond.
func (m *Matcher) parse(e *encoder, stop int) {
	p := m.pos
	met := p // end of the last match
	for p < stop {
		if e.full() {
			e.endBlock(p + m.off)
		}
		n, dist := m.find(p, minMatch-1, m.effort.chain)
		if n == 0 {
			next := min(p+1+(p-met)>>m.effort.calm, p+maxSkip, stop)
			for ; p < next; p++ {
				e.literal(m.buf[p])
			}
			continue
		}
		for n < m.effort.lazy && p+1 < stop {
			chain := m.effort.chain
			if n >= m.effort.good {
				chain >>= 2
			}
			n2, dist2 := m.find(p+1, n, chain)
			if n2 == 0 {
				break
			}
			e.literal(m.buf[p])
			p++
			n, dist = n2, dist2
		}
		// Where not every place was entered a match is found late.
		for n < maxMatch && p > dist && m.buf[p-1] == m.buf[p-1-dist] && e.unliteral() {
			p--
			n++
		}
		e.match(n, dist)
		p += n
		met = p
	}
	m.pos = p
}

// enter puts every step-th place from from to before to into the tables.
func (m *Matcher) enter(from, to, step int) {
	buf, head, prev := m.buf, m.head, m.prev
	mask, window, shift := uint32(len(prev)-1), uint32(m.window), m.shift&31
	cur := m.base + uint32(from)
	for i := from; i < to; i += step {
		h := binary.LittleEndian.Uint32(buf[i:]) * matcherMul >> shift
		delta := cur - head[h]
		head[h] = cur
		if delta > window {
			delta = 0
		}
		prev[cur&mask] = uint16(delta)
		cur += uint32(step)
	}
}

// find returns the longest match at p that is longer than best, and its
// distance, or 0. Everything up to p is in the tables afterwards.
func (m *Matcher) find(p, best, chain int) (length, dist int) {
	limit := min(m.end-p, maxMatch)
	if limit < minMatch {
		return 0, 0
	}
	if m.ins < p {
		m.enter(m.ins, p, 1)
	}
	m.ins = p + 1
	buf, prev := m.buf, m.prev
	want := binary.LittleEndian.Uint32(buf[p:])
	at := m.base + uint32(p)
	mask := uint32(len(prev) - 1)
	slot := &m.head[want*matcherMul>>(m.shift&31)]
	far := at - *slot
	*slot = at
	if far > uint32(m.window) {
		prev[at&mask] = 0
		return 0, 0
	}
	prev[at&mask] = uint16(far)
	if best >= limit {
		return 0, 0
	}
	nice := min(m.effort.nice, limit)
	for d := int(far); far != 0 && d <= m.window; d += int(far) {
		c := p - d
		if buf[c+best] == buf[p+best] && binary.LittleEndian.Uint32(buf[c:]) == want {
			if n := matchLen(buf, c, p, limit); n > best {
				best, length, dist = n, n, d
				if n >= nice {
					break
				}
			}
		}
		if chain--; chain <= 0 {
			break
		}
		far = uint32(prev[(at-uint32(d))&mask])
	}
	return length, dist
}

// matchLen counts the equal bytes from c and p, at most limit.
func matchLen(buf []byte, c, p, limit int) int {
	for n := 4; n < limit; n += 8 {
		x := binary.LittleEndian.Uint64(buf[c+n:]) ^ binary.LittleEndian.Uint64(buf[p+n:])
		if x != 0 {
			return min(n+bits.TrailingZeros64(x)>>3, limit)
		}
	}
	return limit
}
