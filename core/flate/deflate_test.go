package flate

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"

	kpflate "github.com/klauspost/compress/flate"
)

var flushEnd = []byte{0, 0, 0xff, 0xff}

// lastBlock ends a stream for readers that know no messages.
var lastBlock = []byte{1, 0, 0, 0xff, 0xff}

var someWords = strings.Fields(`the of and to in a is that for it as was with be by on not he his but at are this have
 from or had an they which one you were all her she there would their we him been has when who will no more if out
 connection window history message deflate thread loop engine server client value return error buffer request`)

// text is English-looking prose.
func someText(r *rand.Rand, n int) []byte {
	var b []byte
	for len(b) < n {
		w := someWords[int(r.ExpFloat64()*12)%len(someWords)]
		if r.IntN(6) == 0 { // someWords of no list
			c := make([]byte, 3+r.IntN(8))
			for i := range c {
				c[i] = "etaoinshrdlucmfwyp"[min(r.IntN(18), r.IntN(18))]
			}
			w = string(c)
		}
		b = append(b, w...)
		b = append(b, " ,.\n"[min(r.IntN(4), r.IntN(4), r.IntN(4))])
	}
	return b[:n]
}

func someJSON(r *rand.Rand, n int) []byte {
	b := fmt.Appendf(nil, `{"type":"update","id":%d,"time":"2026-10-%02dT%02d:%02d:%02d.%03dZ","user":{"id":"%08x","name":"%s"},"items":[`,
		r.IntN(100000), 1+r.IntN(28), r.IntN(24), r.IntN(60), r.IntN(60), r.IntN(1000), r.Uint32(), someWords[r.IntN(len(someWords))])
	for len(b) < n-24 {
		b = fmt.Appendf(b, `{"symbol":"%s","price":%d.%02d,"volume":%d,"open":%t},`, someWords[r.IntN(len(someWords))], r.IntN(1000), r.IntN(100), r.IntN(10000), r.IntN(2) == 0)
	}
	return append(bytes.TrimSuffix(b, []byte(",")), `],"ok":true}`...)
}

func someHTML(r *rand.Rand, n int) []byte {
	b := []byte("<!DOCTYPE html>\n<html><head><title>List</title></head>\n<body>\n")
	for len(b) < n {
		b = fmt.Appendf(b, "<div class=\"row %s\"><a href=\"/item/%d\">%s</a> <span class=\"price\">%d</span>\n<p>%s</p></div>\n",
			[]string{"odd", "even"}[r.IntN(2)], r.IntN(10000), someWords[r.IntN(len(someWords))], r.IntN(500), someText(r, 20+r.IntN(80)))
	}
	return b[:n]
}

// someRecords are structures of little-endian numbers.
func someRecords(r *rand.Rand, n int) []byte {
	var b []byte
	for id := uint32(1000); len(b) < n; id++ {
		v := uint16(r.NormFloat64()*200 + 4000)
		b = append(b, byte(id), byte(id>>8), byte(id>>16), 0, byte(v), byte(v>>8), byte(r.IntN(4)), 0, 0xff, byte(r.IntN(20)), 0, 0, byte(id*3), 1, 0, 0)
	}
	return b[:n]
}

func someNoise(r *rand.Rand, n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

func someRand() *rand.Rand { return rand.New(rand.NewPCG(1, 2)) }

func someData(n int) map[string][]byte {
	return map[string][]byte{
		"text": someText(someRand(), n), "json": someJSON(someRand(), n), "html": someHTML(someRand(), n),
		"records": someRecords(someRand(), n), "noise": someNoise(someRand(), n), "zeros": make([]byte, n),
	}
}

// TestDeflateSizes: every kind of text at every size around an edge comes back,
// from messages on their own and from messages that share a history.
func TestDeflateSizes(t *testing.T) {
	for bits := MinBits; bits <= MaxBits; bits++ {
		w := 1 << bits
		sizes := []int{0, 1, 2, 3, 4, 5, 15, 127, 256, 257, 258, 259, 260, 516, 517, w - 1, w, w + 1, 2*w - 1, 2 * w, 2*w + 1}
		levels := []Level{Default}
		if bits == MinBits || bits == 12 || bits == MaxBits {
			sizes = append(sizes, 65534, 65535, 65536, 65537, 70000)
			levels = append(levels, Fast, Best)
		}
		for name, data := range someData(70000) {
			if raceEnabled && name != "json" && name != "noise" {
				continue
			}
			for _, level := range levels {
				var ms Matchers
				var d, once Deflater
				d.Init(bits, level)
				once.Init(bits, level)
				var all, stream []byte
				o := newRFCReader(bits)
				for _, n := range sizes {
					if n > 1<<15+1 && level != Default {
						continue // the edges of stored blocks are the same
					}
					n = min(n, len(data))
					before := len(stream)
					stream = d.Append(&ms, stream, data[:n])
					all = append(all, data[:n]...)
					if !bytes.HasSuffix(stream, flushEnd) {
						t.Fatalf("%s %d %d: no flush at the end", name, bits, level)
					}
					checkGrowth(t, n, len(stream)-before)
					o.feed(t, stream[before:], data[:n])
					c := once.AppendOnce(&ms, nil, data[:n])
					checkGrowth(t, n, len(c))
					newRFCReader(bits).feed(t, c, data[:n])
				}
				checkReaders(t, stream, all)
			}
		}
	}
}

func checkGrowth(t *testing.T, n, got int) {
	t.Helper()
	if most := n + 5*((n+65534)/65535) + 5; got > most {
		t.Fatalf("%d bytes became %d, more than %d", n, got, most)
	}
}

// checkReaders reads a stream with the inflaters of others.
func checkReaders(t *testing.T, stream, want []byte) {
	t.Helper()
	stream = append(bytes.Clone(stream), lastBlock...)
	for name, r := range map[string]io.Reader{"std": stdflate.NewReader(bytes.NewReader(stream)), "klauspost": kpflate.NewReader(bytes.NewReader(stream))} {
		got, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("%s: %d bytes for %d, %v", name, len(got), len(want), err)
		}
	}
}
