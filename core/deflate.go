package core

import (
	"errors"
	"fmt"

	"anyloop/core/deflate"
	"anyloop/core/flate"
	"anyloop/core/ws"
)

// Deflate has the options of permessage-deflate (RFC 7692) on a vhost. The zero
// value is what most want: both directions compressed, windows of 4 KiB, nothing
// kept between messages. What the connections of a vhost keep together, accepted and
// dialled, whatever options they have, is bounded by Limits.DeflateMemory: when it is
// used up, further ones do without takeover, and one that would have to keep a window
// in the middle of a message is closed with 1013.
type Deflate struct {
	// Takeover keeps the history of each direction from message to message,
	// which makes small messages much smaller, and costs memory for as long
	// as the connection lives: at most a window and 2 KiB per direction.
	Takeover bool
	// WindowBits bounds the window of what we send: 1<<WindowBits bytes, 8 to
	// 15; 0 means 12. The peer may ask for less.
	WindowBits int
	// PeerWindowBits is what the peer is asked to bound its window to, if it
	// lets itself be asked; 0 means 12. One that does not has 15.
	PeerWindowBits int
	// Threshold is the size below which whole messages are sent as they are, in
	// bytes; 0 means 64, -1 none.
	Threshold int
	// Level says how hard to try: flate.Default (0), Fast or Best.
	Level flate.Level
}

// The defaults of Deflate.
const (
	deflateBits      = 12
	deflateThreshold = 64
)

// settled returns d with its defaults, and what is wrong with it.
func (d Deflate) settled() (Deflate, error) {
	pick(&d.WindowBits, deflateBits)
	pick(&d.PeerWindowBits, deflateBits)
	pick(&d.Threshold, deflateThreshold)
	for _, b := range []int{d.WindowBits, d.PeerWindowBits} {
		if b < flate.MinBits || b > flate.MaxBits {
			return d, fmt.Errorf("Deflate: a window of %d bits; it has 8 to 15", b)
		}
	}
	return d, nil
}

// ErrNoDeflate says that a connection does not compress.
var ErrNoDeflate = errors.New("core: permessage-deflate is not in use on this connection")

// TuneDeflate changes what is not negotiated, from the next message on: the size
// of the pieces that Receive gets (bytes; at most what the vhost's RxPiece says)
// and the threshold below which messages are sent as they are. 0 leaves a value
// as it is. ErrNoDeflate if the connection does not compress. Loop thread only.
func (c *Conn) TuneDeflate(piece, threshold int) error {
	r, ok := c.link.role.(*wsRole)
	if !ok || r.zip() == nil {
		return ErrNoDeflate
	}
	if piece > 0 {
		most := inflatePiece
		if n := c.limits().RxPiece; n > 0 {
			most = min(most, n)
		}
		r.zip().piece = min(max(piece, 128), most)
	}
	if threshold != 0 {
		r.zip().threshold = max(threshold, 0)
	}
	return nil
}

// DeflateInfo tells what was agreed upon with the peer.
type DeflateInfo struct {
	ServerBits, ClientBits             int // windows of what each side sends, as powers of two
	ServerNoTakeover, ClientNoTakeover bool
	Memory                             int // bytes kept for this connection now, both directions
}

// Deflate returns what was agreed upon; ok is false if the connection does not
// compress. Loop thread only.
func (c *Conn) Deflate() (info DeflateInfo, ok bool) {
	r, is := c.link.role.(*wsRole)
	if !is || r.zip() == nil {
		return info, false
	}
	p := r.zip().params
	return DeflateInfo{p.ServerBits, p.ClientBits, p.ServerNoTakeover, p.ClientNoTakeover,
		r.zip().rx.Memory() + r.zip().tx.Memory() + len(r.zip().held)}, true
}

// takeMemory takes n bytes of Limits.DeflateMemory, or none; a negative n gives back.
func (vh *VirtualHost) takeMemory(n int64) bool {
	used := vh.zMemory.Add(n)
	if n > 0 && over(used, vh.limits.DeflateMemory) {
		vh.zMemory.Add(-n)
		return false
	}
	return true
}

