package deflate

import (
	"bytes"
	stdflate "compress/flate"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	kpflate "github.com/klauspost/compress/flate"

	"anyloop/core/flate"
)

// inflate reads a whole message, room bytes at a time.
func inflate(r *Reader, t *flate.Tables, payload []byte, room int) ([]byte, error) {
	var all []byte
	buf := make([]byte, room)
	for {
		out, n, done, err := r.Next(t, buf[:0], payload, true)
		all, payload = append(all, out...), payload[n:]
		if err != nil || done {
			return all, err
		}
		if len(out) == 0 && n == 0 && room > 0 && !r.More() {
			return all, fmt.Errorf("no progress with %d bytes left", len(payload))
		}
	}
}

// messages are what is sent in these tests: what is empty, short, long, alike,
// random, and what repeats itself at the distances around a window.
func messages(bits int) [][]byte {
	rnd := rand.New(rand.NewPCG(1, uint64(bits)))
	noise := make([]byte, 3<<bits)
	for i := range noise {
		noise[i] = byte(rnd.Uint32())
	}
	all := [][]byte{nil, []byte("Hello"), []byte("Hello"), nil, nil, []byte("x")}
	for i := range 20 {
		all = append(all, fmt.Appendf(nil, `{"id":%d,"user":"somebody","text":"a message like the others","at":%d}`, i, 1700000000+i*7))
	}
	for _, d := range []int{1<<bits - 1, 1 << bits, 1<<bits + 1} {
		all = append(all, bytes.Repeat(noise[:d], 3))
	}
	return append(all, noise, []byte(strings.Repeat("the quick brown fox ", 4000)), make([]byte, 100_000), nil, []byte("Hello"))
}

// TestBothHalves sends messages whole and in fragments, through every window,
// with and without takeover, and has them read by a Reader, by an inflater of
// exactly the window, and by the standard library.
func TestBothHalves(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, takeover := range []bool{false, true} {
			for _, fragments := range []int{1, 3} {
				t.Run(fmt.Sprint(bits, takeover, fragments), func(t *testing.T) {
					var ms flate.Matchers
					ms.Init(1)
					var tables flate.Tables
					var w Writer
					var r Reader
					var exact flate.Inflater
					w.Init(bits, takeover, flate.Default)
					r.Init(bits, takeover, Limits{})
					exact.Init(bits)
					std := newOracle()
					for i, msg := range messages(bits) {
						var payload []byte
						for f := range fragments {
							part := msg[len(msg)*f/fragments : len(msg)*(f+1)/fragments]
							final := f == fragments-1
							frame := w.Append(&ms, nil, part, final)
							payload = append(payload, frame...)
						}
						if len(msg) == 0 && fragments == 1 && !bytes.Equal(payload, []byte{0}) {
							t.Fatalf("message %d: empty is % x", i, payload)
						}
						got, err := inflate(&r, &tables, payload, 4096)
						if err != nil || !bytes.Equal(got, msg) {
							t.Fatalf("message %d of %d bytes: %d bytes, %v", i, len(msg), len(got), err)
						}
						if !takeover {
							exact.Init(bits)
							std = newOracle()
							if n := w.Memory() + r.Memory(); n != 0 {
								t.Fatalf("message %d: %d bytes kept", i, n)
							}
						} else if w.Memory() > 1<<bits || r.Memory() > max(1<<bits, 512) {
							t.Fatalf("message %d: %d and %d bytes kept", i, w.Memory(), r.Memory())
						}
						out, n, err := exact.Inflate(&tables, make([]byte, 0, len(msg)+1), []byte(string(payload)+tail))
						if err != nil || n != len(payload)+4 || !bytes.Equal(out, msg) {
							t.Fatalf("message %d with a window of exactly 1<<%d: %d of %d bytes, %v", i, bits, len(out), len(msg), err)
						}
						if got, err := std.read(payload, len(msg)); err != nil || !bytes.Equal(got, msg) {
							t.Fatalf("message %d: the standard library has %d bytes, %v", i, len(got), err)
						}
					}
				})
			}
		}
	}
}

// oracle inflates a stream of messages with the standard library.
type oracle struct {
	in  bytes.Buffer
	out io.Reader
}

func newOracle() *oracle {
	o := &oracle{}
	o.out = stdflate.NewReader(&o.in)
	return o
}

