package wstest

import (
	"bytes"
	"fmt"
	"math/rand/v2"

	"anyloop/core/ws"
)

// bulk is a row of sizes: of the messages, and of the frames that each is cut
// into, 0 for one.
type bulk struct{ size, cut int }

var bulks = []bulk{
	{16, 0}, {64, 0}, {256, 0}, {1024, 0}, {4096, 0}, {8192, 0}, {16384, 0}, {32768, 0}, {65536, 0}, {131072, 0},
	{8192, 256}, {16384, 256}, {32768, 256}, {65536, 256}, {131072, 256},
	{8192, 1024}, {32768, 4096}, {131072, 32768},
}

// stdLevels are the compressors of our side, in turn: levels of the standard
// library, stored blocks only, codes only, and ours.
var ourLevels = []int{6, 1, ownPacker, 9, -2, 0}

// exchange sends messages of a kind, compressed, each when the one before came
// back.
func exchange(k dataKind, b bulk, count int) step {
	return func(p *peer) error {
		rnd := rand.New(rand.NewPCG(uint64(b.size), uint64(b.cut)))
		count := count
		switch {
		case p.opt.Full && p.mode == eachByte:
			count = 1 + min(count-1, 8*kib/b.size)
		case p.opt.Full && p.mode == seams:
			count = 1 + min(count-1, 64*kib/b.size)
		case p.mode != whole:
			count = 1 + min(count-1, 2000/b.size)
		}
		for i := range count {
			data := k.make(rnd, b.size)
			if err := p.frames(p.packed(k.op, data, b.cut)); err != nil {
				return err
			}
			if err := p.want(item{op: k.op, data: data}); err != nil {
				return fmt.Errorf("message %d: %w", i+1, err)
			}
		}
		return nil
	}
}

// packed is a compressed message in frames of at most cut bytes, 0 for one.
func (p *peer) packed(op ws.Opcode, data []byte, cut int) []fr {
	return rawPacked(op, p.tx.pack(data), cut)
}

// rawPacked is a message of compressed bytes as they are.
func rawPacked(op ws.Opcode, z []byte, cut int) []fr {
	if cut == 0 {
		cut = len(z) + 1
	}
	fs := fragments(op, string(z), cut)
	fs[0].rsv = 4
	return fs
}

// must checks that compression was agreed upon: the testee has it.
func must(p *peer) error {
	if !p.z.on {
		return fmt.Errorf("compression was not agreed upon, for the offer %q", p.c.offer)
	}
	return nil
}

// level chooses our compressor.
func level(n int) step {
	return func(p *peer) error { p.tx.level = ourLevels[n%len(ourLevels)]; return nil }
}

// count is how many messages of a size are exchanged.
func (s *set) count(size int) int {
	if s.opt.Full {
		return max(4, min(1000, mib/2/size))
	}
	return max(2, min(6, 8*kib/size))
}

// compressed adds a case in which compression is agreed upon.
func (s *set) compressed(id, name, offer, answer string, steps ...step) *testCase {
	c := s.add(id, name, append([]step{must}, steps...)...)
	c.offer, c.answer = offer, answer
	return c
}

const fullOffer = "permessage-deflate; client_max_window_bits"

// kinds: all kinds of data at all sizes.
func kinds(s *set) {
	if s.opt.Deflate == nil {
		return
	}
	for i, k := range dataKinds {
		for j, b := range bulks {
			if s.tooLong(i+j, b) {
				continue
			}
			s.compressed(fmt.Sprintf("12.%d.%d", i+1, j+1), fmt.Sprintf("%s, %d bytes, frames of %d", k.name, b.size, b.cut),
				fullOffer, "*", level(i+j), exchange(k, b, s.count(b.size)), normal()).thin(s, b.size)
		}
	}
}

// tooLong leaves out most of the rows of large messages, a different one each time.
func (s *set) tooLong(n int, b bulk) bool {
	if s.opt.Full || b.size < 16*kib {
		return false
	}
	every := b.size / (8 * kib)
	if s.opt.Brief {
		every *= 2
	}
	return n%every != 0
}

