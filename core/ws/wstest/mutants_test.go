package wstest

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/ws"
)

// mutant breaks what a good testee says, so that the suite must fail: from the
// first byte after the opening handshake, frame by frame.
type mutant struct {
	name string
	only string // where the break is to be found
	z    *core.Deflate
	// change returns the frames to be seen instead of one: its first byte, its
	// payload, and how often it was called before on this connection.
	change func(b0 byte, p []byte, n int) []byte
}

// frameOf is an unmasked frame.
func frameOf(b0 byte, p []byte) []byte {
	f := fr{op: ws.Opcode(b0 & 0xf), more: b0&0x80 == 0, rsv: b0 >> 4 & 7, p: p}
	return append(f.header(ws.Client, [4]byte{}), p...)
}

func isClose(b0 byte) bool { return b0&0xf == byte(ws.Close) }

var mutants = []mutant{
	{"another close code", "4.1.1.1", nil, func(b0 byte, p []byte, n int) []byte {
		if isClose(b0) {
			p = append([]byte{3, 0xeb}, p[2:]...)
		}
		return frameOf(b0, p)
	}},
	{"a Close without a code", "5.8", nil, func(b0 byte, p []byte, n int) []byte {
		if isClose(b0) {
			p = nil
		}
		return frameOf(b0, p)
	}},
	{"another reason", "7.3.3.3", nil, func(b0 byte, p []byte, n int) []byte {
		if isClose(b0) {
			p[2]++
		}
		return frameOf(b0, p)
	}},
	{"no Close", "7.1.1", nil, func(b0 byte, p []byte, n int) []byte {
		if isClose(b0) {
			return nil
		}
		return frameOf(b0, p)
	}},
	{"something after the Close", "7.1.1", nil, func(b0 byte, p []byte, n int) []byte {
		b := frameOf(b0, p)
		if isClose(b0) {
			b = append(b, 0x81, 0)
		}
		return b
	}},
	{"no Pongs", "2.3", nil, func(b0 byte, p []byte, n int) []byte {
		if b0&0xf == byte(ws.Pong) {
			return nil
		}
		return frameOf(b0, p)
	}},
	{"only the last Pong", "2.10.2", nil, func(b0 byte, p []byte, n int) []byte {
		if b0&0xf == byte(ws.Pong) && n < 9 {
			return nil
		}
		return frameOf(b0, p)
	}},
	{"Pongs for what is no Ping", "2.7.2", nil, func(b0 byte, p []byte, n int) []byte {
		return append([]byte{0x8a, 1, 'H'}, frameOf(b0, p)...)
	}},
	{"a Pong of other data", "2.3", nil, func(b0 byte, p []byte, n int) []byte {
		if b0&0xf == byte(ws.Pong) {
			p[0]++
		}
		return frameOf(b0, p)
	}},
	{"binary for text", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte {
		if b0&0xf == byte(ws.Text) {
			b0++
		}
		return frameOf(b0, p)
	}},
	{"a byte of the payload", "1.2.10", nil, func(b0 byte, p []byte, n int) []byte {
		if b0&0xf == byte(ws.Binary) {
			p[len(p)-1]++
		}
		return frameOf(b0, p)
	}},
	{"a message twice", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte {
		b := frameOf(b0, p)
		if !isClose(b0) {
			b = append(b, b...)
		}
		return b
	}},
	{"RSV2", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte { return frameOf(b0|0x20, p) }},
	{"RSV1 without compression", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte { return frameOf(b0|0x40, p) }},
	{"a masked frame", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte {
		b := fr{op: ws.Opcode(b0 & 0xf), p: p}
		return append(b.header(ws.Server, [4]byte{}), p...)
	}},
	{"a long length", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte {
		f := fr{op: ws.Opcode(b0 & 0xf), p: p, form: 2}
		return append(f.header(ws.Client, [4]byte{}), p...)
	}},
	{"a length in 64 bits", "1.1.8", nil, func(b0 byte, p []byte, n int) []byte {
		f := fr{op: ws.Opcode(b0 & 0xf), p: p, form: 8}
		return append(f.header(ws.Client, [4]byte{}), p...)
	}},
	{"a fragmented Close", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte {
		if isClose(b0) {
			b0 &^= 0x80
		}
		return frameOf(b0, p)
	}},
	{"a message without end", "1.1.2", nil, func(b0 byte, p []byte, n int) []byte {
		if !isClose(b0) {
			b0 &^= 0x80
		}
		return frameOf(b0, p)
	}},
	{"a code that nobody may send", "7.1.1", nil, func(b0 byte, p []byte, n int) []byte {
		if isClose(b0) {
			p[0], p[1] = 3, 0xed
		}
		return frameOf(b0, p)
	}},
	{"a reason that is no UTF-8", "4.1.1.1", nil, func(b0 byte, p []byte, n int) []byte {
		if isClose(b0) {
			p[len(p)-1] = 0xff
		}
		return frameOf(b0, p)
	}},
	{"compressed data with a bit changed", "12.2.4", &core.Deflate{}, func(b0 byte, p []byte, n int) []byte {
		if b0&0x40 != 0 {
			p[len(p)/2] ^= 8
		}
		return frameOf(b0, p)
	}},
	{"the tail that is not sent", "12.2.4", &core.Deflate{}, func(b0 byte, p []byte, n int) []byte {
		if b0&0x40 != 0 {
			p = append(p[:len(p)-1], 7)
		}
		return frameOf(b0, p)
	}},
	{"compression agreed upon and not used", "12.2.4", &core.Deflate{Threshold: 1 << 20}, func(b0 byte, p []byte, n int) []byte { return frameOf(b0, p) }},
}

