package ws

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
	"unicode/utf8"
	"unsafe"
)

var key = [4]byte{0x37, 0xfa, 0x21, 0x3d}

// transcript runs the decoder over input that comes in the given pieces, keeping
// what it leaves, and says what came out. Pieces of one frame are joined, so that
// the transcript does not depend on the cuts.
func transcript(side Side, lim *Limits, pieces ...[]byte) string {
	var d Decoder
	d.Init(side)
	var out []string
	var tail, text []byte
	open := ""
	for _, p := range pieces {
		buf := append(append([]byte(nil), tail...), p...)
		for {
			ev, n, err := d.Next(buf, lim)
			buf = buf[n:]
			if err != nil {
				var pe *PeerError
				errors.As(err, &pe)
				return strings.Join(append(out, fmt.Sprintf("error %d", pe.Code)), " | ")
			}
			if ev.Kind == None {
				break
			}
			switch ev.Kind {
			case Data:
				if ev.First {
					open, text = ev.Op.String(), nil
				}
				text = append(text, ev.Payload...)
				if ev.Final {
					out = append(out, fmt.Sprintf("%s %q", open, text))
				}
			case KindPing:
				out = append(out, fmt.Sprintf("ping %q", ev.Payload))
			case KindPong:
				out = append(out, fmt.Sprintf("pong %q", ev.Payload))
			case KindClose:
				out = append(out, fmt.Sprintf("close %d %q", ev.Code, ev.Payload))
			}
		}
		if len(buf) > MaxHeader+maxControl {
			return "tail too long"
		}
		tail = append([]byte(nil), buf...)
	}
	return strings.Join(out, " | ")
}

// everyWay runs input whole, byte by byte, at every cut, and with a tail.
func everyWay(t *testing.T, name string, side Side, lim *Limits, in []byte, want string) {
	t.Helper()
	check := func(how string, pieces ...[]byte) {
		t.Helper()
		if got := transcript(side, lim, pieces...); got != want {
			t.Errorf("%s, %s:\ngot  %s\nwant %s", name, how, got, want)
		}
	}
	check("whole", in)
	var bytewise [][]byte
	for i := range in {
		bytewise = append(bytewise, in[i:i+1])
	}
	check("byte by byte", bytewise...)
	for i := 0; i <= len(in); i += 1 + len(in)/200 {
		check(fmt.Sprintf("cut at %d", i), in[:i], in[i:])
	}
	if !strings.Contains(want, "error") && !strings.Contains(want, "close") {
		ping := AppendFrame(nil, Header{Op: Ping, Fin: true, Masked: side == Server, Mask: key}, []byte("t"))
		if got := transcript(side, lim, append(append([]byte(nil), in...), ping...)); !strings.HasSuffix(got, `ping "t"`) {
			t.Errorf("%s, with a tail: %s", name, got)
		}
	}
}

func cf(op Opcode, fin bool, s string) []byte {
	return AppendFrame(nil, Header{Op: op, Fin: fin, Masked: true, Mask: key}, []byte(s))
}

func join(b ...[]byte) []byte { return bytes.Join(b, nil) }