func (o *oracle) read(payload []byte, n int) ([]byte, error) {
	o.in.Write(payload)
	o.in.WriteString(tail)
	b := make([]byte, n)
	_, err := io.ReadFull(o.out, b)
	return b, err
}

// TestReadsOthers reads what other deflaters send: the standard library with its
// one window, klauspost's with each.
func TestReadsOthers(t *testing.T) {
	type deflater interface {
		io.Writer
		Flush() error
		Reset(io.Writer)
	}
	var buf bytes.Buffer
	for bits := 8; bits <= 15; bits++ {
		var others []deflater
		kp, err := kpflate.NewWriterWindow(&buf, 1<<bits)
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, kp)
		if bits == 15 {
			for _, level := range []int{stdflate.HuffmanOnly, stdflate.NoCompression, 1, 6, 9} {
				std, _ := stdflate.NewWriter(&buf, level)
				others = append(others, std)
			}
		}
		for i, other := range others {
			for _, takeover := range []bool{false, true} {
				var tables flate.Tables
				var r Reader
				r.Init(bits, takeover, Limits{})
				other.Reset(&buf)
				for k, msg := range messages(bits) {
					buf.Reset()
					if !takeover {
						other.Reset(&buf)
					}
					other.Write(msg)
					other.Flush()
					payload := bytes.TrimSuffix(buf.Bytes(), []byte(tail))
					got, err := inflate(&r, &tables, payload, 5000)
					if err != nil || !bytes.Equal(got, msg) {
						t.Fatalf("bits %d, deflater %d, takeover %v, message %d: %d of %d bytes, %v", bits, i, takeover, k, len(got), len(msg), err)
					}
				}
			}
		}
	}
}

func unhex(s string) []byte {
	b, err := hex.DecodeString(strings.ReplaceAll(s, " ", ""))
	if err != nil {
		panic(err)
	}
	return b
}

// TestRFCExamples has the examples of RFC 7692 7.2.3, and what zlib makes of the
// second of two flushes.
func TestRFCExamples(t *testing.T) {
	for _, c := range []struct {
		section  string
		messages string // frames parted by "|", messages by ","
		want     string // of each message
	}{
		{"7.2.3.1", "f2 48 cd c9 c9 07 00", "Hello"},
		{"7.2.3.1, fragmented", "f2 48 cd | c9 c9 07 00", "Hello"},
		{"7.2.3.2", "f2 48 cd c9 c9 07 00 , f2 48 cd c9 c9 07 00", "Hello"},
		{"7.2.3.2, takeover", "f2 48 cd c9 c9 07 00 , f2 00 11 00 00", "Hello"},
		{"7.2.3.3", "00 05 00 fa ff 48 65 6c 6c 6f 00", "Hello"},
		{"7.2.3.4", "f3 48 cd c9 c9 07 00 00", "Hello"},
		{"7.2.3.4, twice", "f3 48 cd c9 c9 07 00 00 , f3 48 cd c9 c9 07 00 00", "Hello"},
		{"7.2.3.5", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "Hello"},
		{"7.2.3.6", "00 , 00", ""},
		{"no payload", ", ,", ""},
		{"no payload between frames", "f2 48 | | cd c9 | c9 07 00 , f2 48 cd c9 c9 07 00", "Hello"},
		{"a last frame of a flush", "f2 48 cd c9 c9 07 00 00 00 ff ff | 00 , f2 48 cd c9 c9 07 00", "Hello"},
		{"a last frame of nothing", "f2 48 cd c9 c9 07 00 00 00 ff ff | , f2 48 cd c9 c9 07 00", "Hello"},
		{"BFINAL and no more", "f3 48 cd c9 c9 07 00 , f3 48 cd c9 c9 07 00", "Hello"},
	} {
		for _, takeover := range []bool{true, false} {
			if !takeover && strings.Contains(c.section, "takeover") {
				continue
			}
			var tables flate.Tables
			var r Reader
			r.Init(15, takeover, Limits{})
			for m := range strings.SplitSeq(c.messages, ",") {
				var got []byte
				frames := strings.Split(m, "|")
				for i, f := range frames {
					out, n, done, err := r.Next(&tables, make([]byte, 0, 100), unhex(f), i == len(frames)-1)
					got = append(got, out...)
					if err != nil || n != len(unhex(f)) || done != (i == len(frames)-1) || r.More() {
						t.Fatalf("%s: frame %q: %d %v %v", c.section, f, n, done, err)
					}
				}
				if string(got) != c.want {
					t.Errorf("%s: %q", c.section, got)
				}
			}
		}
	}
	var ms flate.Matchers
	var w Writer
	for _, c := range []struct {
		takeover bool
		want     string
		// The RFC has f2 00 11 00 00: a literal, and a match for the rest. A match
		// for all of it is shorter.
	}{{true, "02 13 00 00"}, {false, "f2 48 cd c9 c9 07 00"}} {
		w.Init(15, c.takeover, flate.Default)
		if got := w.Append(&ms, nil, []byte("Hello"), true); !bytes.Equal(got, unhex("f2 48 cd c9 c9 07 00")) {
			t.Errorf("Hello is % x", got)
		}
		if got := w.Append(&ms, nil, []byte("Hello"), true); !bytes.Equal(got, unhex(c.want)) {
			t.Errorf("Hello again is % x", got)
		}
		if got := w.Append(&ms, []byte("before"), nil, true); string(got) != "before\x00" {
			t.Errorf("nothing is % x", got)
		}
		if got := w.Append(&ms, nil, nil, false); !bytes.Equal(got, []byte("\x00"+tail)) {
			t.Errorf("a fragment of nothing is % x", got)
		}
	}
}