// thin leaves the larger sizes whole, where each would be cut a thousand times.
func (c *testCase) thin(s *set, size int) {
	if s.opt.Full && size > 16*kib || s.opt.Brief && size > 4*kib {
		c.without(eachByte)
	}
}

// offerTable are what we offer to a server, and what we answer a client, which
// comes to the same bounds.
var offerTable = [][2]string{
	{"permessage-deflate", "permessage-deflate"},
	{"permessage-deflate; client_max_window_bits", "*"},
	{"permessage-deflate; client_no_context_takeover", "permessage-deflate; client_no_context_takeover"},
	{"permessage-deflate; server_no_context_takeover", "permessage-deflate; server_no_context_takeover"},
	{"permessage-deflate; server_no_context_takeover; client_no_context_takeover",
		"permessage-deflate; server_no_context_takeover; client_no_context_takeover"},
	{"permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=9"},
	{"permessage-deflate; client_max_window_bits=15", "permessage-deflate; client_max_window_bits=15"},
	{"permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=9"},
	{"permessage-deflate; server_max_window_bits=15", "permessage-deflate; server_max_window_bits=15"},
	{"permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits=9"},
	{"permessage-deflate; server_no_context_takeover; server_max_window_bits=15, permessage-deflate",
		"permessage-deflate; server_no_context_takeover; server_max_window_bits=15"},
	{"permessage-deflate; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate",
		"permessage-deflate; client_no_context_takeover; server_max_window_bits=9"},
	{"permessage-deflate; server_max_window_bits=8; client_max_window_bits=8", "permessage-deflate; server_max_window_bits=8; client_max_window_bits=8"},
	{"permessage-deflate; server_max_window_bits=8; client_max_window_bits=15", "permessage-deflate; server_max_window_bits=8; client_max_window_bits=15"},
	{"permessage-deflate; server_max_window_bits=15; client_max_window_bits=8", "permessage-deflate; server_max_window_bits=15; client_max_window_bits=8"},
}

// offers: all combinations of parameters.
func offers(s *set) {
	if s.opt.Deflate == nil {
		return
	}
	for i, row := range offerTable {
		for j, b := range bulks {
			if s.tooLong(i+j, b) {
				continue
			}
			s.compressed(fmt.Sprintf("13.%d.%d", i+1, j+1), fmt.Sprintf("%s, %d bytes, frames of %d", row[0], b.size, b.cut),
				row[0], row[1], level(i+j), exchange(dataKinds[1+(i+j)%4], b, s.count(b.size)), normal()).thin(s, b.size)
		}
	}
	// Each window in each direction, with and without a history.
	for n := range 64 {
		sb, cb := 8+n%8, 8+n/8
		for t := range 4 {
			if !s.opt.Full && (n+t)%3 != 0 || s.opt.Brief && (n+t)%4 != 0 {
				continue
			}
			z := params{server: direction{t&1 != 0, sb}, client: direction{t&2 != 0, cb}}
			o := z.String()
			if cb == 15 {
				o += "; client_max_window_bits"
			}
			s.compressed(fmt.Sprintf("13.20.%d", 4*n+t+1), o, o, o, level(2), exchange(dataKinds[1], bulk{9000, 700}, 2), normal()).thin(s, 18000)
		}
	}
}