// mutated is a wire to a testee, whose frames are changed on the way.
type mutated struct {
	*simWire
	m    *mutant
	head bool
	buf  []byte
	n    int
}

func (w *mutated) Poll() ([]byte, error) {
	b, err := w.simWire.Poll()
	w.buf = append(w.buf, b...)
	var out []byte
	if !w.head {
		i := bytes.Index(w.buf, []byte("\r\n\r\n"))
		if i < 0 {
			return nil, err
		}
		w.head = true
		out, w.buf = append(out, w.buf[:i+4]...), w.buf[i+4:]
	}
	for len(w.buf) >= 2 {
		n, size, e := length(w.buf)
		if e != nil || size == 0 || uint64(len(w.buf)-size) < n {
			break
		}
		p := bytes.Clone(w.buf[size : size+int(n)])
		out = append(out, w.m.change(w.buf[0], p, w.n)...)
		w.n++
		w.buf = w.buf[size+int(n):]
	}
	return out, err
}

func (w *mutated) Read() ([]byte, error) {
	b, err := w.Poll()
	if len(b) > 0 {
		return b, nil
	}
	if err == nil {
		err = ErrSilent
	}
	return nil, err
}

// TestMutantsFail: the suite notices each thing that a testee can do wrong, in
// every way of delivering the case that is made for it.
func TestMutantsFail(t *testing.T) {
	for i := range mutants {
		m := &mutants[i]
		t.Run(strings.ReplaceAll(m.name, " ", "-"), func(t *testing.T) {
			o := Options{MaxMessage: 1 << 20, Deflate: m.z, Only: []string{m.only}, Host: "host", Path: "/"}
			dial := Simulated(t, echoVHost(o))
			ran := 0
			for class := range classes {
				s := set{side: ws.Server, opt: &o, class: class}
				classes[class].add(&s)
				for _, c := range s.cases {
					if c.id != m.only {
						continue
					}
					for d := range numDeliveries {
						ran++
						if err := runOnce(c, &s, d, dial); err != nil && m.z == nil {
							t.Errorf("without the mutation: %v", err)
						}
						err := runOnce(c, &s, d, func() (Wire, error) {
							w, err := dial()
							return &mutated{simWire: w.(*simWire), m: m}, err
						})
						if err == nil {
							t.Errorf("%s passes", d)
						} else if d == whole {
							t.Log(err)
						}
					}
				}
			}
			if ran != int(numDeliveries) {
				t.Errorf("%s ran %d times", m.only, ran)
			}
		})
	}
}

// TestWrongHandlersFail: handlers that are no echo are found out.
func TestWrongHandlersFail(t *testing.T) {
	for i, row := range []struct {
		name, only string
		fn         func(c *core.Conn, m core.Message, out *core.Outbox) error
		lim        core.Limits
	}{
		{"echoes nothing", "1.1.2", func(*core.Conn, core.Message, *core.Outbox) error { return nil }, core.Limits{}},
		{"upper case", "1.1.2", func(_ *core.Conn, m core.Message, out *core.Outbox) error {
			return out.Text(strings.ToUpper(m.String()) + "!")
		}, core.Limits{}},
		{"closes", "1.1.2", func(*core.Conn, core.Message, *core.Outbox) error { return &core.CloseError{Code: 1000} }, core.Limits{}},
		{"drops", "1.1.2", func(*core.Conn, core.Message, *core.Outbox) error { return core.ErrDrop }, core.Limits{}},
		{"fails", "1.1.2", func(*core.Conn, core.Message, *core.Outbox) error { return fmt.Errorf("no") }, core.Limits{}},
		{"another limit", "9.9.1", echoFn, core.Limits{MaxMessage: 2 << 20}},
		{"a smaller limit", "9.1.3", echoFn, core.Limits{MaxMessage: 1<<20 - 1}},
	} {
		o := Options{MaxMessage: 1 << 20, Only: []string{row.only}, Host: "host", Path: "/"}
		vh := core.VHost{Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(row.fn)}}, Limits: row.lim}
		dial := Simulated(t, vh)
		ran := 0
		for class := range classes {
			s := set{side: ws.Server, opt: &o, class: class}
			classes[class].add(&s)
			for _, c := range s.cases {
				if c.id != row.only {
					continue
				}
				ran++
				if err := runOnce(c, &s, whole, dial); err == nil {
					t.Errorf("%d: a handler that %s passes %s", i, row.name, c.id)
				}
			}
		}
		if ran != 1 {
			t.Errorf("%s ran %d times", row.only, ran)
		}
	}
}