func TestWriterForgets(t *testing.T) {
	var ms flate.Matchers
	var tables flate.Tables
	msg := []byte(strings.Repeat("some history, ", 20))
	for _, final := range []bool{true, false} {
		var w Writer
		w.Init(12, true, flate.Default)
		w.Append(&ms, nil, msg, final)
		if w.Memory() == 0 {
			t.Error("nothing kept")
		}
		w.Forget()
		if w.Memory() != 0 {
			t.Errorf("%d bytes kept", w.Memory())
		}
		var r Reader // without the first
		r.Init(12, true, Limits{})
		got, err := inflate(&r, &tables, w.Append(&ms, nil, msg, true), 1000)
		if err != nil || !bytes.Equal(got, msg) {
			t.Errorf("%d bytes, %v", len(got), err)
		}
	}
	// The history of a fragmented message ends with it.
	var w Writer
	w.Init(12, false, flate.Default)
	w.Append(&ms, nil, msg, false)
	if w.Memory() == 0 {
		t.Error("no history for the next fragment")
	}
	if second := w.Append(&ms, nil, msg, true); len(second) > 10 {
		t.Errorf("the same again takes %d bytes", len(second))
	}
	if w.Memory() != 0 {
		t.Errorf("%d bytes kept", w.Memory())
	}
}

// TestEveryCut splits a payload everywhere, and gives room by every step.
func TestEveryCut(t *testing.T) {
	var ms flate.Matchers
	var tables [2]flate.Tables
	msg := messages(10)[10]
	msg = append(bytes.Repeat(msg, 3), "\x00\x01 and an end of its own, which is long enough for codes of its own: qwertyuiop"...)
	var w Writer
	w.Init(10, true, flate.Best)
	first := w.Append(&ms, nil, msg, true)
	second := w.Append(&ms, nil, msg[7:], true)
	other := w.Append(&ms, nil, msg[:90], true)
	for _, takeover := range []bool{true, false} {
		for cut := range len(first) + 1 {
			for _, room := range []int{1, 2, 7, len(msg) - 1, len(msg), len(msg) + 1, 4096} {
				var r Reader
				r.Init(10, takeover, Limits{MaxInflated: int64(len(msg))})
				var got []byte
				buf := make([]byte, room)
				for i, src := range [][]byte{first[:cut], first[cut:]} {
					for calls := 0; ; calls++ {
						out, n, done, err := r.Next(&tables[calls&1], buf[:0], src, i == 1)
						got, src = append(got, out...), src[n:]
						if err != nil || calls > 2*len(msg)+4 {
							t.Fatalf("cut %d, room %d: %v after %d calls", cut, room, err, calls)
						}
						if i == 0 && len(src) == 0 && !r.More() || done {
							if done != (i == 1) {
								t.Fatalf("cut %d, room %d: done is %v", cut, room, done)
							}
							break
						}
						if n == 0 && len(out) == 0 && !r.More() {
							t.Fatalf("cut %d, room %d: neither progress nor more", cut, room)
						}
					}
				}
				if !bytes.Equal(got, msg) || r.More() {
					t.Fatalf("cut %d, room %d: %d of %d bytes", cut, room, len(got), len(msg))
				}
				if !takeover {
					if r.Memory() != 0 {
						t.Fatalf("%d bytes kept", r.Memory())
					}
					continue
				}
				got, err := inflate(&r, &tables[0], second, room)
				if err != nil || !bytes.Equal(got, msg[7:]) {
					t.Fatalf("cut %d, room %d: second message has %d bytes, %v", cut, room, len(got), err)
				}
				if got, err = inflate(&r, &tables[1], other, room); err != nil || !bytes.Equal(got, msg[:90]) {
					t.Fatalf("cut %d, room %d: third message has %d bytes, %v", cut, room, len(got), err)
				}
			}
		}
	}
}

