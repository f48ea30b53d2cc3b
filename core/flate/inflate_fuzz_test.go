package flate

import (
	"bytes"
	"math/rand/v2"
	"testing"
)

// FuzzInflate compares with the standard library: the same data are good, with the
// same output, and however they are cut.
func FuzzInflate(f *testing.F) {
	for _, s := range streams(f) {
		f.Add(s.packed[:min(len(s.packed), 600)], uint64(len(s.packed)))
	}
	for _, m := range malformed {
		f.Add(m.make(), uint64(7))
	}
	const limit = 1 << 17
	f.Fuzz(func(t *testing.T, data []byte, seed uint64) {
		tabs := NewTables()
		var z Inflater
		z.Init(15)
		got, err := inflate(t, &z, same(tabs), data, cutter{src: func() int { return len(data) }, dst: func() int { return limit + 300 }}, limit)
		want, more, wantErr := oracle(t, data, limit)
		k := min(len(got), len(want))
		switch {
		case !bytes.Equal(got[:k], want[:k]):
			t.Fatalf("the output differs")
		case len(want) >= limit:
			if len(got) < limit {
				t.Fatalf("%d bytes, %v: the standard library gives more", len(got), err)
			}
		case wantErr != nil:
			// The standard library sees some mistakes before the bits that go with
			// them are there.
			if err == nil {
				_, _, err = z.Inflate(tabs, make([]byte, 0, 1000), make([]byte, 8))
			}
			if err == nil || len(got) != len(want) {
				t.Fatalf("%d bytes, %v: the standard library gives %d, %v", len(got), err, len(want), wantErr)
			}
		case more:
			// It waits for as many bits as the end of the block takes: let it have
			// them.
			want, _, wantErr = oracle(t, append(bytes.Clone(data), make([]byte, 8)...), limit)
			if !bytes.HasPrefix(want, got) || err != nil && (wantErr == nil || len(got) != len(want)) {
				t.Fatalf("%d bytes, %v: the standard library gives %d, %v", len(got), err, len(want), wantErr)
			}
		case err != nil || len(got) != len(want) || !z.AtBoundary():
			t.Fatalf("%d bytes, %v: the standard library gives %d", len(got), err, len(want))
		}
		if len(got) >= limit {
			return
		}
		rng := rand.New(rand.NewPCG(seed, 1))
		var y Inflater
		y.Init(15)
		tab2 := func() *Tables {
			if rng.IntN(4) == 0 {
				return tabs
			}
			return NewTables()
		}
		again, err2 := inflate(t, &y, tab2, data, cutter{src: func() int { return rng.IntN(30) }, dst: func() int { return rng.IntN(600) }}, 1<<18)
		if z.err == nil && (y.state != z.state || y.n != z.n || y.acc != z.acc) {
			t.Fatal("cut, it ends in another state")
		}
		if err2 != err && err2 != nil || !bytes.Equal(again, got) {
			t.Fatalf("cut, it gives %d bytes, %v; whole %d, %v", len(again), err2, len(got), err)
		}
	})
}