// takeover: what the history of a direction is.
func takeover(s *set) {
	if s.opt.Deflate == nil {
		return
	}
	for bits := 8; bits <= 15; bits++ {
		o := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", bits, bits)
		noise := someBytes(1 << bits)
		steps := func(mid ...step) []step {
			one := func(p *peer) error {
				if p.tx.takeover {
					noise = someBytes(1 << p.tx.bits) // a match at exactly the window
				}
				if err := p.frames(p.packed(ws.Binary, noise, 0)); err != nil {
					return err
				}
				return p.want(item{op: ws.Binary, data: noise})
			}
			return append(append([]step{level(2), one}, mid...), one, normal())
		}
		s.compressed(fmt.Sprintf("14.%d.1", bits), fmt.Sprintf("the same again at the distance of the window of %d bits", bits), o, o, steps()...)
		plain := text("not compressed, and not in the history")
		s.compressed(fmt.Sprintf("14.%d.2", bits), "the same again, a plain message between", o, o, steps(send(plain, ping("p")), want(echoed(plain), ponged("p")))...)
		empty := rawPacked(ws.Text, []byte{0}, 0)
		s.compressed(fmt.Sprintf("14.%d.3", bits), "the same again, an empty message between", o, o, steps(send(empty...), want(joined(ws.Text, "")))...)
	}
	exampleCases(s)
	shorter(s)
}

// exampleCases are those of RFC 7692 7.2.3.
func exampleCases(s *set) {
	hello := joined(ws.Text, "Hello")
	for i, row := range []struct {
		name string
		msgs [][]byte
		cut  int
	}{
		{"one block", [][]byte{{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}}, 0},
		{"one block in two frames", [][]byte{{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}}, 3},
		{"one block in frames of a byte", [][]byte{{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}}, 1},
		{"a stored block", [][]byte{{0x00, 0x05, 0x00, 0xfa, 0xff, 0x48, 0x65, 0x6c, 0x6c, 0x6f, 0x00}}, 0},
		{"a final block", [][]byte{{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}}, 0},
		{"a final block, again", [][]byte{{0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}, {0xf3, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00, 0x00}}, 0},
		{"two blocks", [][]byte{{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}}, 0},
		{"two blocks in frames of a byte", [][]byte{{0xf2, 0x48, 0x05, 0x00, 0x00, 0x00, 0xff, 0xff, 0xca, 0xc9, 0xc9, 0x07, 0x00}}, 1},
	} {
		var fs []fr
		var says []item
		for _, m := range row.msgs {
			fs, says = append(fs, rawPacked(ws.Text, m, row.cut)...), append(says, hello)
		}
		s.compressed(fmt.Sprintf("14.20.%d", i+1), "\"Hello\" as "+row.name, fullOffer, "*", send(fs...), want(says...), normal())
	}
	z := []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}
	first, last := rawPacked(ws.Text, z, 3)[0], cont(string(z[3:]))
	s.compressed("14.20.20", "control frames inside a compressed message", fullOffer, "*",
		send(first, ping("1")), want(ponged("1")), send(ping("2"), pong("3"), last), want(ponged("2"), hello), normal())
	s.compressed("14.20.21", "empty fragments inside a compressed message", fullOffer, "*",
		send(first, cont("").unfinished(), cont(string(z[3:])).unfinished(), cont("")), want(hello), normal())
	s.compressed("14.20.22", "an empty first fragment of a compressed message", fullOffer, "*",
		send(fr{op: ws.Text, rsv: 4, more: true}, cont(string(z))), want(hello), normal())
	s.compressed("14.20.23", "an empty message of several empty blocks", fullOffer, "*",
		send(rawPacked(ws.Text, []byte{0, 0, 0, 0xff, 0xff, 0, 0, 0, 0xff, 0xff, 0}, 0)...), want(joined(ws.Text, "")), normal())
}

