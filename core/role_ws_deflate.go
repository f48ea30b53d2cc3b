package core

import (
	"bytes"
	"errors"

	"anyloop/core/deflate"
	"anyloop/core/flate"
	"anyloop/core/ws"
)

// packer is permessage-deflate on one WebSocket. What the connection keeps is in
// it; what is needed only while working belongs to the thread (packing).
type packer struct {
	rx        deflate.Reader
	tx        deflate.Writer
	params    deflate.Params
	held      []byte // compressed bytes that wait for a resume or their turn; ours
	heldFinal bool   // they end their message
	op        ws.Opcode
	first     bool // the next piece is the first of its message
	txPacked  bool // the outgoing message is compressed
	utf8      ws.UTF8
	piece     int   // bytes handed to Receive at once
	threshold int   // bytes of a message below which it is sent as it is
	txBits    int   // window of what we send
	base      int64 // of the vhost's memory, for the life of the connection
	charged   int64 // the same with what the moment needs
}

// packing is what a thread needs to compress and inflate.
type packing struct {
	tables   flate.Tables
	matchers flate.Matchers
	in       []byte // inflated, lent to Receive
	out      []byte // compressed, until it is framed
}

const (
	// inflatePiece is how much inflated data is handed over at once, unless
	// Limits.RxPiece says less.
	inflatePiece = 16 << 10
	// inflateTurn bounds what one link inflates in one turn: a kilobyte can
	// become a megabyte.
	inflateTurn = 256 << 10
	// hotMatchers is how many busy connections' compressors a thread keeps warm.
	// With 16 windows of 4 KiB they take half a megabyte, which stays in the
	// processor's caches: to begin cold in one that is there costs less than to
	// find one's own that is not, and 64 of them made 64 busy connections slower.
	hotMatchers = 16
)

// packing returns the thread's tools, making them.
func (th *Thread) packing() *packing {
	if th.zip == nil {
		th.zip = &packing{in: make([]byte, 0, inflatePiece)}
		th.zip.matchers.Init(hotMatchers)
	}
	return th.zip
}

// DeflateMemory returns how many bytes of heap the thread's own tools for
// permessage-deflate take, which its connections share; 0 before the first
// compressed message. What each connection keeps is in DeflateInfo.Memory. Loop
// thread only.
func (th *Thread) DeflateMemory() int {
	if th.zip == nil {
		return 0
	}
	return cap(th.zip.in) + cap(th.zip.out) + th.zip.matchers.Memory()
}

// newPacker makes the compression of a WebSocket; base, what it may keep between
// messages, is taken already.
func newPacker(vh *VirtualHost, side ws.Side, p deflate.Params, d *Deflate, base int64) *packer {
	z := &packer{params: p, base: base, charged: base, threshold: max(d.Threshold, 0), piece: inflatePiece, first: true}
	lim := deflate.Limits{MaxInflated: max(vh.limits.MaxInflated, 0), MaxRatio: max(vh.limits.MaxRatio, 0)}
	if m := vh.limits.MaxMessage; m > 0 && (lim.MaxInflated == 0 || m < lim.MaxInflated) {
		lim.MaxInflated = m
	}
	if n := vh.limits.RxPiece; n > 0 {
		z.piece = min(z.piece, n)
	}
	rx, tx := p.ClientBits, p.ServerBits
	rxOnce, txOnce := p.ClientNoTakeover, p.ServerNoTakeover
	if side == ws.Client {
		rx, tx, rxOnce, txOnce = tx, rx, txOnce, rxOnce
	}
	z.txBits = tx
	z.rx.Init(rx, !rxOnce, lim)
	z.tx.Init(tx, !txOnce, d.Level)
	return z
}

// inflate hands the handler what a piece of a compressed message holds.
func (r *wsRole) inflate(l *link, ev *ws.Event) {
	z := r.zip()
	if ev.First {
		z.first, z.op, z.utf8 = true, ev.Op, ws.UTF8{}
	}
	r.inflateSome(l, ev.Payload, ev.Final)
}

// inflateHeld goes on with what was held back, and reports whether all of it is
// done.
func (r *wsRole) inflateHeld(l *link) bool {
	if !l.is(lfHolds) {
		return true
	}
	if l.own().pause != 0 && l.own().state == stOpen {
		l.flags |= lfAgain
		return false
	}
	z := r.zip()
	src := z.held
	z.held = nil
	l.flags &^= lfHolds
	r.inflateSome(l, src, z.heldFinal)
	if l.is(lfHolds) {
		l.flags |= lfAgain
		return false
	}
	return true
}