func TestDecoder(t *testing.T) {
	raw := func(b ...byte) []byte { return b }
	big := strings.Repeat("0123456789", 7000)
	for _, c := range []struct {
		name string
		lim  Limits
		in   []byte
		want string
	}{
		{"masked hello of RFC 6455 5.7", Limits{}, raw(0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58), `text "Hello"`},
		{"empty", Limits{}, cf(Text, true, ""), `text ""`},
		{"fragments with a ping between", Limits{}, join(cf(Text, false, "Hel"), cf(Ping, true, "x"), cf(Continuation, false, ""), cf(Continuation, true, "lo")), `ping "x" | text "Hello"`},
		{"126 bytes", Limits{}, cf(Binary, true, big[:126]), fmt.Sprintf("binary %q", big[:126])},
		{"70,000 bytes", Limits{}, cf(Binary, true, big), fmt.Sprintf("binary %q", big)},
		{"in pieces of 7", Limits{RxPiece: 7}, cf(Text, true, "a longer text"), `text "a longer text"`},
		{"pong", Limits{}, cf(Pong, true, "p"), `pong "p"`},
		{"close", Limits{}, join(AppendClose(nil, 1000, "bye", &key), cf(Text, true, "ignored")), `close 1000 "bye"`},
		{"close without code", Limits{}, cf(Close, true, ""), `close 1005 ""`},
		{"close of one byte", Limits{}, cf(Close, true, "x"), "error 1002"},
		{"close code 1005", Limits{}, cf(Close, true, "\x03\xed"), "error 1002"},
		{"close reason not UTF-8", Limits{}, cf(Close, true, "\x03\xe8\xff"), "error 1007"},
		{"reserved opcode 3", Limits{}, cf(3, true, ""), "error 1002"},
		{"reserved opcode 11", Limits{}, cf(11, true, ""), "error 1002"},
		{"RSV1", Limits{}, AppendFrame(nil, Header{Op: Text, Fin: true, RSV1: true, Masked: true}, nil), "error 1002"},
		{"RSV2", Limits{}, raw(0xa1, 0x80, 0, 0, 0, 0), "error 1002"},
		{"RSV1 claimed", Limits{RSV1: true}, AppendFrame(nil, Header{Op: Text, Fin: true, RSV1: true, Masked: true}, []byte("\xff")), `text "\xff"`},
		{"RSV1 on a continuation", Limits{RSV1: true}, join(cf(Text, false, ""), AppendFrame(nil, Header{RSV1: true, Masked: true}, nil)), "error 1002"},
		{"continuation of nothing", Limits{}, cf(Continuation, true, "x"), "error 1002"},
		{"text inside text", Limits{}, join(cf(Text, false, "a"), cf(Text, true, "b")), "error 1002"},
		{"fragmented ping", Limits{}, cf(Ping, false, ""), "error 1002"},
		{"ping of 126 bytes", Limits{}, cf(Ping, true, big[:126]), "error 1002"},
		{"unmasked", Limits{}, AppendFrame(nil, Header{Op: Text, Fin: true}, []byte("a")), "error 1002"},
		{"length 5 in 16 bits", Limits{}, raw(0x82, 0xfe, 0, 5, 0, 0, 0, 0, 1, 2, 3, 4, 5), "error 1002"},
		{"length 5 in 64 bits", Limits{}, raw(0x82, 0xff, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 1), "error 1002"},
		{"length with the top bit", Limits{}, raw(0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0), "error 1002"},
		{"frame over the limit", Limits{MaxFrame: 10}, cf(Binary, true, big[:11]), "error 1009"},
		{"frame at the limit", Limits{MaxFrame: 10}, cf(Binary, true, big[:10]), `binary "0123456789"`},
		{"message over the limit", Limits{MaxMessage: 10}, join(cf(Binary, false, big[:6]), cf(Continuation, true, big[:5])), "error 1009"},
		{"not UTF-8", Limits{}, cf(Text, true, "a\xff"), "error 1007"},
		{"unfinished UTF-8", Limits{}, cf(Text, true, "a\xe2\x82"), "error 1007"},
		{"surrogate", Limits{}, cf(Text, true, "\xed\xa0\x80"), "error 1007"},
		{"UTF-8 over fragments", Limits{}, join(cf(Text, false, "\xe2"), cf(Continuation, false, "\x82"), cf(Continuation, true, "\xac")), `text "€"`},
		{"UTF-8 unchecked", Limits{NoUTF8: true}, cf(Text, true, "\xff"), `text "\xff"`},
		{"fails at the first impossible byte", Limits{}, cf(Text, false, "\xf4\x90"), "error 1007"},
	} {
		everyWay(t, c.name, Server, &c.lim, c.in, c.want)
	}
	everyWay(t, "client", Client, &Limits{}, AppendFrame(nil, Header{Op: Text, Fin: true}, []byte("Hello")), `text "Hello"`)
	everyWay(t, "client, masked", Client, &Limits{}, cf(Text, true, "x"), "error 1002")
}

