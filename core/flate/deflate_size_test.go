package flate

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// TestDeflateSizeBesideStd: sizes are within 10 % of the standard library's
// level 6, flushed after each message, for streams of messages with the whole
// window and for single ones; Fast stays within 25 %, and Best below Default.
func TestDeflateSizeBesideStd(t *testing.T) {
	for name, mk := range map[string]func(*rand.Rand, int) []byte{"json": someJSON, "text": someText, "html": someHTML, "records": someRecords, "noise": someNoise} {
		for _, c := range []struct{ size, count int }{{100, 1000}, {256, 1000}, {1500, 100}, {1 << 16, 2}} {
			if raceEnabled && name != "json" {
				continue
			}
			r := someRand()
			var msgs [][]byte
			for range c.count {
				msgs = append(msgs, mk(r, c.size))
			}
			for _, takeover := range []bool{true, false} {
				var out bytes.Buffer
				z := stdWriter(&out, 6)
				for _, m := range msgs {
					if !takeover {
						z.Reset(&out)
					}
					z.Write(m)
					z.Flush()
				}
				std := out.Len()
				got := [3]int{}
				for level := range got {
					got[level] = deflatedSize(msgs, MaxBits, Level(level), takeover)
				}
				for level, percent := range []int{Default: 110, Fast: 125, Best: 110} {
					if got[level]*100 > std*percent {
						t.Errorf("%s, %d of %d, takeover %t, level %d: %d bytes, std %d", name, c.count, c.size, takeover, level, got[level], std)
					}
				}
				if got[Best]*1000 > got[Default]*1005 {
					t.Errorf("%s, %d of %d, takeover %t: Best %d, Default %d", name, c.count, c.size, takeover, got[Best], got[Default])
				}
				t.Logf("%s, %d of %d, takeover %t: std %d, default %+.1f%%, fast %+.1f%%, best %+.1f%%", name, c.count, c.size, takeover, std,
					percent(got[Default], std), percent(got[Fast], std), percent(got[Best], std))
			}
		}
	}
}

func percent(n, of int) float64 { return 100*float64(n)/float64(of) - 100 }

func deflatedSize(msgs [][]byte, bits int, level Level, takeover bool) (n int) {
	var ms Matchers
	var d Deflater
	d.Init(bits, level)
	var dst []byte
	for _, m := range msgs {
		if takeover {
			dst = d.Append(&ms, dst[:0], m)
		} else {
			dst = d.AppendOnce(&ms, dst[:0], m)
		}
		n += len(dst)
	}
	return n
}

// TestDeflateSmallMessagesMatch: messages of less than 128 bytes refer to the
// ones before, down to a few bytes.
func TestDeflateSmallMessagesMatch(t *testing.T) {
	for _, n := range []int{8, 20, 60, 127} {
		m := someJSON(someRand(), n)[:n]
		var ms Matchers
		var d Deflater
		d.Init(MinBits, Default)
		d.Append(&ms, nil, m)
		if c := d.Append(&ms, nil, m); len(c) > 9 {
			t.Errorf("%d bytes again took %d: % x", n, len(c), c)
		}
	}
}

// TestDeflateWindowPays: a larger window is not worse, and uses more memory only
// as far as it goes.
func TestDeflateWindowPays(t *testing.T) {
	r := someRand()
	var msgs [][]byte
	for range 1000 {
		msgs = append(msgs, someJSON(r, 256))
	}
	last := 1 << 30
	for bits := MinBits; bits <= MaxBits; bits++ {
		n := deflatedSize(msgs, bits, Default, true)
		if n*100 > last*101 {
			t.Errorf("window of %d bits: %d bytes, %d with half of it", bits, n, last)
		}
		last = n
	}
}

func TestDeflateMemory(t *testing.T) {
	for bits := MinBits; bits <= MaxBits; bits++ {
		var ms Matchers
		var d Deflater
		d.Init(bits, Default)
		if d.Memory() != 0 || ms.Memory() != 0 {
			t.Fatal("memory before use")
		}
		d.Append(&ms, nil, nil)
		d.Append(&ms, nil, make([]byte, 40))
		if d.Memory() > 64 {
			t.Errorf("bits %d: %d bytes for a history of 40", bits, d.Memory())
		}
		for range 5 {
			d.Append(&ms, nil, make([]byte, 20000))
		}
		if d.Memory() != 1<<bits {
			t.Errorf("bits %d: history takes %d", bits, d.Memory())
		}
		if n := ms.slots[0].m.memory(); n > 8<<bits+2048 {
			t.Errorf("bits %d: a Matcher takes %d bytes", bits, n)
		}
		if ms.Memory() > 8<<bits+2048+4*(blockTokens+encSlack) {
			t.Errorf("bits %d: Matchers of one take %d bytes", bits, ms.Memory())
		}
	}
}

// TestDeflateAllocatesNothing once histories are full and Matchers are made,
// hot or cold, with takeover or without, small and large.
func TestDeflateAllocatesNothing(t *testing.T) {
	r := someRand()
	small, large := someJSON(r, 256), someText(r, 1<<16)
	for _, level := range []Level{Default, Fast, Best} {
		var ms Matchers
		ms.Init(2)
		ds := make([]Deflater, 3)
		dst := make([]byte, 0, 1<<18)
		var once Deflater
		once.Init(MaxBits, level)
		for i := range ds {
			ds[i].Init(12, level)
			ds[i].Append(&ms, dst, large)
		}
		once.AppendOnce(&ms, dst, large)
		for name, f := range map[string]func(){
			"hot":   func() { ds[0].Append(&ms, dst, small); ds[0].Append(&ms, dst, small) },
			"cold":  func() { ds[0].Append(&ms, dst, small); ds[1].Append(&ms, dst, small); ds[2].Append(&ms, dst, small) },
			"large": func() { ds[0].Append(&ms, dst, large) },
			"once":  func() { once.AppendOnce(&ms, dst, small); once.AppendOnce(&ms, dst, large) },
			"empty": func() { ds[0].Append(&ms, dst, nil); once.AppendOnce(&ms, dst, nil) },
		} {
			if n := testing.AllocsPerRun(3, f); n != 0 {
				t.Errorf("level %d, %s: %v allocations", level, name, n)
			}
		}
	}
}