// inflateSome inflates src, as far as the handler and the turn let it; what is
// left is held.
func (r *wsRole) inflateSome(l *link, src []byte, final bool) {
	c, z, zip := l.own(), r.zip(), l.th.packing()
	left := inflateTurn
	for {
		out, n, done, err := z.rx.Next(&zip.tables, zip.in[:0:z.piece], src, final)
		src = src[n:]
		if err != nil {
			r.broken(l, unpackError(err))
			return
		}
		if len(out) > 0 || done {
			if z.op == ws.Text && !c.vh().wsLimits.NoUTF8 && (!z.utf8.Add(out) || done && !z.utf8.Complete()) {
				r.broken(l, ws.ErrUTF8)
				return
			}
			ev := ws.Event{Kind: ws.Data, Op: z.op, Payload: out, First: z.first, Final: done}
			z.first = false
			r.receive(c, Fragment{Data: ev.Payload, Binary: ev.Op == ws.Binary, First: ev.First, Final: ev.Final, Remaining: ev.Remaining})
		}
		left -= len(out)
		switch {
		case c.state != stOpen || l.flags&(lfDoomed|lfFinish) != 0:
			return
		case done:
			r.charge(l)
			return
		case len(src) == 0 && !z.rx.More() && !final:
			r.charge(l) // the message goes on in later bytes
			return
		case c.pause != 0:
			r.hold(l, src, final)
			return
		case left <= 0:
			r.hold(l, src, final)
			l.th.queue(c) // others first
			return
		}
	}
}

// hold keeps compressed bytes for later. They are few: never more than one read.
func (r *wsRole) hold(l *link, src []byte, final bool) {
	z := r.zip()
	z.held, z.heldFinal = bytes.Clone(src), final
	l.flags |= lfHolds
	r.charge(l)
}

// dropHeld forgets them: nothing counts any more but control frames.
func (r *wsRole) dropHeld(l *link) {
	if r.zip() != nil {
		r.zip().held = nil
		l.flags &^= lfHolds
	}
}

// unpackError says which code a broken message closes with.
func unpackError(err error) error {
	switch {
	case errors.Is(err, deflate.ErrInflated):
		return &ws.PeerError{Code: ws.CloseTooBig, Text: "message over the limit when inflated"}
	case errors.Is(err, deflate.ErrRatio):
		return &ws.PeerError{Code: ws.CloseTooBig, Text: "message over the limit of compression"}
	}
	return &ws.PeerError{Code: ws.CloseInvalidPayload, Text: "bad compressed data"}
}

// packs decides whether a message or fragment is compressed. A message is
// compressed as a whole or not at all (RFC 7692 6.1: RSV1 is on its first frame).
func (z *packer) packs(first, final bool, n int) bool {
	if first {
		z.txPacked = !final || n >= z.threshold
	}
	return z.txPacked
}

// pack compresses and frames a message or fragment.
func (r *wsRole) pack(l *link, op ws.Opcode, first, final bool, p []byte) {
	z, zip := r.zip(), l.th.packing()
	zip.out = z.tx.Append(&zip.matchers, zip.out[:0], p, final)
	h := ws.Header{Fin: final, RSV1: first, Op: op, Length: int64(len(zip.out))}
	switch {
	case r.is(wsClient):
		h.Masked, h.Mask = true, l.th.maskKey()
		b := l.outbuf(ws.MaxHeader + len(zip.out))
		*b = ws.AppendFrame(*b, h, zip.out)
	default:
		b := l.outbuf(ws.MaxHeader)
		*b = ws.AppendHeader(*b, h)
		l.send(zip.out)
	}
	if cap(zip.out) > 2*corkSize {
		zip.out = nil // one large message must not stay for ever
	}
	if !final || z.charged != z.base {
		r.charge(l)
	}
}

// charge takes what the compression holds off the vhost's memory. A connection
// that there is none for is closed.
func (r *wsRole) charge(l *link) {
	z, vh := r.zip(), l.own().vh()
	need := max(z.base, int64(z.rx.Memory()+z.tx.Memory()+len(z.held)))
	if need == z.charged {
		return
	}
	if vh.takeMemory(need - z.charged) {
		z.charged = need
		return
	}
	l.own().closing(&CloseError{Code: int(ws.CloseTryAgainLater), Text: "no memory for compression"})
}

// release gives everything back.
func (z *packer) release(vh *VirtualHost) {
	z.rx.Forget()
	z.tx.Forget()
	vh.giveMemory(z.charged)
	z.charged = 0
}
