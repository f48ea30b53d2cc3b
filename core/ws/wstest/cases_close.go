package wstest

import (
	"bytes"
	"fmt"
	"strings"

	"anyloop/core/ws"
)

// closing: RFC 6455 5.5.1, 7.
func closing(s *set) {
	closeOrder(s)
	s.add("7.3.1", "a Close without anything", send(shut()), want(closedWith(1005, "")), end)
	for i, b := range []byte{0, 3, 'a', 0xff} {
		s.add(fmt.Sprintf("7.3.2.%d", i+1), fmt.Sprintf("a Close of the byte %#x", b), send(shut(b)), failed(1002))
	}
	for i, n := range []int{0, 1, 10, 122, 123} {
		reason := strings.Repeat("*", n)
		s.add(fmt.Sprintf("7.3.3.%d", i+1), fmt.Sprintf("a reason of %d bytes", n), send(bye(1000, reason)), want(closedWith(1000, reason)), end)
	}
	for i, n := range []int{124, 125, 1000} {
		s.add(fmt.Sprintf("7.3.6.%d", i+1), fmt.Sprintf("a reason of %d bytes", n), begin(bye(1000, strings.Repeat("*", n)), 0), failedInside(1002))
	}
	for i, row := range goodText {
		if len(row) <= 123 {
			s.add(fmt.Sprintf("7.4.%d", i+1), fmt.Sprintf("the reason %+q", row), send(bye(1000, row)), want(closedWith(1000, row)), end)
		}
	}
	for i, row := range badText {
		s.add(fmt.Sprintf("7.5.%d", i+1), "a reason that is no UTF-8: "+row.name, send(bye(1000, "why "+row.s)), failed(1007))
	}
	for i, code := range []int{1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 1012, 1013, 1014, 3000, 3001, 3999, 4000, 4001, 4999} {
		for j, reason := range []string{"", "because"} {
			s.add(fmt.Sprintf("7.7.%d", 2*i+j+1), fmt.Sprintf("code %d, %q", code, reason), send(bye(code, reason)), want(closedWith(code, reason)), end)
		}
	}
	for i, code := range []int{0, 1, 125, 999, 1004, 1005, 1006, 1015, 1016, 1100, 1999, 2000, 2999} {
		for j, reason := range []string{"", "because"} {
			s.add(fmt.Sprintf("7.9.%d", 2*i+j+1), fmt.Sprintf("code %d, which nobody may send, %q", code, reason), send(bye(code, reason)), failed(1002))
		}
	}
	for i, code := range []int{5000, 5001, 9999, 32768, 65535} {
		s.add(fmt.Sprintf("7.13.%d", i+1), fmt.Sprintf("code %d, beyond all ranges", code), send(bye(code, "")), failed(1002))
	}
}

// closeOrder: what comes with a Close, and behind it.
func closeOrder(s *set) {
	hello := text("Hello World!")
	big := binary(bytes.Repeat([]byte("BAsd7&jh23"), 26214))
	for i, row := range []struct {
		name   string
		before []fr
		says   []item
		behind []fr
	}{
		{"alone", nil, nil, nil},
		{"behind a message", []fr{hello}, []item{echoed(hello)}, nil},
		{"twice", nil, nil, []fr{bye(1000, "")}},
		{"twice, with another code", nil, nil, []fr{bye(1001, "later")}},
		{"before a Ping", nil, nil, []fr{ping("no")}},
		{"before a Pong", nil, nil, []fr{pong("no")}},
		{"before a message", nil, nil, []fr{hello}},
		{"before an unfinished message", nil, nil, []fr{hello.unfinished()}},
		{"before a continuation", nil, nil, []fr{cont("x")}},
		{"before nonsense", nil, nil, []fr{{op: 7, rsv: 7, more: true}}},
		{"before text that is no UTF-8", nil, nil, []fr{text("\xff")}},
		{"before many messages", nil, nil, []fr{hello, hello, hello, ping("no"), hello}},
		{"inside a message", []fr{hello.unfinished()}, nil, nil},
		{"inside a message that goes on", []fr{hello.unfinished()}, nil, []fr{cont("no")}},
		{"behind a Ping", []fr{ping("p")}, []item{ponged("p")}, nil},
		{"behind a message and a Ping", []fr{hello, ping("p")}, []item{echoed(hello), ponged("p")}, []fr{ping("no")}},
		{"behind 256 KiB", []fr{big}, []item{echoed(big)}, []fr{ping("no")}},
		{"before 256 KiB", nil, nil, []fr{big}},
	} {
		fs := append(append(append([]fr{}, row.before...), bye(1000, "done")), row.behind...)
		if s.opt.MayReset && len(row.before) > 0 && len(row.before[0].p) > kib && len(row.behind) > 0 {
			continue // the echo is still on its way
		}
		s.add(fmt.Sprintf("7.1.%d", i+1), "a Close "+row.name, send(fs...), want(append(row.says, closedWith(1000, "done"))...), end)
	}
	for i, f := range []fr{bye(1000, "x"), shut()} {
		s.add(fmt.Sprintf("7.2.%d", i+1), "a Close in two fragments", send(f.unfinished(), fr{op: ws.Continuation}), failed(1002))
		c := f
		c.op, c.more = ws.Close, false
		s.add(fmt.Sprintf("7.2.%d", i+3), "a Close whose end comes late", begin(c, 0), quietIf(len(c.p) > 0), rest(c, 0, len(c.p)),
			want(closedWith(map[bool]int{true: 1000, false: 1005}[len(c.p) > 0], string(c.p[min(2, len(c.p)):]))), end)
	}
}

// quietIf is quiet, or nothing.
func quietIf(on bool) step {
	return func(p *peer) error {
		if !on {
			return nil
		}
		return p.quiet()
	}
}

// ends: TCP ends without a Close frame. The testee has nobody to talk to.
func ends(s *set) {
	long := text(strings.Repeat("x", 1000))
	for i, row := range []struct {
		name  string
		steps []step
	}{
		{"right behind the handshake", nil},
		{"behind a message", []step{send(text("a")), want(echoed(text("a")))}},
		{"inside a header", []step{func(p *peer) error { return p.deliver([]byte{0x81}, nil) }}},
		{"behind a header", []step{begin(long, 0)}},
		{"inside a payload", []step{begin(long, 500)}},
		{"between fragments", []step{send(text("a").unfinished())}},
		{"inside a Ping", []step{begin(ping("hello"), 2)}},
		{"inside a Close", []step{begin(bye(1000, "hello"), 2)}},
	} {
		s.add(fmt.Sprintf("19.%d", i+1), "TCP ends "+row.name, append(row.steps, eof, verdict(false))...)
	}
	s.add("19.9", "a good end is one for the testee", send(bye(1000, "")), want(closedWith(1000, "")), end, verdict(true))
}
