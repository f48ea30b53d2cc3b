package ws

import (
	"encoding/binary"
	"math"
	"slices"
)

// Decoder finds frames in received bytes. Embed it by value; Init before use.
type Decoder struct {
	left  int64 // bytes of the current data frame still to come
	total int64 // bytes of the message so far, with the whole current frame
	mask  [4]byte
	utf8  UTF8
	pos   uint8 // rotation of the mask
	op    Opcode
	flags decFlags
	bad   uint8 // 1-based index into peerErrors of the error that ended it
}

type decFlags uint8

const (
	// None of these flags: a server between two messages.
	dfClient    decFlags = 1 << iota // we are the client
	dfInFrame                        // inside a data frame (also one of no bytes)
	dfInMessage                      // its message goes on behind it
	dfFin                            // the current data frame has FIN
	dfFirst                          // the message's first piece is still to come
	dfPacked                         // RSV1 on the message's first frame
	dfDiscard                        // data is dropped, control frames count
	dfClosed                         // a Close was seen: everything is dropped
)

// Init makes the decoder ready for the frames that side receives.
func (d *Decoder) Init(side Side) {
	*d = Decoder{}
	if side == Client {
		d.flags = dfClient
	}
}

func (d *Decoder) is(f decFlags) bool { return d.flags&f != 0 }

// InMessage reports whether a message has begun and not ended.
func (d *Decoder) InMessage() bool { return d.is(dfInMessage | dfInFrame) }

// Missing returns how many bytes of the current data frame are still to come; 0
// between frames. They are all payload.
func (d *Decoder) Missing() int64 { return d.left }

// Discard drops the data from now on, after our own Close frame; control frames
// are still found (RFC 6455 5.5.1: the other Close is awaited).
func (d *Decoder) Discard() { d.flags |= dfDiscard }

// Next consumes bytes of p and returns what it found: one event, or None with
// the bytes consumed before more are needed. What it does not consume, at most a
// frame header or a control frame (139 bytes), is to be presented again with more
// behind it. Payload is unmasked in place, in p. After an error every call
// returns the same one; after a Close everything is consumed silently.
func (d *Decoder) Next(p []byte, lim *Limits) (ev Event, n int, err error) {
	n, err = d.Decode(p, lim, &ev)
	return ev, n, err
}

// Decode is Next with the event written to *ev: copying one costs as much as
// finding a small frame.
func (d *Decoder) Decode(p []byte, lim *Limits, ev *Event) (n int, err error) {
	*ev = Event{}
	if d.bad != 0 {
		return 0, peerErrors[d.bad-1]
	}
	if d.is(dfClosed) {
		return len(p), nil
	}
	n, e := d.find(p, lim, ev)
	if e != nil {
		*ev = Event{}
		return n, d.fail(e)
	}
	return n, nil
}

// fail ends the decoder with e.
func (d *Decoder) fail(e *PeerError) error {
	d.bad = uint8(1 + slices.Index(peerErrors[:], e))
	return e
}

// find is the general case.
func (d *Decoder) find(p []byte, lim *Limits, ev *Event) (n int, err *PeerError) {
	for {
		if !d.is(dfInFrame) {
			h, size, ok := parseHeader(p[n:])
			if !ok {
				return n, d.early(p[n:], lim)
			}
			if e := d.begin(&h, lim); e != nil {
				return n, e
			}
			if h.Op.IsControl() {
				if len(p)-n < size+int(h.Length) {
					return n, nil
				}
				body := p[n+size : n+size+int(h.Length)]
				if *ev, err = d.control(&h, body, lim); err != nil {
					return n, err
				}
				return n + size + int(h.Length), nil
			}
			d.enter(&h)
			n += size
		}
		if n == len(p) && d.left > 0 {
			return n, nil
		}
		k, e := d.data(p[n:], lim, ev)
		n += k
		if e != nil || ev.Kind != None {
			return n, e
		}
	}
}

// smallHeader is the size of the header of a small masked frame.
const smallHeader = 6

// MaxSmall is the longest payload that Small finds.
const MaxSmall = maxControl

// Small is a short cut for what servers get most: between two messages, one whole
// message of at most most bytes (not more than MaxSmall) in one masked frame that
// is all there. n is how much of p that is, and 0 if p does not begin with such a
// frame, or it is not right: then Decode knows. The payload is unmasked in place.
// No limit but most is looked at.
func (d *Decoder) Small(p []byte, most int, lim *Limits) (payload []byte, op Opcode, n int) {
	if len(p) < smallHeader || d.flags != 0 || d.bad != 0 {
		return nil, 0, 0
	}
	op = Opcode(p[0] - 0x80) // FIN, and no reserved bit
	size := int(p[1]) - 0x80 // negative: not masked
	if op-Text > Binary-Text || uint(size) > uint(most) || len(p)-smallHeader < size {
		return nil, 0, 0
	}
	n = smallHeader + size
	key := uint64(binary.LittleEndian.Uint32(p[2:]))
	key |= key << 32
	payload = p[smallHeader:n:n]
	maskWords(key, payload)
	if op == Text && !lim.NoUTF8 {
		if rest := skipASCII(payload); len(rest) > 0 && !validText(rest) {
			maskWords(key, payload) // as it came
			return nil, 0, 0
		}
	}
	return payload, op, n
}

