package tlsio

import (
	"bytes"
	"crypto/tls"
	"errors"
	"runtime"
	"testing"
)

// What is no TLS fails at its header, and is not kept.
func TestGarbage(t *testing.T) {
	big := bytes.Repeat([]byte("x"), 1<<16)
	for _, c := range []struct {
		name  string
		in    []byte
		alert uint8 // 0: none is sent
	}{
		{"http", append([]byte("GET / HTTP/1.1\r\n\r\n"), big...), 0},
		{"zeros", make([]byte, 1000), 0},
		{"data first", append([]byte{23, 3, 3, 1, 0}, big...), 0},
		{"no version", append([]byte{22, 0x10, 0, 1, 0}, big...), 0},
		{"SSLv2", append([]byte{0x80, 0x2e, 1, 3, 1}, big...), 70},
		{"oversized", append([]byte{22, 3, 1, 0x48, 1}, big...), 22},
		{"empty handshake record", []byte{22, 3, 1, 0, 0}, 10},
		{"message too long", []byte{22, 3, 1, 0, 4, 1, 0xff, 0xff, 0xff}, 80},
		{"unknown message", []byte{22, 3, 1, 0, 4, 77, 0, 0, 0}, 10},
		{"wrong message", []byte{22, 3, 1, 0, 4, 14, 0, 0, 0}, 10},
		{"garbled hello", []byte{22, 3, 1, 0, 6, 1, 0, 0, 2, 3, 3}, 50},
	} {
		for _, m := range modes {
			for _, client := range []bool{false, true} {
				t.Run(c.name+"/"+m.String()+pick(client, "/client", "/server"), func(t *testing.T) {
					victim, other := pair(t, suites()[0], m)
					if client {
						victim, other = other, victim
					}
					victim.service()
					victim.out = nil
					for off := range c.in {
						if victim.err != nil {
							break
						}
						if victim.feed(c.in[off : off+1]); victim.s.Buffered() > 5+256 {
							t.Fatalf("%d bytes buffered", victim.s.Buffered())
						}
					}
					if victim.err == nil {
						t.Fatal("no error")
					}
					var a *Alert
					got := uint8(0)
					if errors.As(victim.err, &a) {
						got = a.Code
					}
					if got != c.alert || (c.alert != 0) != (len(victim.out) > 0) {
						t.Errorf("alert %d, want %d; %d bytes to send; %v", got, c.alert, len(victim.out), victim.err)
					}
					if victim.s.Buffered() != 0 || victim.s.in.part != nil {
						t.Error("something was kept")
					}
				})
			}
		}
	}
}

// A header that claims too much, on an open connection.
func TestOversizedRecordOnOpenConnection(t *testing.T) {
	each(t, func(t *testing.T, u suite, m mode) {
		for _, n := range []int{maxRecord13 + 1, maxRecord + 1, 0xffff} {
			server, client := open(t, u, m)
			server.feed([]byte{23, 3, 3, byte(n >> 8), byte(n)})
			if u.version == tls.VersionTLS12 && n <= maxRecord {
				if server.err != nil {
					t.Errorf("%d bytes are legal in TLS 1.2: %v", n, server.err)
				}
				continue
			}
			wantAlert(t, server.err, 22, true)
			exchange(server, client, whole, whole)
			wantAlert(t, client.err, 22, false)
		}
	})
}

// TestTruncated: the connection breaks at every byte of the handshake; what there
// is is not taken for an end, and Abort gives all back.
func TestTruncated(t *testing.T) {
	base := runtime.NumGoroutine()
	for _, u := range []suite{suites()[0], suites()[2]} {
		length := 0
		server, client := pair(t, u, mode{})
		count := func(off, n int) int { length = max(length, off+n); return n }
		exchange(server, client, count, count)
		for i, m := range modes {
			for cut := i; cut < length; cut += len(modes) {
				server, client := pair(t, u, m)
				truncate(server, client, cut)
				for _, e := range []*side{server, client} {
					if e.err != nil {
						t.Fatalf("cut at %d: %v", cut, e.err)
					}
					e.s.Abort()
				}
			}
		}
	}
	quiet(t, base)
}

// truncate exchanges no more than the first limit bytes of each direction.
func truncate(server, client *side, limit int) {
	server.service()
	client.service()
	offS, offC := 0, 0
	for len(server.out)+len(client.out) > 0 {
		offS += cutMove(client, server, limit-offS)
		offC += cutMove(server, client, limit-offC)
	}
}

func cutMove(from, to *side, room int) int {
	b := from.out
	from.out = nil
	if b = b[:min(len(b), max(room, 0))]; len(b) > 0 {
		to.feed(b)
	}
	return len(b)
}

// A record that was changed by one bit is refused, wherever the bit is.
func TestFlippedBits(t *testing.T) {
	for _, u := range []suite{suites()[0], suites()[4]} {
		for _, m := range []mode{{false, false}, {true, true}} {
			for i := 0; ; i++ {
				server, client := open(t, u, m)
				client.write([]byte("a secret"))
				if i == len(client.out) {
					break
				}
				client.out[i] ^= 1 << (i % 8)
				// What follows may have become part of it.
				client.out = append(client.out, make([]byte, maxRecord)...)
				move(client, server, whole, 0)
				if len(server.got) > 0 || server.err == nil || server.s.Buffered() > 0 {
					t.Errorf("%s: byte %d: got %q, %v", u.name, i, server.got, server.err)
				}
			}
		}
	}
}

// If crypto/tls did not refuse a header that it is known to, it would get no
// more.
func TestNothingAfterRefusedHeader(t *testing.T) {
	server, client := open(t, suites()[0], mode{})
	server.s.in.stage = refused
	client.write([]byte("data"))
	server.s.Feed(client.out)
	if n, err := (*wire)(server.s).Read(server.p); n != 0 || err != errHeader || server.s.Ready() {
		t.Errorf("%d, %v", n, err)
	}
}
