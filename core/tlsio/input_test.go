package tlsio

import (
	"bytes"
	"testing"
)

// A header that promises much and little after it hold little memory, however the
// bytes come.
func TestPromisesHoldNoMemory(t *testing.T) {
	rec := append([]byte{22, 3, 1, 0x40, 0}, make([]byte, maxPlaintext)...)
	for _, sent := range []int{5, 6, 100, 1500, 4000} {
		for _, piece := range []int{1, 3, sent} {
			s := Server(suites()[0].server(), Options{})
			for off := 0; off < sent; off += piece {
				s.Feed(rec[off:min(off+piece, sent)])
				s.Release()
			}
			if got := cap(s.in.part); s.Buffered() != sent || got > 4*sent {
				t.Errorf("%d bytes by %d: %d are buffered in %d", sent, piece, s.Buffered(), got)
			}
		}
	}
}

// What is kept at Release is what was fed, in order, at its exact size.
func TestReleaseKeepsTheRest(t *testing.T) {
	recs := bytes.Repeat([]byte{22, 3, 3, 0, 3, 'a', 'b', 'c'}, 5)
	for n := 1; n <= len(recs); n++ {
		for _, piece := range []int{1, 7, n} {
			s := Server(suites()[0].server(), Options{})
			for off := 0; off < n; off += piece {
				lent := bytes.Clone(recs[off:min(off+piece, n)])
				s.Feed(lent)
				s.Release()
				clear(lent)
			}
			if !bytes.Equal(s.in.part, recs[:n]) || s.Buffered() != n || s.in.lent != nil || s.Ready() != (n >= 8) {
				t.Fatalf("%d bytes by %d: kept % x", n, piece, s.in.part)
			}
			if piece == n && n > 8 && cap(s.in.part) != n {
				t.Errorf("%d bytes are kept in %d", n, cap(s.in.part))
			}
		}
	}
}

// Two calls of Feed without Release between them keep the order.
func TestFeedTwice(t *testing.T) {
	server, client := open(t, suites()[0], mode{})
	client.write([]byte("one two"))
	half := len(client.out) / 2
	server.s.Feed(client.out[:half])
	server.s.Feed(client.out[half:])
	server.service()
	if string(server.got) != "one two" || server.err != nil {
		t.Errorf("got %q, %v", server.got, server.err)
	}
}
