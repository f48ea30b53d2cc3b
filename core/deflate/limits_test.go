package deflate

import (
	"bytes"
	stdflate "compress/flate"
	"errors"
	"io"
	"runtime"
	"testing"

	"anyloop/core/flate"
)

// zeros is a piece of a bomb: 1 MiB of zeros, which may be repeated as often as
// one likes, because it refers to nothing but itself and ends with a byte.
func zeros() []byte {
	var ms flate.Matchers
	var w Writer
	w.Init(15, true, flate.Best)
	return w.Append(&ms, nil, make([]byte, 1<<20), false)
}

// explode reads 1024 pieces of a bomb, and counts.
func explode(r *Reader, piece []byte) (out, used int64, most int, err error) {
	var tables flate.Tables
	buf := make([]byte, 16<<10)
	for i := range 1024 {
		src := piece
		for {
			b, n, done, err := r.Next(&tables, buf[:0], src, i == 1023)
			src, used, out = src[n:], used+int64(n), out+int64(len(b))
			most = max(most, r.Memory())
			if err != nil || done {
				return out, used, most, err
			}
			if len(src) == 0 && !r.More() && i != 1023 {
				break
			}
		}
	}
	return out, used, most, errors.New("no end")
}

// TestBomb: a GiB of zeros costs its window, whether it is let through or not, and
// ends exactly at the limit.
func TestBomb(t *testing.T) {
	piece := zeros()
	limits := []int64{1, 64 << 10, 16 << 20, 64 << 20, 1 << 30}
	if testing.Short() || raceDetector {
		limits = limits[:3] // it takes minutes
	}
	for _, takeover := range []bool{true, false} {
		for _, limit := range limits {
			var r Reader
			r.Init(15, takeover, Limits{MaxInflated: limit})
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			out, used, most, err := explode(&r, piece)
			runtime.ReadMemStats(&after)
			if out != limit || most > 1<<15 {
				t.Errorf("takeover %v, limit %d: %d bytes came out, up to %d were kept", takeover, limit, out, most)
			}
			if limit < 1<<30 {
				if !errors.Is(err, ErrInflated) || r.Memory() != 0 {
					t.Errorf("takeover %v, limit %d: %v, %d bytes kept", takeover, limit, err, r.Memory())
				}
				if need := limit*int64(len(piece))>>20 + 64; used > need {
					t.Errorf("takeover %v, limit %d: %d bytes of input used, %d would do", takeover, limit, used, need)
				}
			} else if err != nil || used != 1024*int64(len(piece)) {
				t.Errorf("takeover %v: %v after %d bytes", takeover, err, used)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > 512<<10 {
				t.Errorf("takeover %v, limit %d: %d bytes allocated on the way", takeover, limit, n)
			}
		}
	}
}

// TestMaxInflated: a message of exactly the limit passes, in whatever room, and
// one of a byte more does not; messages are counted one by one.
func TestMaxInflated(t *testing.T) {
	var ms flate.Matchers
	var tables flate.Tables
	for _, n := range []int{0, 1, 257, 258, 259, 300, 5000} {
		for _, room := range []int{1, 100, n, n + 1, n + 2, 8192} {
			for _, takeover := range []bool{true, false} {
				if room == 0 {
					continue
				}
				var w Writer
				var r Reader
				w.Init(15, takeover, flate.Default)
				r.Init(15, takeover, Limits{MaxInflated: int64(max(n, 1))})
				for i := range 3 {
					got, err := inflate(&r, &tables, w.Append(&ms, nil, make([]byte, n), true), room)
					if err != nil || len(got) != n {
						t.Fatalf("message %d of %d bytes, room %d: %d bytes, %v", i, n, room, len(got), err)
					}
				}
				got, err := inflate(&r, &tables, w.Append(&ms, nil, make([]byte, max(n, 1)+1), true), room)
				if !errors.Is(err, ErrInflated) || len(got) != max(n, 1) {
					t.Fatalf("one byte over %d, room %d: %d bytes, %v", n, room, len(got), err)
				}
			}
		}
	}
}

func TestMaxRatio(t *testing.T) {
	var ms flate.Matchers
	var tables flate.Tables
	pack := func(msg []byte) []byte {
		var w Writer
		w.Init(15, false, flate.Default)
		return w.Append(&ms, nil, msg, true)
	}
	for _, takeover := range []bool{true, false} {
		for _, room := range []int{1000, 64 << 10, 1 << 20} {
			var r Reader
			start := func(ratio int, inflated int64) {
				r.Init(15, takeover, Limits{MaxRatio: ratio, MaxInflated: inflated})
			}
			// The first 64 KiB are free, again in each message.
			start(2, 0)
			for range 3 {
				if got, err := inflate(&r, &tables, pack(make([]byte, 64<<10)), room); err != nil || len(got) != 64<<10 {
					t.Fatalf("64 KiB: %d bytes, %v", len(got), err)
				}
			}
			if got, err := inflate(&r, &tables, pack(make([]byte, 64<<10+1)), room); !errors.Is(err, ErrRatio) || len(got) != 64<<10 {
				t.Fatalf("64 KiB and one: %d bytes, %v", len(got), err)
			}
			// Beyond, the whole message has to keep to it.
			bomb := pack(make([]byte, 1<<20))
			start(200, 0)
			if got, err := inflate(&r, &tables, bomb, room); !errors.Is(err, ErrRatio) || len(got) != 200*len(bomb) || r.Memory() != 0 {
				t.Fatalf("ratio 200: %d bytes of %d, %v", len(got), 200*len(bomb), err)
			}
			start(1<<20/len(bomb)+1, 0)
			if got, err := inflate(&r, &tables, bomb, room); err != nil || len(got) != 1<<20 {
				t.Fatalf("its own ratio: %d bytes, %v", len(got), err)
			}
			// What was saved in one message is not to be spent in the next.
			start(200, 0)
			if _, err := inflate(&r, &tables, pack(messages(15)[29]), room); err != nil {
				t.Fatalf("noise: %v", err)
			}
			if got, err := inflate(&r, &tables, bomb, room); !errors.Is(err, ErrRatio) || len(got) != 200*len(bomb) {
				t.Fatalf("ratio 200 after noise: %d bytes of %d, %v", len(got), 200*len(bomb), err)
			}
			// What comes in small pieces may not run ahead of what has come.
			start(200, 0)
			out, used := 0, 0
			var err error
			for used < len(bomb) && err == nil {
				var b []byte
				var n int
				b, n, _, err = r.Next(&tables, make([]byte, 0, room), bomb[used:used+1], false)
				used, out = used+n, out+len(b)
				if out > max(64<<10, 200*(used+1)) {
					t.Fatalf("%d bytes of %d", out, used)
				}
			}
			if !errors.Is(err, ErrRatio) {
				t.Fatalf("by bytes: %v after %d", err, out)
			}
			// A caller may go on with less than it has.
			start(200, 0)
			_, n, _, err := r.Next(&tables, make([]byte, 0, 150*len(bomb)), bomb, true)
			for n < len(bomb) && err == nil {
				var k int
				_, k, _, err = r.Next(&tables, make([]byte, 0, room), bomb[n:n+1], false)
				n += k
			}
			if !errors.Is(err, ErrRatio) {
				t.Fatalf("with less: %v", err)
			}
			// Both limits: the nearer one is named.
			start(200, 100_000)
			if _, err := inflate(&r, &tables, bomb, room); !errors.Is(err, ErrInflated) {
				t.Fatalf("both: %v", err)
			}
			start(200, 1<<19)
			if _, err := inflate(&r, &tables, bomb, room); !errors.Is(err, ErrRatio) {
				t.Fatalf("both: %v", err)
			}
		}
	}
}

// TestMore: what a piece holds comes out without the next one, however little room
// there is at a time.
func TestMore(t *testing.T) {
	var ms flate.Matchers
	var tables flate.Tables
	for _, takeover := range []bool{true, false} {
		for _, room := range []int{1, 10, 999, 1000, 1001} {
			var w Writer
			var r Reader
			w.Init(15, takeover, flate.Default)
			r.Init(15, takeover, Limits{})
			src, got := w.Append(&ms, nil, make([]byte, 1000), false), 0
			for len(src) > 0 || r.More() {
				out, n, done, err := r.Next(&tables, make([]byte, 0, room), src, false)
				if err != nil || done {
					t.Fatal(done, err)
				}
				src, got = src[n:], got+len(out)
			}
			if got != 1000 {
				t.Errorf("takeover %v, room %d: %d of 1000 bytes", takeover, room, got)
			}
			if _, _, done, err := r.Next(&tables, nil, w.Append(&ms, nil, nil, true), true); !done || err != nil || r.More() {
				t.Errorf("takeover %v, room %d: done %v, %v", takeover, room, done, err)
			}
		}
	}
}

// FuzzReader holds the Reader against the standard library, and one cut against
// another.
func FuzzReader(f *testing.F) {
	for _, s := range []string{"f2 48 cd c9 c9 07 00", "00", "", "f3 48 cd c9 c9 07 00 00", "f2 48 05 00 00 00 ff ff ca c9 c9 07 00", "00 05 00 fa ff 48 65 6c 6c 6f 00"} {
		f.Add(unhex(s), uint16(3), uint16(5), true)
	}
	var buf bytes.Buffer
	std, _ := stdflate.NewWriter(&buf, 9)
	for _, msg := range messages(8)[:12] {
		std.Write(msg)
	}
	std.Flush()
	f.Add(bytes.TrimSuffix(buf.Bytes(), []byte(tail)), uint16(9), uint16(100), false)
	const limit = 1 << 18
	f.Fuzz(func(t *testing.T, payload []byte, cut, room uint16, takeover bool) {
		var tables, others flate.Tables
		var whole, parts Reader
		whole.Init(15, takeover, Limits{MaxInflated: limit})
		parts.Init(15, takeover, Limits{MaxInflated: limit})
		want, wantErr := inflate(&whole, &tables, payload, limit+1)
		at := min(int(cut), len(payload))
		var got []byte
		src, err := payload[:at], error(nil)
		for err == nil && (len(src) > 0 || parts.More()) {
			var out []byte
			var n int
			out, n, _, err = parts.Next(&tables, make([]byte, 0, 1+int(room)), src, false)
			got, src = append(got, out...), src[n:]
		}
		if err == nil {
			var rest []byte
			rest, err = inflate(&parts, &others, payload[at:], 1+int(room))
			got = append(got, rest...)
		}
		if err != wantErr || !bytes.Equal(got, want) {
			t.Fatalf("cut at %d, room %d: %d bytes, %v; whole: %d, %v", at, int(room)+1, len(got), err, len(want), wantErr)
		}
		if len(want) > limit || !takeover && whole.Memory() != 0 || whole.Memory() > 1<<15 {
			t.Fatalf("%d bytes out, %d kept", len(want), whole.Memory())
		}
		// The standard library ends at BFINAL, where we go on; it may have less.
		o, stdErr := io.ReadAll(io.LimitReader(stdflate.NewReader(io.MultiReader(bytes.NewReader(payload), bytes.NewReader([]byte(tail+"\x01\x00\x00\xff\xff")))), limit))
		if !bytes.HasPrefix(want, o) && !bytes.HasPrefix(o, want) {
			t.Fatalf("%d bytes, the standard library has %d others", len(want), len(o))
		}
		if wantErr == nil && len(o) > len(want) {
			t.Fatalf("%d bytes, the standard library has %d (%v)", len(want), len(o), stdErr)
		}
		if wantErr == nil && takeover {
			if got, err := inflate(&whole, &tables, unhex("f2 48 cd c9 c9 07 00"), 100); err != nil || string(got) != "Hello" {
				t.Fatalf("the next message: %q %v", got, err)
			}
		}
	})
}