func TestEarlyHeaderErrorsComeBeforeTheirLength(t *testing.T) {
	var d Decoder
	d.Init(Server)
	if _, _, err := d.Next([]byte{0x83, 0xff}, &Limits{}); err == nil {
		t.Error("two bytes of a frame with a reserved opcode are enough to refuse it")
	}
	if _, _, again := d.Next(nil, &Limits{}); again != ErrOpcode {
		t.Errorf("errors are sticky: %v", again)
	}
}

func TestDiscardDropsDataAndSeesControl(t *testing.T) {
	var d Decoder
	d.Init(Server)
	d.Discard()
	in := join(cf(Text, true, "dropped"), AppendClose(nil, 1000, "x", &key))
	ev, n, err := d.Next(in, &Limits{})
	if err != nil || ev.Kind != KindClose || n != len(in) {
		t.Errorf("%+v %d %v", ev, n, err)
	}
}

func TestDecoderIsSmall(t *testing.T) {
	if n := unsafe.Sizeof(Decoder{}); n > 64 {
		t.Errorf("a Decoder takes %d bytes, more than 64", n)
	}
}

func TestCloseCodes(t *testing.T) {
	for c := range 65536 {
		want := c >= 1000 && c <= 1003 || c >= 1007 && c <= 1014 || c >= 3000 && c <= 4999
		if got := CloseCode(c).Valid(); got != want {
			t.Errorf("code %d: valid %v", c, got)
		}
	}
}

func TestAppendCloseCutsBetweenCharacters(t *testing.T) {
	f := AppendClose(nil, 1000, strings.Repeat("€", 100), nil)
	if n := int(f[1]); n > 125 || !utf8.Valid(f[4:]) {
		t.Errorf("%d bytes: %q", n, f[4:])
	}
}

func TestMaskAgainstTheNaiveLoop(t *testing.T) {
	for n := range 300 {
		for pos := range 5 {
			for off := range 9 {
				buf := make([]byte, n+off)
				for i := range buf {
					buf[i] = byte(i * 7)
				}
				want := bytes.Clone(buf)
				for i := range n {
					want[off+i] ^= key[(pos+i)&3]
				}
				Mask(key, pos, buf[off:])
				if !bytes.Equal(buf, want) {
					t.Fatalf("length %d, position %d, offset %d", n, pos, off)
				}
			}
		}
	}
	long := make([]byte, 5000)
	Mask(key, 3, long)
	for i, b := range long {
		if b != key[(3+i)&3] {
			t.Fatalf("byte %d of a long payload", i)
		}
	}
}

func TestUTF8AgainstTheStandardLibrary(t *testing.T) {
	var samples []string
	for _, r := range []rune{0, 'a', 0x7f, 0x80, 0x7ff, 0x800, 0xfff, 0xd7ff, 0xe000, 0xffff, 0x10000, 0x10ffff} {
		samples = append(samples, string(r))
	}
	for a := range 256 {
		for _, b := range []byte{0, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff} {
			samples = append(samples, string([]byte{byte(a)}), string([]byte{byte(a), b}), string([]byte{byte(a), b, 0x80}), string([]byte{byte(a), b, 0xbf, 0x80}))
		}
	}
	for _, s := range samples {
		for _, s := range []string{s, "ascii text" + s, s + "more ascii text", "é" + s + "é"} {
			for cut := 0; cut <= len(s); cut++ {
				var u UTF8
				got := u.Add([]byte(s[:cut])) && u.Add([]byte(s[cut:])) && u.Complete()
				if want := utf8.ValidString(s); got != want {
					t.Fatalf("%q cut at %d: %v, want %v", s, cut, got, want)
				}
			}
		}
	}
}

