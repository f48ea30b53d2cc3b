package wstest

import (
	"bytes"
	"fmt"
	"strings"

	"anyloop/core/ws"
)

// nonText is bytes that are not UTF-8 anywhere.
func nonText(n int) []byte { return bytes.Repeat([]byte{0xfe}, n) }

// small leaves out what takes long and proves nothing more.
func (c *testCase) without(ds ...delivery) *testCase {
	for _, d := range ds {
		c.skip[d] = true
	}
	return c
}

var lengths = []int{0, 1, 124, 125, 126, 127, 128, 65535, 65536, 65537}

// framing: lengths of every form, right and wrong.
func framing(s *set) {
	for i, n := range lengths {
		for j, f := range []fr{text(strings.Repeat("*", n)), binary(nonText(n))} {
			s.add(fmt.Sprintf("1.%d.%d", j+1, i+1), fmt.Sprintf("%s of %d bytes", f.op, n),
				send(f), want(echoed(f)), normal())
			if n > 1 {
				s.add(fmt.Sprintf("1.%d.%d.chopped", j+1, i+1), fmt.Sprintf("%s of %d bytes in pieces of 997", f.op, n),
					chopped(997), send(f), want(echoed(f)), normal()).without(seams, eachByte)
			}
		}
	}
	// RFC 6455 5.2: "the minimal number of bytes MUST be used to encode the
	// length", "the most significant bit MUST be 0". The header alone tells.
	for i, row := range []struct {
		claim uint64
		form  int
	}{{0, 2}, {1, 2}, {125, 2}, {0, 8}, {1, 8}, {125, 8}, {126, 8}, {65535, 8}, {1 << 63, 8}, {1<<63 + 5, 8}, {1<<64 - 1, 8}} {
		for j, op := range []ws.Opcode{ws.Text, ws.Binary} {
			f := fr{op: op, form: row.form, claim: row.claim}
			s.add(fmt.Sprintf("1.3.%d", 2*i+j+1), fmt.Sprintf("%s, length %d in %d bytes", op, row.claim, row.form),
				begin(f, 0), failedInside(1002))
		}
	}
	for i, n := range []int{126, 127, 65535, 65536} {
		f := binary(nonText(n))
		three := []fr{f, f, f}
		s.add(fmt.Sprintf("1.4.%d", i+1), fmt.Sprintf("three messages of %d bytes together", n),
			send(three...), want(echoed(f), echoed(f), echoed(f)), normal())
	}
}

func chopped(n int) step {
	return func(p *peer) error { p.chop = n; return nil }
}

// pings: every Ping is answered, with what it carried, in order.
func pings(s *set) {
	full := strings.Repeat("\xfe", 125)
	for i, data := range []string{"", "H", "Hello, world!", "\x00\xff\xfe\xfd\xfc\xfb\x00\xff", strings.Repeat("p", 124), full} {
		s.add(fmt.Sprintf("2.%d", i+1), fmt.Sprintf("a Ping of %d bytes", len(data)),
			send(ping(data)), want(ponged(data)), normal())
		s.add(fmt.Sprintf("2.7.%d", i+1), fmt.Sprintf("a Pong of %d bytes that nobody asked for", len(data)),
			send(pong(data)), quiet, normal())
		s.add(fmt.Sprintf("2.8.%d", i+1), fmt.Sprintf("a Pong of %d bytes, then a Ping", len(data)),
			send(pong("no"), ping(data)), want(ponged(data)), normal())
		s.add(fmt.Sprintf("2.9.%d", i+1), fmt.Sprintf("a Ping of %d bytes between messages", len(data)),
			send(text("a"), ping(data), text("b")), want(echoed(text("a")), ponged(data), echoed(text("b"))), normal())
	}
	for i, op := range []ws.Opcode{ws.Ping, ws.Pong} {
		for j, n := range []int{126, 127, 65535, 65536} {
			// The first two bytes tell.
			s.add(fmt.Sprintf("2.6.%d", 4*i+j+1), fmt.Sprintf("a %s of %d bytes", op, n),
				begin(fr{op: op, p: nonText(n)}, 0), failedInside(1002))
		}
	}
	for i, n := range []int{2, 10, 100} {
		var fs []fr
		var ps []item
		for k := range n {
			data := fmt.Sprintf("payload-%d", k)
			fs, ps = append(fs, ping(data)), append(ps, ponged(data))
		}
		s.add(fmt.Sprintf("2.10.%d", i+1), fmt.Sprintf("%d Pings together", n), send(fs...), want(ps...), normal())
		s.add(fmt.Sprintf("2.11.%d", i+1), fmt.Sprintf("%d Pings, chopped", n), chopped(3), send(fs...), want(ps...), normal()).
			without(seams, eachByte)
	}
}

