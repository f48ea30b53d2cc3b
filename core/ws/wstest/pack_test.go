package wstest

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"math/rand/v2"
	"testing"
	"unicode/utf8"
)

// TestOwnCompression: our deflater's output is understood by the standard library
// and by our inflater, keeps to its window, and uses all of it.
func TestOwnCompression(t *testing.T) {
	for bits := 8; bits <= 15; bits++ {
		for _, keep := range []bool{false, true} {
			k := packing{bits: bits, takeover: keep, level: ownPacker}
			z := inflater{bits: bits, takeover: keep}
			var history []byte
			rnd := rand.New(rand.NewPCG(uint64(bits), 1))
			noise := someBytes(1 << bits)
			for i := range 8 {
				data := dataKinds[i%len(dataKinds)].make(rnd, 3000)
				if i > 5 {
					data = noise
				}
				p := k.pack(data)
				got, err := z.message(p)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bits, takeover %v, message %d: %v, %d bytes of %d", bits, keep, i, err, len(got), len(data))
				}
				r := flate.NewReaderDict(bytes.NewReader(append(p, 0, 0, 0xff, 0xff, 1, 0, 0, 0xff, 0xff)), history)
				got, err = io.ReadAll(r)
				if err != nil || !bytes.Equal(got, data) {
					t.Fatalf("%d bits, takeover %v, message %d, by the standard library: %v", bits, keep, i, err)
				}
				if keep {
					history = append(history, data...)
				}
			}
			if keep && z.far != 1<<bits {
				t.Errorf("%d bits: the largest distance is %d", bits, z.far)
			}
		}
	}
}

// TestOwnInflater: it understands the standard library at each level, and takes no
// distance beyond its window.
func TestOwnInflater(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	for _, level := range []int{-2, 0, 1, 6, 9} {
		k := packing{bits: 15, takeover: true, level: level}
		z := inflater{bits: 15, takeover: true}
		for i := range 14 {
			data := dataKinds[i%len(dataKinds)].make(rnd, 5000)
			got, err := z.message(k.pack(data))
			if err != nil || !bytes.Equal(got, data) {
				t.Fatalf("level %d, message %d: %v", level, i, err)
			}
		}
	}
	for bits := 8; bits < 15; bits++ {
		var w bitWriter
		w.bits(2, 3)
		for _, b := range someBytes(1<<bits + 1) {
			w.literal(int(b))
		}
		w.match(3, 1<<bits+1)
		w.literal(256)
		z := inflater{bits: bits}
		if _, err := z.message(w.flush()); err == nil {
			t.Errorf("%d bits: a distance beyond the window is taken", bits)
		}
	}
}

// TestImpossible: the position at which a text fails is the first whose beginning
// no text has.
func TestImpossible(t *testing.T) {
	for _, row := range badText {
		n := impossible(row.s)
		if n == 0 || utf8.ValidString(row.s) {
			t.Errorf("%s: %q is UTF-8", row.name, row.s)
		}
		if n <= len(row.s) && begins(row.s[:n]) || !begins(row.s[:n-1]) {
			t.Errorf("%s: %q is not decided at byte %d", row.name, row.s, n)
		}
	}
	for _, s := range goodText {
		if impossible(s) != 0 || !utf8.ValidString(s) {
			t.Errorf("%q is no UTF-8", s)
		}
	}
}

// begins reports whether some text begins with s, by trying.
func begins(s string) bool {
	for _, tail := range []string{"", "\x80", "\xa0", "\x90", "\x80\x80", "\xa0\x80", "\x90\x80", "\x80\x80\x80", "\x90\x80\x80"} {
		if utf8.ValidString(s + tail) {
			return true
		}
	}
	return false
}

// TestOfferParsing: answers that are none to an offer are told from those that
// are.
func TestOfferParsing(t *testing.T) {
	for _, row := range []struct {
		offer, answer string
		good          bool
	}{
		{"permessage-deflate", "permessage-deflate", true},
		{"permessage-deflate", "permessage-deflate; client_no_context_takeover; server_no_context_takeover; server_max_window_bits=9", true},
		{"permessage-deflate", "permessage-deflate; client_max_window_bits=9", false},
		{"permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=9", true},
		{"permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits=10", false},
		{"permessage-deflate; client_max_window_bits=9", "permessage-deflate; client_max_window_bits", false},
		{"permessage-deflate; server_max_window_bits=9", "permessage-deflate", false},
		{"permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=10", false},
		{"permessage-deflate; server_max_window_bits=9", "permessage-deflate; server_max_window_bits=8", true},
		{"permessage-deflate; server_no_context_takeover", "permessage-deflate", false},
		{"permessage-deflate; server_no_context_takeover, permessage-deflate", "permessage-deflate", true},
		{"permessage-deflate", "permessage-deflate, permessage-deflate", false},
		{"permessage-deflate", "other", false},
		{"permessage-deflate", "permessage-deflate; server_max_window_bits=09", false},
		{"", "permessage-deflate", false},
	} {
		h := head{fields: map[string][]string{"sec-websocket-extensions": {row.answer}}}
		if z, err := agreed(row.offer, h); z.on != row.good || (err == nil) != row.good {
			t.Error(fmt.Sprintf("%q to %q:", row.answer, row.offer), z, err)
		}
	}
}