func (vh *VirtualHost) giveMemory(n int64) { vh.zMemory.Add(-n) }

// keptFor is what a connection may keep between messages.
func keptFor(p deflate.Params) (n int64) {
	if !p.ServerNoTakeover {
		n += 1<<p.ServerBits + packSlack
	}
	if !p.ClientNoTakeover {
		n += 1<<p.ClientBits + packSlack
	}
	return n
}

// packSlack is what a direction keeps besides its window.
const packSlack = 2 << 10

// acceptDeflate negotiates compression as a server. answer is the field's value,
// "" without.
func (c *Conn) acceptDeflate(b *binding, req *Request) (z *packer, answer string) {
	vh := c.vh()
	if vh.zip == nil || req.table.Get("sec-websocket-extensions") == nil {
		return nil, ""
	}
	d := *vh.zip
	if f := b.proto.Deflate; f != nil {
		req.shown = true
		c.calling("Deflate")
		ok := f(c, req, &d)
		c.called()
		if !ok {
			return nil, ""
		}
		var err error
		if d, err = d.settled(); err != nil {
			vh.log.Warn("a connection goes without compression", "conn", c.String(), "err", err)
			return nil, ""
		}
	}
	policy := deflate.Policy{Takeover: d.Takeover, Bits: d.WindowBits, PeerBits: d.PeerWindowBits}
	p, answer, ok := policy.Accept(req.table.Values("sec-websocket-extensions"))
	if !ok {
		return nil, ""
	}
	kept := keptFor(p)
	if !vh.takeMemory(kept) {
		// The vhost's memory is used up: without takeover nothing is kept.
		policy.Takeover = false
		if p, answer, ok = policy.Accept(req.table.Values("sec-websocket-extensions")); !ok {
			return nil, ""
		}
		kept = 0
	}
	return newPacker(vh, ws.Server, p, &d, kept), answer
}

// clientDeflate returns what a client offers, nil for nothing.
func clientDeflate(vh *VirtualHost, d *Dial) (*Deflate, error) {
	switch {
	case d.NoDeflate:
		return nil, nil
	case d.Deflate == nil:
		return vh.zip, nil
	}
	s, err := d.Deflate.settled()
	return &s, err
}

// policy is what a client offers.
func (r *clientRole) policy() *deflate.Policy {
	return &deflate.Policy{Takeover: r.zip.Takeover && !r.lean, Bits: r.zip.WindowBits, PeerBits: r.zip.PeerWindowBits}
}

// reserve takes what a client is about to offer to keep. With the vhost's memory used
// up it does not offer it.
func (r *clientRole) reserve(vh *VirtualHost) {
	r.lean = false
	if r.zip == nil || !r.zip.Takeover {
		return
	}
	if n := keptFor(deflate.Params{ServerBits: r.zip.PeerWindowBits, ClientBits: r.zip.WindowBits}); vh.takeMemory(n) {
		r.kept = n
		return
	}
	r.lean = true
}

// unreserve gives back what has come to nothing.
func (r *clientRole) unreserve(vh *VirtualHost) {
	vh.giveMemory(r.kept)
	r.kept = 0
}

// confirm holds the server's answer against what was offered.
func (r *clientRole) confirm(l *link) (*packer, error) {
	values := r.res.table.Values("sec-websocket-extensions")
	if r.zip == nil {
		return nil, nil // ws.CheckAnswer has seen to it that there is no answer
	}
	vh := l.own().vh()
	p, agreed, err := r.policy().Confirm(values)
	if err != nil || !agreed {
		r.unreserve(vh)
		return nil, err
	}
	kept := keptFor(p)
	if !vh.takeMemory(kept - r.kept) { // the server does not bound its window
		return nil, &LimitError{Limit: "DeflateMemory"}
	}
	r.kept = 0
	return newPacker(vh, ws.Client, p, r.zip, kept), nil
}