func TestReaderErrors(t *testing.T) {
	var ms flate.Matchers
	far := make([]byte, 1000)
	for i := range far {
		far[i] = byte(i * i >> 3)
	}
	var w Writer
	w.Init(15, true, flate.Best)
	distant := w.Append(&ms, nil, append(bytes.Clone(far), far...), true)
	for _, c := range []struct {
		what, in string
		bits     int
		want     error
	}{
		{"block type 3", "07", 15, flate.ErrBlockType},
		{"stored lengths", "00 05 00 05 00", 15, flate.ErrStored},
		{"stored, cut off", "00 50 00 af ff 48 65", 15, flate.ErrTruncated},
		{"stored, size cut off", "00 05", 15, flate.ErrStored},
		{"fixed, cut off", "f2 48 cd", 15, flate.ErrTruncated},
		{"no header of the last block", "f2 48 cd c9 c9 07", 15, flate.ErrTruncated},
		{"history that is not there", "f2 00 11 00 00", 15, flate.ErrDistance},
		{"beyond the window", hex.EncodeToString(distant), 9, flate.ErrDistance},
	} {
		for _, takeover := range []bool{true, false} {
			for _, room := range []int{1, 4096} {
				var tables flate.Tables
				var r Reader
				r.Init(c.bits, takeover, Limits{})
				_, err := inflate(&r, &tables, unhex(c.in), room)
				if !errors.Is(err, c.want) {
					t.Errorf("%s, room %d: %v, want %v", c.what, room, err, c.want)
				}
				// It stays, and holds no memory.
				if _, _, done, again := r.Next(&tables, make([]byte, 0, 10), []byte{0}, true); again != err || done || r.More() || r.Memory() != 0 {
					t.Errorf("%s: then %v, done %v, %d bytes", c.what, again, done, r.Memory())
				}
				r.Init(15, takeover, Limits{})
				if got, err := inflate(&r, &tables, unhex("f2 48 cd c9 c9 07 00"), 10); string(got) != "Hello" || err != nil {
					t.Errorf("%s: after Init %q %v", c.what, got, err)
				}
			}
		}
	}
	// A zlib that was asked for 8 bits and took 9 is understood.
	var r Reader
	var tables flate.Tables
	r.Init(8, true, Limits{})
	w.Init(9, true, flate.Best)
	msg := append(bytes.Clone(far[:500]), far[:500]...)
	if got, err := inflate(&r, &tables, w.Append(&ms, nil, msg, true), 4096); err != nil || !bytes.Equal(got, msg) {
		t.Errorf("9 bits in the place of 8: %v", err)
	}
}

// TestNothingIsAllocated: not once the windows have their size.
func TestNothingIsAllocated(t *testing.T) {
	for _, takeover := range []bool{true, false} {
		var ms flate.Matchers
		ms.Init(1)
		var tables flate.Tables
		var w Writer
		var r Reader
		w.Init(12, takeover, flate.Default)
		r.Init(12, takeover, Limits{MaxInflated: 1 << 20, MaxRatio: 1000})
		msg := fmt.Appendf(nil, `{"id":%d,"user":"somebody","text":"%s"}`, 17, strings.Repeat("a message like the others ", 8))
		packed, plain := make([]byte, 0, 4096), make([]byte, 0, 4096)
		echo := func() {
			packed = w.Append(&ms, packed[:0], msg, true)
			out, _, done, err := r.Next(&tables, plain, packed, true)
			if !done || err != nil || len(out) != len(msg) {
				t.Fatal(len(out), done, err)
			}
		}
		for range 40 {
			echo()
		}
		if n := testing.AllocsPerRun(200, echo); n != 0 {
			t.Errorf("takeover %v: %v allocations for a message", takeover, n)
		}
	}
}