// shape is a frame of a table, with a name.
type shape struct {
	name string
	f    fr
}

// wrongInContext runs a wrong frame as the first of a connection, behind a
// message, and inside one; a Ping behind it gets no answer. Inside a message
// the testee has nothing to echo.
func wrongInContext(s *set, id string, sh shape, code int) {
	s.add(id+".1", sh.name+" first", send(sh.f, ping("no")), failed(code))
	s.add(id+".2", sh.name+" behind a message", send(text("Hello"), sh.f, ping("no")), want(echoed(text("Hello"))), failed(code))
	s.add(id+".3", sh.name+" inside a message", send(text("Hel").unfinished(), sh.f, cont("lo"), ping("no")), failed(code))
	s.add(id+".4", sh.name+" header alone", begin(sh.f, 0), failedInside(code))
}

// reservedBits: RFC 6455 5.2: without an extension they are 0.
func reservedBits(s *set) {
	shapes := []shape{{"a text", text("Hello")}, {"an empty text", text("")}, {"a binary", binary(nonText(20))}, {"a Ping", ping("x")},
		{"a Pong", pong("x")}, {"a Close", bye(1000, "")}}
	for rsv := byte(1); rsv < 8; rsv++ {
		for i, sh := range shapes {
			sh.f.rsv = rsv
			sh.name = fmt.Sprintf("RSV=%d on %s", rsv, sh.name)
			wrongInContext(s, fmt.Sprintf("3.%d.%d", rsv, i+1), sh, 1002)
		}
		s.add(fmt.Sprintf("3.%d.7", rsv), fmt.Sprintf("RSV=%d on a continuation", rsv),
			send(text("Hel").unfinished(), cont("lo").reserved(rsv), ping("no")), failed(1002))
	}
}

// opcodes: those that RFC 6455 5.2 reserves.
func opcodes(s *set) {
	for i, op := range []ws.Opcode{3, 4, 5, 6, 7, 11, 12, 13, 14, 15} {
		for j, data := range []string{"", "some data"} {
			sh := shape{fmt.Sprintf("opcode %d with %d bytes", op, len(data)), fr{op: op, p: []byte(data)}}
			wrongInContext(s, fmt.Sprintf("4.%d.%d", i/5+1, 2*(i%5)+j+1), sh, 1002)
		}
		s.add(fmt.Sprintf("4.3.%d", i+1), fmt.Sprintf("opcode %d without FIN", op),
			send(fr{op: op, p: []byte("x"), more: true}, ping("no")), failed(1002))
	}
}

// masking: RFC 6455 5.1, 5.3.
func masking(s *set) {
	shapes := []shape{{"a text", text("Hello")}, {"an empty text", text("")}, {"a binary", binary(nonText(200))}, {"a Ping", ping("x")},
		{"a Pong", pong("x")}, {"a Close", bye(1000, "")}}
	for i, sh := range shapes {
		sh.f.misMask = true
		sh.name = "wrongly masked or unmasked: " + sh.name
		wrongInContext(s, fmt.Sprintf("18.1.%d", i+1), sh, 1002)
	}
	for i, n := range []int{1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 63, 64, 65, 511, 512, 513, 1023, 1025} {
		f := binary(someBytes(n))
		s.add(fmt.Sprintf("18.2.%d", i+1), fmt.Sprintf("%d bytes unmasked rightly", n), send(f), want(echoed(f)), normal())
	}
	if !s.server() {
		var fs []fr
		var es []item
		for i := range 64 {
			f := text(fmt.Sprintf("message %d", i))
			fs, es = append(fs, f), append(es, echoed(f))
		}
		s.add("18.3", "a client takes a new key for each frame", send(fs...), want(es...), normal(), freshKeys)
	}
}

// freshKeys: RFC 6455 5.3: "the client MUST pick a fresh masking key" for each
// frame. Two of 65 are equal once in two million runs, three practically never.
func freshKeys(p *peer) error {
	for k, n := range p.rx.keys {
		if n > 2 {
			return fmt.Errorf("key %x masks %d frames", k, n)
		}
	}
	if len(p.rx.keys) < 60 {
		return fmt.Errorf("%d keys for 65 frames", len(p.rx.keys))
	}
	return nil
}

// someBytes is bytes that differ from their neighbours.
func someBytes(n int) []byte {
	b := make([]byte, n)
	x := uint32(n)*2654435761 + 12345
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = byte(x >> 24)
	}
	return b
}
