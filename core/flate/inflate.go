package flate

// Inflater decodes one stream: one direction of one connection. It is suspended
// wherever its input or the room for its output ends, and goes on there. It is
// made to be embedded by value: 256 bytes, and the history on the heap, which is
// as large as the data so far demand and never larger than the window. Nothing
// else is ever allocated, and nothing once the history has its size.
//
// A stream is a sequence of blocks without end. A block with BFINAL set is not
// the last: the rest of its last byte is skipped and another block begins
// (RFC 7692 7.2.3.4).
//
// The zero value has no window: call Init first. Loop thread only.
type Inflater struct {
	hist    []byte  // ring; its length is a power of two, up to the window
	tables  *Tables // where the codes of this block were last put
	serial  uint64  // and under which number
	err     error
	acc     uint64 // bits read and not used, the first one lowest
	clens   uint64 // lengths of the code length codes, 3 bits each
	pos     uint16 // where in hist the next byte goes
	have    uint16 // bytes of history; the window at most
	rem     uint16 // of a stored block or a match
	dist    uint16 // of the match
	read    uint16 // code lengths read so far
	packed  uint16 // of these, in codes
	nlit    uint16 // literal and length codes of this block
	ndist   uint8  // its distance codes
	nclen   uint8  // its code length codes
	bits    uint8  // of the window
	n       uint8  // bits in acc: fewer than 64
	state   state
	tail    uint8 // bytes of the end of the message that were decoded
	final   bool  // BFINAL of this block
	full    bool  // output is owed
	lengths packedLengths
}

// state is what comes next.
type state uint8

const (
	stHeader    state = iota
	stSize            // of a stored block
	stStored          // bytes of it
	stCounts          // of a dynamic block's codes
	stClens           // lengths of the codes of the code lengths
	stFixed           // a symbol in the fixed codes
	stFixedDist       // the distance after a length
	stFixedCopy       // what a match owes
	stLengths         // code lengths; from here on, codes are in Tables
	stDynamic         // the three again in the block's own codes
	stDynamicDist
	stDynamicCopy
)

// tail is what the sender of a message cut off its end (RFC 7692 7.2.1).
var tail = [4]byte{0, 0, 0xff, 0xff}

// Init makes z the decoder of a new stream with a window of 1<<bits bytes, MinBits
// to MaxBits. Everything before is forgotten, an error too.
func (z *Inflater) Init(bits int) {
	*z = Inflater{bits: uint8(min(max(bits, MinBits), MaxBits))}
}

// Inflate decodes src and appends the output to dst, never beyond cap(dst). It
// returns when src is used up and gives no more, or when there is no room. n says
// how much of src it took: all of it unless dst is full. The bytes of dst up to
// len(dst) are neither read nor changed; those from there to cap(dst) are
// scratch. Nothing of dst and src is referred to afterwards: the output goes into
// the history too.
//
// The output is the same however src and dst are cut, pieces of 0 and 1 byte
// included. An error comes with the output before it and stays until Init. t must
// not be nil; any Tables will do, the one used before saves work.
func (z *Inflater) Inflate(t *Tables, dst, src []byte) (out []byte, n int, err error) {
	r := run{dst: dst[:cap(dst)], src: src, start: len(dst), w: len(dst)}
	z.run(t, &r)
	z.remember(r.dst[r.start:r.w])
	return r.dst[:r.w], r.i, z.err
}

// InflateLast is Inflate for the last bytes of a message, EndMessage and Forget in
// one, for a stream without context takeover: done says that the message ended.
// Otherwise call it again with what is left of src, even if that is nothing, and
// with room. A message that is whole in src and in the room of dst costs no memory
// and no copy.
func (z *Inflater) InflateLast(t *Tables, dst, src []byte) (out []byte, n int, done bool, err error) {
	r := run{dst: dst[:cap(dst)], src: src, start: len(dst), w: len(dst)}
	z.run(t, &r)
	n = r.i
	if z.err == nil && n == len(src) && !z.full {
		done = z.end(t, &r)
	}
	if done || z.err != nil {
		z.Forget()
	} else {
		z.remember(r.dst[r.start:r.w])
	}
	return r.dst[:r.w], n, done, z.err
}

// EndMessage decodes what the sender cut off the end of the message, 00 00 ff ff.
// It is called when the message's last byte was decoded and nothing is owed. If
// More says so afterwards, call it again with room. A message that does not end
// between two blocks is ErrTruncated. One that ends right after a block, without
// the header of the empty one that belongs there, is taken as ended: so does one
// of no bytes, or one whose last block has BFINAL and nothing after it.
func (z *Inflater) EndMessage(t *Tables, dst []byte) (out []byte, err error) {
	r := run{dst: dst[:cap(dst)], start: len(dst), w: len(dst)}
	if z.full {
		z.run(t, &r)
	}
	if z.err == nil && !z.full {
		z.end(t, &r)
	}
	z.remember(r.dst[r.start:r.w])
	return r.dst[:r.w], z.err
}

// end decodes the tail and reports whether the message has ended.
func (z *Inflater) end(t *Tables, r *run) bool {
	if z.tail == 0 && z.state == stHeader && z.n == 0 {
		return true
	}
	r.src, r.i = tail[z.tail:], 0
	z.run(t, r)
	z.tail += uint8(r.i)
	if z.full || z.err != nil {
		return false
	}
	z.tail = 0
	if z.state != stHeader {
		z.err = ErrTruncated
	}
	return z.err == nil
}

// More reports that output is owed which needs no more input: the last call ended
// for want of room, in the middle of a match or before bytes that it has read. Call
// again, with room, even if there is no input.
func (z *Inflater) More() bool { return z.full }

// AtBoundary reports that z is between two blocks and owes nothing: where a message
// may end (RFC 7692 7.2.2).
func (z *Inflater) AtBoundary() bool { return z.state == stHeader }

// Forget drops the history and its memory: the next block may not refer to
// anything before it. It belongs between two messages; inside a block it makes
// what the block refers to ErrDistance. An error stays.
func (z *Inflater) Forget() { z.hist, z.have, z.pos = nil, 0, 0 }

// Memory returns how many bytes of heap z holds: its history. z itself is 256 more.
func (z *Inflater) Memory() int { return cap(z.hist) }
