package wstest

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"syscall"

	"anyloop/core/ws"
)

// peer is our end of one connection: it speaks, listens and judges.
type peer struct {
	w    Wire
	side ws.Side // the testee's
	opt  *Options
	c    *testCase
	mode delivery
	rnd  *rand.Rand
	key  [4]byte // of the frame being sent in parts
	chop int     // bytes at a time, instead of the delivery's; 0: none

	rx    receiver
	tx    packing
	z     params // what was agreed upon
	ended bool

	shut   bool // we have sent a Close
	behind bool // and something behind it, which a server that is gone resets
}

func (p *peer) newKey() (k [4]byte) {
	for i := range k {
		k[i] = byte(1 + p.rnd.IntN(255))
	}
	return k
}

// masked returns q as it is on the wire: our frames are masked if the testee is
// a server. pos is where in the frame's payload q begins.
func (p *peer) masked(q []byte, pos int) []byte {
	if p.side != ws.Server {
		return q
	}
	return xor(q, p.key, pos)
}

// xor is RFC 6455 5.3, plainly.
func xor(q []byte, key [4]byte, pos int) []byte {
	out := make([]byte, len(q))
	for i := range q {
		out[i] = q[i] ^ key[(pos+i)&3]
	}
	return out
}

// frames sends frames, in one piece if they are delivered whole.
func (p *peer) frames(fs []fr) error {
	var b []byte
	var cuts []int
	for _, f := range fs {
		p.behind = p.behind || p.shut
		p.shut = p.shut || f.op == ws.Close
		p.key = p.newKey()
		at := len(b)
		h := f.header(p.side, p.key)
		b = append(b, h...)
		body := f.p
		if (p.side == ws.Server) != f.misMask {
			body = xor(f.p, p.key, 0)
		}
		b = append(b, body...)
		cuts = append(cuts, at+1, at+len(h), at+len(h)+len(body)/2, len(b))
	}
	return p.deliver(b, cuts)
}

// Byte by byte is the beginning and the end of long writes; their middle comes in
// pieces, unless the full suite is asked for.
const (
	singleHead = 256
	singleTail = 64
	longPiece  = 997
	briefHead  = 48 // in a brief suite
	briefTail  = 8
)

// deliver writes b as the case is delivered. cuts are the seams in it.
func (p *peer) deliver(b []byte, cuts []int) error {
	switch {
	case p.chop > 0:
		return p.pieces(b, func(int) int { return p.chop })
	case p.mode == eachByte:
		n, head, tail := len(b), singleHead, singleTail
		if p.opt.Brief {
			head, tail = briefHead, briefTail
		}
		return p.pieces(b, func(at int) int {
			if !p.opt.Full && at >= head && at < n-tail {
				return min(longPiece, n-tail-at)
			}
			return 1
		})
	case p.mode == seams:
		at := 0
		for _, c := range cuts {
			if c > at && c <= len(b) {
				if err := p.w.Write(b[at:c]); err != nil {
					return err
				}
				at = c
			}
		}
		b = b[at:]
	}
	if len(b) == 0 {
		return nil
	}
	return p.w.Write(b)
}

func (p *peer) pieces(b []byte, size func(at int) int) error {
	for at := 0; at < len(b); {
		n := min(size(at), len(b)-at)
		if err := p.w.Write(b[at : at+n]); err != nil {
			return err
		}
		at += n
	}
	return nil
}

// want reads one thing, which must be it.
func (p *peer) want(it item) error {
	got, err := p.next()
	if err != nil {
		return fmt.Errorf("want %s: %w", it, err)
	}
	same := got.kind == it.kind && got.op == it.op && got.code == it.code
	if it.kind != closeItem || it.reason {
		same = same && bytes.Equal(got.data, it.data)
	}
	if !same {
		return fmt.Errorf("got %s, want %s", got, it)
	}
	return nil
}

// next reads until the testee has said something.
func (p *peer) next() (item, error) {
	for {
		f, ok, err := p.rx.frame(p)
		if err != nil {
			return item{}, err
		}
		if ok {
			it, done, err := p.rx.take(p, f)
			if done || err != nil {
				return it, err
			}
			continue
		}
		b, err := p.w.Read()
		p.rx.buf = append(p.rx.buf, b...)
		switch {
		case errors.Is(err, io.EOF) && len(p.rx.buf) > 0:
			return item{}, fmt.Errorf("TCP ends inside a frame: % x", p.rx.buf[:min(len(p.rx.buf), 16)])
		case errors.Is(err, io.EOF):
			return item{}, fmt.Errorf("TCP ends")
		case err != nil:
			return item{}, err
		}
	}
}

// quiet checks that nothing was said.
func (p *peer) quiet() error {
	w, ok := p.w.(Poller)
	if !ok {
		return nil
	}
	b, err := w.Poll()
	p.rx.buf = append(p.rx.buf, b...)
	switch {
	case len(p.rx.buf) > 0:
		return fmt.Errorf("the testee speaks too early: % x", p.rx.buf[:min(len(p.rx.buf), 16)])
	case errors.Is(err, io.EOF):
		return errors.New("the testee ends TCP too early")
	}
	return err
}

// end checks that nothing more comes, and that TCP ends as RFC 6455 7.1.1 wants
// it: the server ends it, the client waits for that.
func (p *peer) end() error {
	if p.side == ws.Client {
		if err := p.quiet(); err != nil {
			return err
		}
	}
	return p.fail()
}

// fail is end without the demand that a client waits.
func (p *peer) fail() error {
	p.ended = true
	if p.side == ws.Client {
		if err := p.w.CloseWrite(); err != nil {
			return err
		}
	}
	if err := p.over(); err != nil {
		return err
	}
	if p.side == ws.Server {
		if err := p.w.CloseWrite(); err != nil {
			return err
		}
	}
	if p.z.on {
		return p.rx.settled(p)
	}
	return nil
}

// over reads the end of the testee's direction.
func (p *peer) over() error {
	for {
		if len(p.rx.buf) > 0 {
			return fmt.Errorf("bytes after the end: % x", p.rx.buf[:min(len(p.rx.buf), 16)])
		}
		b, err := p.w.Read()
		p.rx.buf = append(p.rx.buf, b...)
		switch {
		case errors.Is(err, io.EOF) && len(p.rx.buf) == 0, errors.Is(err, syscall.ECONNRESET) && p.behind && p.rx.closed && p.opt.MayReset:
			return nil
		case errors.Is(err, ErrSilent):
			return fmt.Errorf("TCP is not ended: %w", err)
		case err != nil && !errors.Is(err, io.EOF):
			return fmt.Errorf("TCP ends badly: %w", err)
		}
	}
}

// eof ends our direction without a Close frame; the testee ends its own, and has
// nothing to say about it.
func eof(p *peer) error {
	p.ended = true
	if err := p.w.CloseWrite(); err != nil {
		return err
	}
	return p.over()
}

// verdict checks what the testee thinks of the connection, if the wire can tell.
func verdict(good bool) step {
	return func(p *peer) error {
		j, ok := p.w.(Judge)
		if !ok {
			return nil
		}
		err := j.Verdict()
		switch {
		case errors.Is(err, ErrSilent):
			return fmt.Errorf("the testee gives no verdict: %w", err)
		case good && err != nil:
			return fmt.Errorf("the testee says: %w", err)
		case !good && err == nil:
			return errors.New("the testee takes it for a good connection")
		}
		return nil
	}
}