func TestHandshake(t *testing.T) {
	if got := string(AppendAccept(nil, []byte("dGhlIHNhbXBsZSBub25jZQ=="))); got != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" {
		t.Errorf("accept %s", got)
	}
	for k, want := range map[string]bool{"dGhlIHNhbXBsZSBub25jZQ==": true, "": false, "dGhlIHNhbXBsZSBub25jZQ=": false, "dGhlIHNhbXBsZSBub25jZTE=": false, "!!hlIHNhbXBsZSBub25jZQ==": false} {
		if ValidKey([]byte(k)) != want {
			t.Errorf("key %q", k)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	in := join(cf(Text, true, "hello"), cf(Ping, true, "x"), cf(Binary, true, strings.Repeat("x", 500)))
	buf, out := make([]byte, len(in)), make([]byte, 0, 4096)
	var d Decoder
	d.Init(Server)
	lim := &Limits{}
	if n := testing.AllocsPerRun(100, func() {
		copy(buf, in)
		for p := buf; len(p) > 0; {
			ev, n, err := d.Next(p, lim)
			if err != nil || ev.Kind == None {
				t.Fatal(err)
			}
			p = p[n:]
			out = AppendFrame(out[:0], Header{Op: Text, Fin: true}, ev.Payload)
		}
		out = AppendClose(out[:0], 1000, "bye", nil)
		out = AppendAccept(out[:0], []byte("dGhlIHNhbXBsZSBub25jZQ=="))
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// FuzzDecoder: any cut gives the same events and the same error.
func FuzzDecoder(f *testing.F) {
	f.Add(join(cf(Text, false, "Hel"), cf(Ping, true, "x"), cf(Continuation, true, "lo")), 3, true)
	f.Add(AppendFrame(nil, Header{Op: Binary, Fin: true}, make([]byte, 200)), 150, false)
	f.Add(AppendClose(nil, 1001, "going", &key), 2, true)
	f.Add([]byte{0x82, 0xff, 0x80, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0}, 9, true)
	f.Fuzz(func(t *testing.T, in []byte, cut int, server bool) {
		side := Client
		if server {
			side = Server
		}
		lim := &Limits{MaxFrame: 1 << 20}
		cut = max(0, min(cut, len(in)))
		whole := transcript(side, lim, in)
		if parts := transcript(side, lim, in[:cut], in[cut:]); parts != whole {
			t.Errorf("cut at %d: %s\nwhole: %s", cut, parts, whole)
		}
	})
}

// FuzzUTF8: the piecewise check agrees with unicode/utf8.
func FuzzUTF8(f *testing.F) {
	f.Add([]byte("aé€😀"), 3)
	f.Add([]byte{0xf4, 0x90, 0x80, 0x80}, 1)
	f.Fuzz(func(t *testing.T, p []byte, cut int) {
		cut = max(0, min(cut, len(p)))
		var u UTF8
		if got := u.Add(p[:cut]) && u.Add(p[cut:]) && u.Complete(); got != utf8.Valid(p) {
			t.Errorf("%q cut at %d: %v", p, cut, got)
		}
	})
}

// TestPeerErrorOfNoSection: a log line does not name a section that there is not.
func TestPeerErrorOfNoSection(t *testing.T) {
	for want, e := range map[string]*PeerError{
		"ws: too much (close code 1009)":                 {Code: CloseTooBig, Text: "too much"},
		"ws: too much (close code 1009, RFC 6455 7.4.1)": {Code: CloseTooBig, Text: "too much", Section: "7.4.1"},
	} {
		if got := e.Error(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func ExampleDecoder() {
	in := []byte{0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58}
	var d Decoder
	d.Init(Server)
	ev, n, err := d.Next(in, &Limits{})
	fmt.Printf("%s %q final=%v, %d bytes, %v\n", ev.Op, ev.Payload, ev.Final, n, err)
	// Output: text "Hello" final=true, 11 bytes, <nil>
}

func ExampleAppendFrame() {
	fmt.Printf("% x\n", AppendFrame(nil, Header{Op: Text, Fin: true}, []byte("Hello")))
	// Output: 81 05 48 65 6c 6c 6f
}
