package flate

import (
	"bytes"
	"math/rand/v2"
	"slices"
	"testing"
)

// peer reads what a deflater writes: with the plain inflater, which refuses
// distances beyond the window, and with our own.
type peer struct {
	rfc *rfcReader
	z   Inflater
	t   *Tables
	dst []byte
}

func newPeer(bits int) *peer {
	p := &peer{rfc: newRFCReader(bits), t: NewTables(), dst: make([]byte, 0, 1<<17)}
	p.z.Init(bits)
	return p
}

func (p *peer) read(t testing.TB, c, want []byte) {
	t.Helper()
	p.rfc.feed(t, c, want)
	out, n, err := p.z.Inflate(p.t, p.dst[:0], c)
	if err != nil || n != len(c) || !bytes.Equal(out, want) || !p.z.AtBoundary() {
		t.Fatalf("our inflater: %d of %d bytes read, %d for %d, boundary %t, %v", n, len(c), len(out), len(want), p.z.AtBoundary(), err)
	}
}

// forget is the start of a stream that refers to nothing before.
func (p *peer) forget() {
	p.rfc.seen = p.rfc.seen[:0]
	p.z.Forget()
}

func someMessage(r *rand.Rand) []byte {
	switch n := 1 + int(r.ExpFloat64()*200); r.IntN(6) {
	case 0:
		return someText(r, n)
	case 1:
		return someHTML(r, n)
	case 2:
		return someRecords(r, n)
	case 3:
		return someNoise(r, n)
	default:
		return someJSON(r, n)
	}
}

// TestDeflateTakeover: thousands of messages of one history, at every window.
func TestDeflateTakeover(t *testing.T) {
	for bits := MinBits; bits <= MaxBits; bits++ {
		var ms Matchers
		var d Deflater
		d.Init(bits, Default)
		p := newPeer(bits)
		r := someRand()
		var dst []byte
		count := 10000
		if edge := bits == MinBits || bits == 12 || bits == MaxBits; raceEnabled && !edge {
			continue
		} else if raceEnabled || !edge {
			count = 2000
		}
		for range count {
			m := someMessage(r)
			dst = d.Append(&ms, dst[:0], m)
			p.read(t, dst, m)
			if d.Memory() > 1<<bits {
				t.Fatalf("history of %d bytes, window %d", d.Memory(), 1<<bits)
			}
		}
		// The window is used, and all of it.
		if p.rfc.longest < 1<<bits-1<<bits/8 {
			t.Errorf("bits %d: no distance above %d", bits, p.rfc.longest)
		}
		if p.rfc.blocks[0] < count || p.rfc.blocks[1] == 0 || p.rfc.blocks[2] == 0 {
			t.Errorf("bits %d: blocks by type: %v", bits, p.rfc.blocks)
		}
	}
}

// TestDeflateTurns: deflaters that take each other's Matcher away write what the
// other side can read, and little more than one that keeps its own.
func TestDeflateTurns(t *testing.T) {
	for _, c := range []struct{ conns, matchers, bits, rounds int }{
		{2, 1, 8, 300}, {2, 1, 12, 300}, {2, 1, 15, 300}, {3, 2, 12, 200}, {1000, 64, 10, 6}, {1000, 64, 12, 10}, {64, 64, 12, 20},
	} {
		if raceEnabled && c.conns == 1000 {
			continue
		}
		var ms Matchers
		ms.Init(c.matchers)
		ds, alone, peers := make([]Deflater, c.conns), make([]Deflater, c.conns), make([]*peer, c.conns)
		var own []Matchers
		total, hot := 0, 0
		tables := NewTables()
		r := someRand()
		for round := range c.rounds {
			for i := range ds {
				if round == 0 {
					ds[i].Init(c.bits, Default)
					alone[i].Init(c.bits, Default)
					peers[i] = &peer{rfc: newRFCReader(c.bits), t: tables, dst: make([]byte, 0, 1<<12)}
					peers[i].z.Init(c.bits)
					own = append(own, Matchers{})
				}
				m := someJSON(r, 256)
				got := ds[i].Append(&ms, nil, m)
				peers[i].read(t, got, m)
				total += len(got)
				if i < 64 {
					hot += len(alone[i].Append(&own[min(i, len(own)-1)], nil, m))
				}
			}
		}
		if len(ms.slots) > c.matchers {
			t.Errorf("%+v: %d Matchers", c, len(ms.slots))
		}
		cold, kept := float64(total)/float64(c.conns), float64(hot)/float64(min(c.conns, 64))
		if cold > 1.05*kept {
			t.Errorf("%+v: %.0f bytes per connection, %.0f with a Matcher of its own", c, cold, kept)
		}
	}
}

