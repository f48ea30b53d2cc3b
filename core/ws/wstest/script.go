package wstest

import (
	"fmt"
	"slices"
	"strings"

	"anyloop/core/ws"
)

// testCase is a script of the peer.
type testCase struct {
	id, text string
	steps    []step
	// bare: the script does the opening handshake itself.
	bare bool
	// offer is what we offer to a server; answer what we answer a client that
	// offers compression, if not what it asks for.
	offer, answer string
	skip          [numDeliveries]bool
}

// step does one thing, or finds what is wrong.
type step func(p *peer) error

// set collects the cases of a class.
type set struct {
	side  ws.Side // the testee's
	opt   *Options
	class int
	cases []*testCase
}

func (s *set) server() bool { return s.side == ws.Server }

// add adds a case, if it is asked for.
func (s *set) add(id, text string, steps ...step) *testCase {
	c := &testCase{id: id, text: text, steps: steps}
	if len(s.opt.Only) == 0 || slices.ContainsFunc(s.opt.Only, func(o string) bool {
		return id == o || strings.HasPrefix(id, strings.TrimSuffix(o, ".")+".")
	}) {
		s.cases = append(s.cases, c)
	}
	return c
}

// delivery is how the peer's bytes reach the testee.
type delivery int

const (
	whole    delivery = iota // the frames of a step together
	seams                    // cut inside headers, behind them, and in the middle of payloads
	eachByte                 // byte by byte
	numDeliveries
)

func (d delivery) String() string {
	return [...]string{"whole", "split", "byte by byte"}[d]
}

// fr is a frame to be sent, right or wrong.
type fr struct {
	op      ws.Opcode
	more    bool // no FIN
	rsv     byte // 4, 2 and 1 are RSV1, RSV2 and RSV3
	p       []byte
	misMask bool   // masked if it must not be, and the other way round
	form    int    // bytes of the length field: 0 the least, else 2 or 8
	claim   uint64 // length in the header, if not the payload's
}

func text(s string) fr          { return fr{op: ws.Text, p: []byte(s)} }
func binary(p []byte) fr        { return fr{op: ws.Binary, p: p} }
func ping(s string) fr          { return fr{op: ws.Ping, p: []byte(s)} }
func pong(s string) fr          { return fr{op: ws.Pong, p: []byte(s)} }
func cont(s string) fr          { return fr{op: ws.Continuation, p: []byte(s)} }
func shut(p ...byte) fr         { return fr{op: ws.Close, p: p} }
func (f fr) unfinished() fr     { f.more = true; return f }
func (f fr) reserved(b byte) fr { f.rsv = b; return f }

func bye(code int, reason string) fr {
	return shut(append([]byte{byte(code >> 8), byte(code)}, reason...)...)
}

// header is the frame's header as the peer of side sends it, and its mask.
func (f fr) header(side ws.Side, key [4]byte) []byte {
	b0, b1 := byte(f.op)|f.rsv<<4, byte(0)
	if !f.more {
		b0 |= 0x80
	}
	masked := (side == ws.Server) != f.misMask
	if masked {
		b1 = 0x80
	}
	n := f.claim
	if n == 0 {
		n = uint64(len(f.p))
	}
	form := f.form
	if form == 0 {
		switch {
		case n > 0xffff:
			form = 8
		case n > 125:
			form = 2
		}
	}
	var h []byte
	switch form {
	case 0:
		h = []byte{b0, b1 | byte(n)}
	case 2:
		h = []byte{b0, b1 | 126, byte(n >> 8), byte(n)}
	default:
		h = []byte{b0, b1 | 127}
		for i := 56; i >= 0; i -= 8 {
			h = append(h, byte(n>>i))
		}
	}
	if masked {
		h = append(h, key[:]...)
	}
	return h
}

// itemKind is what a testee can say.
type itemKind uint8

const (
	message itemKind = iota
	pongItem
	closeItem
)

// item is one thing that the testee says.
type item struct {
	kind   itemKind
	op     ws.Opcode // of a message
	data   []byte    // of a message or Pong; the reason of a Close
	code   int       // of a Close; 1005 if it has none
	reason bool      // the reason of a Close counts
}

func echoed(f fr) item { return item{kind: message, op: f.op, data: f.p} }
func joined(op ws.Opcode, p string) item {
	return item{kind: message, op: op, data: []byte(p)}
}
func ponged(s string) item { return item{kind: pongItem, data: []byte(s)} }
func closed(code int) item { return item{kind: closeItem, code: code} }
func closedWith(code int, s string) item {
	return item{kind: closeItem, code: code, data: []byte(s), reason: true}
}

func (it item) String() string {
	switch it.kind {
	case message:
		return fmt.Sprintf("%s %s", it.op, excerpt(it.data))
	case pongItem:
		return fmt.Sprintf("pong %s", excerpt(it.data))
	}
	if len(it.data) > 0 {
		return fmt.Sprintf("close %d %q", it.code, it.data)
	}
	return fmt.Sprintf("close %d", it.code)
}

func excerpt(p []byte) string {
	if len(p) <= 40 {
		return fmt.Sprintf("%q", p)
	}
	return fmt.Sprintf("%q...[%d]", p[:24], len(p))
}

// send sends frames.
func send(fs ...fr) step {
	return func(p *peer) error { return p.frames(fs) }
}

// begin sends a frame's header and the first n bytes of its payload, rest what
// follows up to the m-th.
func begin(f fr, n int) step {
	return func(p *peer) error {
		p.key = p.newKey()
		h := f.header(p.side, p.key)
		return p.deliver(append(h, p.masked(f.p[:n], 0)...), []int{1, len(h)})
	}
}

func rest(f fr, n, m int) step {
	return func(p *peer) error { return p.deliver(p.masked(f.p[n:m], n), nil) }
}

// want reads exactly these, in this order.
func want(items ...item) step {
	return func(p *peer) error {
		for _, it := range items {
			if err := p.want(it); err != nil {
				return err
			}
		}
		return nil
	}
}

// quiet checks that the testee has said nothing, if the wire can tell.
func quiet(p *peer) error { return p.quiet() }

// end checks how TCP ends once the testee has sent its Close.
func end(p *peer) error { return p.end() }

// answered replies to the Close with which the testee has failed the connection,
// then checks the end. Also a client may end its direction then.
func answered(code int) step {
	return func(p *peer) error {
		if err := p.frames([]fr{bye(code, "")}); err != nil {
			return err
		}
		return p.fail()
	}
}

// normal is a clean end from our side.
func normal() step {
	return all(send(bye(1000, "")), want(closedWith(1000, "")), end)
}

// failed is the end of a connection that the testee fails.
func failed(code int) step { return all(want(closed(code)), answered(code)) }

// failedInside is failed while the peer is inside a frame, and cannot reply.
func failedInside(code int) step {
	return all(want(closed(code)), func(p *peer) error { return p.fail() })
}

// all is several steps in one.
func all(steps ...step) step {
	return func(p *peer) error {
		for _, s := range steps {
			if err := s(p); err != nil {
				return err
			}
		}
		return nil
	}
}
