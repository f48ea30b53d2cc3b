package tlsio

import (
	"errors"
	"testing"
)

// FuzzSession feeds a session what a peer might send. The first byte chooses the
// session, the second the pieces, the third what is done with the rest: fed as it
// is, or laid over what an honest peer sends.
func FuzzSession(f *testing.F) {
	for b := range byte(32) {
		f.Add([]byte{b, 7, 3, 0, 0, 0, 0, 0, 0, 1})
		f.Add([]byte{b, 255, 0, 22, 3, 1, 0, 4, 1, 0, 0, 0, 23, 3, 3, 0, 1, 5})
		f.Add([]byte{b, 0, 1, 21, 3, 3, 0, 2, 2, 40})
	}
	_, client := pair(f, suites()[0], mode{})
	client.service()
	f.Add(append([]byte{0, 40, 0}, client.out...))
	client.s.Abort()
	f.Fuzz(func(t *testing.T, b []byte) {
		if len(b) < 3 {
			return
		}
		how, piece, lay, b := b[0], int(b[1])+1, int(b[2])*8, b[3:]
		u := suites()[0]
		if how&1 != 0 {
			u = suites()[2]
		}
		victim, peer := pair(t, u, mode{how&2 != 0, how&4 != 0})
		if how&8 != 0 {
			victim, peer = peer, victim
		}
		defer victim.s.Abort()
		defer peer.s.Abort()
		if how&16 != 0 {
			exchange(victim, peer, whole, whole)
			peer.write([]byte("honest"))
		}
		if lay > 0 {
			overlay(victim, peer, b, lay, piece)
			return
		}
		for len(b) > 0 {
			n := min(piece, len(b))
			victim.feed(b[:n])
			b = b[n:]
			bounded(t, victim)
		}
	})
}

// overlay exchanges what both have to say, the victim's input changed by b from
// the offset lay on.
func overlay(victim, peer *side, b []byte, lay, piece int) {
	victim.service()
	peer.service()
	off := 0
	for range 50 {
		in := peer.out
		peer.out = nil
		for i := range in {
			if j := off + i - lay; j >= 0 && j < len(b) {
				in[i] ^= b[j]
			}
		}
		off += len(in)
		for len(in) > 0 {
			n := min(piece, len(in))
			victim.feed(in[:n])
			in = in[n:]
			bounded(victim.t, victim)
		}
		out := victim.out
		victim.out = nil
		peer.feed(out)
		bounded(peer.t, peer)
	}
}

// bounded checks what a session holds when everything was read.
func bounded(t testing.TB, e *side) {
	t.Helper()
	if n := e.s.Buffered(); n >= headerLen+maxRecord || cap(e.s.in.part) > headerLen+maxRecord {
		t.Fatalf("%d bytes buffered, in %d", n, cap(e.s.in.part))
	}
	if e.err != nil && e.s.Buffered() > 0 {
		t.Fatalf("%d bytes are kept after %v", e.s.Buffered(), e.err)
	}
	var p *PanicError
	if errors.As(e.err, &p) {
		t.Fatalf("%v\n%s", p, p.Stack)
	}
}