// TestDeflateGrowthAlternating: blocks that compress a little between blocks
// that do not never cost more than they save.
func TestDeflateGrowthAlternating(t *testing.T) {
	r := someRand()
	for _, part := range []int{100, 3000, 16384, 16500, 20000} {
		if raceEnabled && part != 16500 {
			continue
		}
		for saved := range 6 {
			var src []byte
			for len(src) < 200000 {
				src = append(src, someNoise(r, part)...)
				src = append(src, make([]byte, saved)...)
			}
			for bits := MinBits; bits <= MaxBits; bits += 7 {
				var ms Matchers
				var d Deflater
				d.Init(bits, Default)
				c := d.Append(&ms, nil, src)
				checkGrowth(t, len(src), len(c))
				newRFCReader(bits).feed(t, c, src)
			}
		}
	}
}

// TestDeflateGrowthByBlock does it with blocks that save just a few bits, where
// each would cost a header of its own to the incompressible one after it.
func TestDeflateGrowthByBlock(t *testing.T) {
	plain := someNoise(someRand(), 2*blockTokens)
	little := 0
	step := 1
	if raceEnabled {
		step = 5
	}
	for saved := 40; saved < 80; saved += step {
		var src []byte
		for range 12 {
			src = append(src, plain[:blockTokens]...)
			src = append(src, plain[blockTokens:2*blockTokens-2]...)
			src = append(src, make([]byte, 1+saved)...)
			plain = append(plain[1:], plain[0]^byte(saved)) // no match with an earlier turn
		}
		var ms Matchers
		var d Deflater
		d.Init(MinBits, Best)
		c := d.Append(&ms, nil, src)
		checkGrowth(t, len(src), len(c))
		if len(c) < len(src) && len(c) > len(src)-400 {
			little++
		}
	}
	if little == 0 {
		t.Error("no data that compress a little")
	}
}

func TestDeflateInitBounds(t *testing.T) {
	for bits, want := range map[int]int{-1: MinBits, 0: MinBits, 7: MinBits, 16: MaxBits, 1 << 20: MaxBits} {
		var ms Matchers
		var d Deflater
		d.Init(bits, 200)
		r := newRFCReader(want)
		for range 3 {
			m := someText(someRand(), 70000)
			r.feed(t, d.Append(&ms, nil, m), m)
		}
		if d.Memory() != 1<<want {
			t.Errorf("bits %d: window of %d", bits, d.Memory())
		}
	}
	var ms Matchers
	var d Deflater
	d.Init(12, Default)
	if c := d.Append(&ms, nil, nil); !bytes.Equal(c, []byte{0, 0, 0, 0xff, 0xff}) {
		t.Errorf("nothing became % x", c)
	}
}

// TestEncLengths: lengths are limited, complete, never longer for what is more
// frequent, and the best there are when the limit does not bind.
func TestEncLengths(t *testing.T) {
	r := someRand()
	for run := range 3000 {
		n := 2 + r.IntN(encLits-1)
		limit := []int{7, 15}[run%2]
		if limit == 7 {
			n = 2 + r.IntN(encNoCode-1)
		}
		freq := make([]uint16, n)
		f := [2]int{1, 1}
		for i := range freq {
			switch run % 5 {
			case 0: // the deepest tree there is
				freq[i] = uint16(min(f[0], 16000))
				f = [2]int{min(f[1], 1<<20), min(f[0]+f[1], 1<<20)}
			case 1:
				freq[i] = uint16(r.IntN(3))
			case 2:
				freq[i] = uint16(r.IntN(16384))
			case 3:
				freq[i] = uint16(min(r.ExpFloat64()*50, 16384))
			case 4:
				if i == n/2 {
					freq[i] = uint16(run % 7)
				}
			}
		}
		lens := make([]uint8, n)
		var keys, work [encLits + 1]uint32
		encLengths(lens, freq, limit, keys[:], work[:])
		checkLengths(t, freq, lens, limit)
	}
}

func checkLengths(t *testing.T, freq []uint16, lens []uint8, limit int) {
	t.Helper()
	c := rfcCodeOf(lens)
	if !c.full {
		t.Fatalf("incomplete: %v for %v", lens, freq)
	}
	cost, deepest := 0, uint8(0)
	var open []int
	for s, l := range lens {
		if int(l) > limit || freq[s] > 0 && l == 0 {
			t.Fatalf("symbol %d, %d times: length %d", s, freq[s], l)
		}
		for o, k := range lens {
			if freq[s] > freq[o] && l > k && k > 0 {
				t.Fatalf("%d times: %d bits, %d times: %d bits", freq[s], l, freq[o], k)
			}
		}
		cost += int(freq[s]) * int(l)
		deepest = max(deepest, l)
		if freq[s] > 0 {
			open = append(open, int(freq[s]))
		}
	}
	if int(deepest) == limit || len(open) < 2 {
		return
	}
	best := 0 // Huffman's method as it is told
	for slices.Sort(open); len(open) > 1; slices.Sort(open) {
		pair := open[0] + open[1]
		best += pair
		open = append(open[2:], pair)
	}
	if cost != best {
		t.Fatalf("%d bits, %d are possible: %v for %v", cost, best, lens, freq)
	}
}