// TestMatchersKeepTheBusy: connections that take turns do not push out the one
// that is busy, and a new busy set finds its places.
func TestMatchersKeepTheBusy(t *testing.T) {
	var ms Matchers
	ms.Init(4)
	m := []byte("hello, hello")
	send := func(d *Deflater) (hot bool) {
		was, turn := d.m, ms.turns
		d.Append(&ms, nil, m)
		return was == d.m && turn == ms.turns
	}
	var busy Deflater
	busy.Init(10, Default)
	idle := make([]Deflater, 100)
	send(&busy)
	for i := range idle {
		idle[i].Init(10, Default)
		send(&idle[i])
		if (i < 5 || i%10 == 9) && !send(&busy) { // at first there is a place for each
			t.Fatalf("the busy one lost its Matcher after %d others", i+1)
		}
	}
	set := make([]Deflater, 4)
	for i := range set {
		set[i].Init(10, Default)
	}
	hot := 0
	for lap := 0; hot < len(set); lap++ {
		if lap == 200 {
			t.Fatal("a busy set as large as the cache never has it")
		}
		hot = 0
		for i := range set {
			if send(&set[i]) {
				hot++
			}
		}
	}
}

// TestMatchersLists: whatever sizes are asked for in whatever order, the bound
// holds, lists and slots agree, and in the end nothing is made any more.
func TestMatchersLists(t *testing.T) {
	for _, limit := range []int{-1, 0, 1, 2, 5} {
		if raceEnabled && limit != 2 {
			continue
		}
		var ms Matchers
		ms.Init(limit)
		r := someRand()
		ds := make([]Deflater, 30)
		peers := make([]*peer, len(ds))
		for i := range ds {
			ds[i].Init(MinBits+i%8, Default)
			peers[i] = newPeer(MinBits + i%8)
		}
		turn := func() {
			i := r.IntN(len(ds))
			m := someText(r, 300)
			if r.IntN(4) == 0 {
				c := ds[i].AppendOnce(&ms, nil, m)
				peers[i].forget()
				peers[i].read(t, c, m)
				peers[i].forget()
				return
			}
			peers[i].read(t, ds[i].Append(&ms, nil, m), m)
		}
		for range 2000 {
			turn()
			checkLists(t, &ms, max(limit, 1))
		}
		kept := ms.Memory()
		for range 200 {
			turn()
		}
		if ms.Memory() != kept {
			t.Errorf("limit %d: %d bytes became %d", limit, kept, ms.Memory())
		}
	}
}

func checkLists(t *testing.T, ms *Matchers, limit int) {
	t.Helper()
	n := 0
	for bits := range ms.lists {
		l := &ms.lists[bits]
		slot, before := l.first, int32(noSlot)
		for i := range l.n {
			s := ms.slots[slot]
			if int(s.bits) != bits || s.prev != before || s.m.slot != slot || s.m.home != ms || i == l.n-1 && l.last != slot {
				t.Fatalf("list %d broken at %d of %d: %+v", bits, i, l.n, s)
			}
			before, slot = slot, s.next
		}
		n += l.n
	}
	if n != len(ms.slots) || n > limit {
		t.Fatalf("%d Matchers in lists, %d in all, limit %d", n, len(ms.slots), limit)
	}
}

// TestMatchersOnce: without takeover one Matcher does for each size, however many
// there may be.
func TestMatchersOnce(t *testing.T) {
	var ms Matchers
	ms.Init(50)
	for range 20 {
		var d Deflater
		d.Init(MaxBits, Default)
		for _, n := range []int{0, 1, 100, 256, 257, 512, 1 << 15, 1 << 17} {
			d.AppendOnce(&ms, nil, make([]byte, n))
		}
	}
	if len(ms.slots) != 3 {
		t.Errorf("%d Matchers for three sizes", len(ms.slots))
	}
}

// TestMatchersReplaced: a Matcher that had to make place for a larger one serves
// nobody any more.
func TestMatchersReplaced(t *testing.T) {
	var ms Matchers
	var small, large Deflater
	small.Init(8, Default)
	large.Init(15, Default)
	for _, d := range []*Deflater{&small, &large, &small} {
		d.Append(&ms, nil, []byte("hello, hello"))
		if len(ms.slots) != 1 || d.m != ms.slots[0].m {
			t.Fatalf("%d Matchers, and one that is none of them", len(ms.slots))
		}
	}
}