// shorter: a testee that takes its history over says the same shorter the second
// time, one that does not says it the same.
func shorter(s *set) {
	data := dataKinds[0].make(rand.New(rand.NewPCG(1, 2)), 1000)
	for i, o := range []string{fullOffer, "permessage-deflate; server_no_context_takeover; client_no_context_takeover"} {
		var sizes [3]int
		steps := []step{level(0)}
		for k := range sizes {
			steps = append(steps, func(p *peer) error {
				if err := p.frames(p.packed(ws.Text, data, 0)); err != nil {
					return err
				}
				err := p.want(item{op: ws.Text, data: data})
				sizes[k] = p.rx.packedSize
				return err
			})
		}
		steps = append(steps, func(p *peer) error {
			switch kept := p.rx.inf.takeover && s.opt.Deflate.Takeover && 1<<p.rx.inf.bits > len(data); {
			case kept && (sizes[1]*4 > sizes[0] || sizes[2]*4 > sizes[0]):
				return fmt.Errorf("with a history the same message takes %d bytes", sizes)
			case !p.rx.inf.takeover && (sizes[1] != sizes[0] || sizes[2] != sizes[0]):
				return fmt.Errorf("without a history the same message takes %d bytes", sizes)
			}
			return nil
		}, normal())
		s.compressed(fmt.Sprintf("14.30.%d", i+1), "the same message three times", o, "*", steps...)
	}
}

// packErrors: what is wrong with compressed data is 1007, with frames 1002, with
// sizes 1009.
func packErrors(s *set) {
	if s.opt.Deflate == nil {
		return
	}
	good := []byte{0xf2, 0x48, 0xcd, 0xc9, 0xc9, 0x07, 0x00}
	var far bitWriter
	far.bits(2, 3)
	far.literal('a')
	far.match(3, 20)
	far.literal(256)
	var noCode bitWriter
	noCode.bits(2, 3)
	noCode.literal(286)
	noCode.bits(0, 20)
	for i, row := range []struct {
		name string
		z    []byte
	}{
		{"a reserved block type", []byte{0x06, 0, 0}}, {"a reserved block type that is final", []byte{0x07, 0, 0}},
		{"a stored block whose complement is wrong", []byte{0, 5, 0, 0xfb, 0xff, 'H', 'e', 'l', 'l', 'o', 0}},
		{"a distance beyond the beginning", far.flush()}, {"a length code without a meaning", noCode.flush()},
		{"codes that are too many", []byte{0x04, 0, 0xfe, 0xff, 0xff, 0xff}}, {"noise", bytes.Repeat([]byte{0xff}, 20)},
		{"a repetition of no code length", []byte{0x0c, 0x7e, 0, 0, 0, 0, 0, 0x07}},
	} {
		s.compressed(fmt.Sprintf("15.1.%d.1", i+1), row.name, fullOffer, "*", send(append(rawPacked(ws.Binary, row.z, 0), ping("no"))...), failed(1007))
		s.compressed(fmt.Sprintf("15.1.%d.2", i+1), row.name+" in frames of a byte", fullOffer, "*", send(rawPacked(ws.Text, row.z, 1)...), failed(1007))
		fs := append(rawPacked(ws.Text, good, 0), rawPacked(ws.Text, row.z, 0)...)
		s.compressed(fmt.Sprintf("15.1.%d.3", i+1), row.name+" behind a good message", fullOffer, "*", send(fs...), want(joined(ws.Text, "Hello")), failed(1007))
	}
	// One of no bytes at all is no error everywhere: zlib makes them.
	for n := 1; n < len(good)-1; n++ {
		s.compressed(fmt.Sprintf("15.2.%d", n), fmt.Sprintf("a message that lacks its last %d bytes", len(good)-n), fullOffer, "*",
			send(rawPacked(ws.Text, good[:n], 0)...), failed(1007))
	}
	frameErrors(s, good)
	textErrors(s)
	windowErrors(s)
	bombs(s)
}