// early refuses a frame whose first bytes are wrong already, so that a peer
// cannot sit on half a header.
func (d *Decoder) early(p []byte, lim *Limits) *PeerError {
	if len(p) < 2 {
		return nil
	}
	h := headerBits(p)
	h.Length = int64(p[1] & 0x7f)
	return check(&h, d.is(dfInMessage), d.side(), lim)
}

func (d *Decoder) side() Side {
	if d.is(dfClient) {
		return Client
	}
	return Server
}

// begin checks a frame's header, before any of its payload.
func (d *Decoder) begin(h *Header, lim *Limits) *PeerError {
	if h.bad != nil {
		return h.bad
	}
	if e := check(h, d.is(dfInMessage), d.side(), lim); e != nil {
		return e
	}
	if h.Op.IsControl() {
		return nil
	}
	maxFrame := lim.MaxFrame
	if maxFrame == 0 {
		maxFrame = defaultMaxFrame
	}
	if maxFrame > 0 && h.Length > maxFrame {
		return ErrFrameSize
	}
	total := h.Length
	if h.Op == Continuation {
		total += d.total
	}
	most := lim.MaxMessage
	if h.RSV1 || h.Op == Continuation && d.is(dfPacked) {
		most = packedMost(most)
	}
	if most > 0 && total > most || total < 0 { // longer than can be counted
		return ErrMessageSize
	}
	return nil
}

// packedMost is how long a message of at most n bytes may be that its sender has
// compressed: what cannot be compressed gets longer, by an eighth at worst.
func packedMost(n int64) int64 {
	if n > math.MaxInt64/2 {
		return n
	}
	if n > 0 {
		n += n/8 + 64
	}
	return n
}

// enter starts a data frame.
func (d *Decoder) enter(h *Header) {
	d.left, d.mask, d.pos = h.Length, h.Mask, 0
	d.flags &^= dfFin | dfInMessage
	d.flags |= dfInFrame
	if h.Fin {
		d.flags |= dfFin
	} else {
		d.flags |= dfInMessage
	}
	if h.Op == Continuation {
		d.total += h.Length
		return
	}
	d.total, d.op, d.utf8 = h.Length, h.Op, UTF8{}
	d.flags &^= dfPacked
	d.flags |= dfFirst
	if h.RSV1 {
		d.flags |= dfPacked
	}
}

// data hands out a piece of the current frame.
func (d *Decoder) data(p []byte, lim *Limits, ev *Event) (n int, err *PeerError) {
	n = int(min(d.left, int64(len(p))))
	if lim.RxPiece > 0 {
		n = min(n, lim.RxPiece)
	}
	piece := p[:n:n]
	ascii := false // or not known
	if !d.is(dfClient) {
		d.pos, ascii = maskLooking(d.mask, d.pos, piece)
	}
	d.left -= int64(n)
	ended := d.left == 0
	final := ended && d.is(dfFin)
	if ended {
		d.flags &^= dfInFrame | dfFin
	}
	if d.is(dfDiscard) {
		return n, nil
	}
	if d.op == Text && !lim.NoUTF8 && !d.is(dfPacked) {
		if !(ascii && d.utf8.Complete()) && !d.utf8.Add(piece) || final && !d.utf8.Complete() {
			return n, ErrUTF8
		}
	}
	*ev = Event{Kind: Data, Op: d.op, First: d.is(dfFirst), Final: final, Compressed: d.is(dfPacked),
		Remaining: d.left, Payload: piece}
	d.flags &^= dfFirst
	if final {
		d.flags &^= dfPacked
	}
	return n, nil
}

// control reads a whole control frame.
func (d *Decoder) control(h *Header, body []byte, lim *Limits) (Event, *PeerError) {
	if h.Masked {
		// On a copy-free retry the bytes are presented masked again only if
		// they were not consumed, and a control frame is consumed whole.
		Mask(h.Mask, 0, body)
	}
	switch h.Op {
	case Ping:
		return Event{Kind: KindPing, Payload: body}, nil
	case Pong:
		return Event{Kind: KindPong, Payload: body}, nil
	}
	d.flags |= dfClosed
	switch {
	case len(body) == 0:
		return Event{Kind: KindClose, Code: CloseNoStatus}, nil
	case len(body) == 1:
		return Event{}, ErrClosePayload
	}
	code, reason := CloseCode(binary.BigEndian.Uint16(body)), body[2:]
	if !code.Valid() {
		return Event{}, ErrCloseCode
	}
	var u UTF8
	if !lim.NoUTF8 && (!u.Add(reason) || !u.Complete()) {
		return Event{}, ErrCloseUTF8
	}
	return Event{Kind: KindClose, Code: code, Payload: reason}, nil
}