// TestDeflateColdWindow: the history a cold Matcher is given is the window to the
// byte, after messages shorter and longer than it.
func TestDeflateColdWindow(t *testing.T) {
	for _, bits := range []int{8, 10, 12} {
		for extra := -2; extra <= 2; extra++ {
			var ms Matchers
			var d, other Deflater
			d.Init(bits, Best)
			other.Init(bits, Best)
			r := newRFCReader(bits)
			rnd := someRand()
			a, b := someNoise(rnd, 1<<bits+7), someNoise(rnd, 1<<bits+extra)
			back := bytes.Clone(b)
			back[0] = a[len(a)-1] // what a history a byte off has there
			for _, m := range [][]byte{a, b, back, b[max(extra, 0):], a} {
				other.Append(&ms, nil, a)
				r.feed(t, d.Append(&ms, nil, m), m)
			}
			if extra == 0 && r.longest != 1<<bits {
				t.Errorf("bits %d: the longest distance is %d", bits, r.longest)
			}
		}
	}
}

// TestMatchersElsewhere: a deflater goes from thread to thread, and Matchers
// begin anew, and it finds none of what it left.
func TestMatchersElsewhere(t *testing.T) {
	var a, b Matchers
	var d, other Deflater
	d.Init(12, Default)
	other.Init(12, Default)
	p := newPeer(12)
	r := someRand()
	for i := range 200 {
		ms := &a
		if i%3 == 2 {
			ms = &b
		}
		if i%7 == 0 {
			ms.Init(1 + i%2)
		}
		if i%5 == 0 {
			other.Append(ms, nil, someJSON(r, 300))
		}
		m := someJSON(r, 300)
		p.read(t, d.Append(ms, nil, m), m)
	}
}

// TestDeflateForget: after Forget, and around AppendOnce, nothing before is
// referred to, and nothing is held.
func TestDeflateForget(t *testing.T) {
	for bits := MinBits; bits <= MaxBits; bits++ {
		var ms Matchers
		var d Deflater
		d.Init(bits, Default)
		r := someRand()
		p := newPeer(bits)
		same := someJSON(r, 300)
		for i := range 60 {
			switch i % 5 {
			case 2:
				d.Forget()
				p.forget()
				if d.Memory() != 0 {
					t.Fatalf("%d bytes after Forget", d.Memory())
				}
			case 4:
				c := d.AppendOnce(&ms, nil, same)
				p.forget()
				p.read(t, c, same)
				p.forget()
				if d.Memory() != 0 {
					t.Fatalf("%d bytes after AppendOnce", d.Memory())
				}
			}
			p.read(t, d.Append(&ms, nil, same), same)
		}
	}
}

// TestDeflateWrap: positions begin again long before they overflow, in the
// middle of a message as well as between owners.
func TestDeflateWrap(t *testing.T) {
	for _, bits := range []int{8, 12, 15} {
		var ms Matchers
		var d, other Deflater
		d.Init(bits, Default)
		other.Init(bits, Default)
		p := newPeer(bits)
		r := someRand()
		wraps := 0
		for i := range 40 {
			m := someJSON(r, 1000+i%4*20000)
			if i%4 == 3 {
				other.Append(&ms, nil, m)
			}
			if i%3 == 1 {
				d.m.base = matcherWrap - 1000
				clear(d.m.head) // positions of the time before are no longer true
			}
			before := uint32(0)
			if i > 0 {
				before = d.m.base
			}
			p.read(t, d.Append(&ms, nil, m), m)
			if d.m.base > matcherWrap {
				t.Fatalf("bits %d: positions begin at %d", bits, d.m.base)
			}
			if d.m.base < before {
				wraps++
			}
			if last := slices.Max(d.m.head); last > d.m.base+uint32(d.m.end) {
				t.Fatalf("bits %d: the tables know position %d, the text ends at %d", bits, last, d.m.base+uint32(d.m.end))
			}
		}
		if wraps < 5 {
			t.Errorf("bits %d: only %d wraps", bits, wraps)
		}
	}
}

// TestDeflateOwnership: dst is appended to in place when it has room, and
// neither slice is touched or kept otherwise.
func TestDeflateOwnership(t *testing.T) {
	var ms Matchers
	var d Deflater
	d.Init(9, Default)
	p := newPeer(9)
	r := someRand()
	for range 50 {
		src := someMessage(r)
		want := bytes.Clone(src)
		dst := append(make([]byte, 0, 8192), "before"...)
		got := d.Append(&ms, dst, src)
		if !bytes.Equal(src, want) || string(got[:6]) != "before" || &got[0] != &dst[0] {
			t.Fatal("src or dst was touched")
		}
		p.read(t, got[6:], src)
		if ms.enc.out != nil || ms.enc.src != nil {
			t.Fatal("the encoder keeps a slice of its caller")
		}
		clear(src)
		clear(got)
	}
}