// frameErrors: RFC 7692 6: RSV1 is on the first frame of a message, and nowhere
// else.
func frameErrors(s *set, good []byte) {
	two := rawPacked(ws.Text, good, 3)
	for i, row := range []struct {
		name string
		fs   []fr
	}{
		{"RSV1 on a continuation of a compressed message", []fr{two[0], two[1].reserved(4)}},
		{"RSV1 on a continuation of a plain message", []fr{text("a").unfinished(), cont("b").reserved(4)}},
		{"RSV1 on a Ping", []fr{ping("x").reserved(4)}}, {"RSV1 on a Pong", []fr{pong("x").reserved(4)}},
		{"RSV1 on a Close", []fr{bye(1000, "").reserved(4)}},
		{"RSV1 and RSV2 on a message", []fr{rawPacked(ws.Text, good, 0)[0].reserved(6)}},
		{"RSV3 on a message", []fr{text("x").reserved(1)}},
		{"RSV1 on a Ping inside a compressed message", []fr{two[0], ping("x").reserved(4)}},
		{"a message inside a compressed one", []fr{two[0], text("x")}},
		{"a compressed message inside a compressed one", []fr{two[0], two[0]}},
		{"RSV1 on a reserved opcode", []fr{{op: 3, rsv: 4}}},
	} {
		s.compressed(fmt.Sprintf("15.3.%d", i+1), row.name, fullOffer, "*", send(append(row.fs, ping("no"))...), failed(1002))
	}
}

// textErrors: text is checked when it is inflated, as early as that.
func textErrors(s *set) {
	for i, row := range badText {
		s.compressed(fmt.Sprintf("15.4.%d.1", i+1), "compressed: "+row.name, fullOffer, "*", level(i), func(p *peer) error {
			return p.frames(p.packed(ws.Text, []byte("text "+row.s), 0))
		}, failed(1007))
		if impossible(row.s) > len(row.s) {
			continue
		}
		s.compressed(fmt.Sprintf("15.4.%d.2", i+1), "compressed, of a message that goes on: "+row.name, fullOffer, "*", level(i), func(p *peer) error {
			z := append(p.tx.pack([]byte("text "+row.s)), flushTail...)
			return p.frames([]fr{{op: ws.Text, rsv: 4, p: z, more: true}})
		}, failed(1007))
	}
}

// windowErrors: a distance of more than the window that we agreed to. At 8 bits it
// may be taken for the window of 9 that zlib makes of it.
func windowErrors(s *set) {
	for bits := 9; bits < 15; bits++ {
		o := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d; client_max_window_bits=%d", bits, bits)
		s.compressed(fmt.Sprintf("15.5.%d", bits), fmt.Sprintf("a distance of one more than the window of %d bits", bits), o, o, func(p *peer) error {
			var w bitWriter
			w.bits(2, 3)
			for _, b := range someBytes(1<<p.tx.bits + 1) {
				w.literal(int(b))
			}
			if p.tx.bits == 15 {
				w.match(3, 1<<15)
				w.literal(286) // no larger distance can be said
			} else {
				w.match(3, 1<<p.tx.bits+1)
			}
			w.literal(256)
			return p.frames(rawPacked(ws.Binary, w.flush(), 0))
		}, failed(1007))
	}
}

// bombs: what a message becomes counts, as soon as it is too much.
func bombs(s *set) {
	top := s.opt.MaxMessage
	if top == 0 || top > mib && !s.opt.Full {
		return
	}
	zeros := func(n int64, more bool) step {
		return func(p *peer) error {
			k := packing{bits: 15, level: 9}
			if p.tx.bits < 15 {
				k.bits, k.level = p.tx.bits, ownPacker
			}
			z := k.pack(make([]byte, n))
			if more {
				z = append(z, flushTail...)
			}
			return p.frames([]fr{{op: ws.Binary, rsv: 4, p: z, more: more}})
		}
	}
	s.compressed("15.6.1", "a byte more than the limit when inflated", fullOffer, "*", zeros(top+1, false), failed(1009)).without(eachByte)
	s.compressed("15.6.2", "far more than the limit", fullOffer, "*", zeros(8*top, false), failed(1009)).without(eachByte)
	s.compressed("15.6.3", "more than the limit in a message that goes on", fullOffer, "*", zeros(top+1, true), failed(1009)).without(eachByte)
	s.compressed("15.6.4", "the limit itself", fullOffer, "*", zeros(top, false), want(item{op: ws.Binary, data: make([]byte, top)}), normal()).without(eachByte)
}
