package tlsio

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/tls"
	"encoding/binary"
	"encoding/hex"
	"strings"
	"testing"
)

// forge encrypts records of TLS 1.3 that crypto/tls never sends, with the keys of
// one direction of an open connection.
type forge struct {
	secret []byte
	aead   cipher.AEAD
	iv     []byte
	seq    uint64
}

// forged returns an open connection and a forge that speaks for the peer of
// victim, which is the server if toServer.
func forged(t *testing.T, m mode, toServer bool) (victim, peer *side, f *forge) {
	t.Helper()
	sc, cc := suites()[0].configs()
	sc.SessionTicketsDisabled = true // the first record under the server's key is ours
	var log bytes.Buffer
	cc.KeyLogWriter = &log
	server, client := newSide(t, Server(sc, m.options())), newSide(t, Client(cc, m.options()))
	exchange(server, client, whole, whole)
	server.must(t)
	client.must(t)
	if server.s.State().CipherSuite != tls.TLS_AES_128_GCM_SHA256 {
		t.Skip("this machine's crypto/tls does not choose AES-128-GCM")
	}
	if toServer {
		return server, client, newForge(t, log.String(), "CLIENT_TRAFFIC_SECRET_0")
	}
	return client, server, newForge(t, log.String(), "SERVER_TRAFFIC_SECRET_0")
}

func newForge(t *testing.T, log, label string) *forge {
	for line := range strings.Lines(log) {
		if w := strings.Fields(line); w[0] == label {
			secret, err := hex.DecodeString(w[2])
			check(err)
			f := &forge{secret: secret}
			f.rekey()
			return f
		}
	}
	t.Fatalf("no %s in\n%s", label, log)
	return nil
}

// expand is HKDF-Expand-Label with an empty context (RFC 8446 7.1).
func (f *forge) expand(label string, n int) []byte {
	info := binary.BigEndian.AppendUint16(nil, uint16(n))
	info = append(info, byte(len("tls13 ")+len(label)))
	info = append(append(info, "tls13 "+label...), 0)
	out, err := hkdf.Expand(sha256.New, f.secret, string(info), n)
	check(err)
	return out
}

func (f *forge) rekey() {
	block, err := aes.NewCipher(f.expand("key", 16))
	check(err)
	f.aead, err = cipher.NewGCM(block)
	check(err)
	f.iv, f.seq = f.expand("iv", 12), 0
}

// record seals content as a record of the given inner type (RFC 8446 5.2).
func (f *forge) record(typ byte, content []byte) []byte {
	inner := append(bytes.Clone(content), typ)
	nonce := bytes.Clone(f.iv)
	for i, b := range binary.BigEndian.AppendUint64(nil, f.seq) {
		nonce[4+i] ^= b
	}
	f.seq++
	head := binary.BigEndian.AppendUint16([]byte{23, 3, 3}, uint16(len(inner)+f.aead.Overhead()))
	return f.aead.Seal(head, nonce, inner, head)
}

// keyUpdate is a KeyUpdate in records of at most size bytes (RFC 8446 4.6.3).
func (f *forge) keyUpdate(request byte, size int) (recs []byte) {
	msg := []byte{24, 0, 0, 1, request}
	for len(msg) > 0 {
		n := min(size, len(msg))
		recs = append(recs, f.record(22, msg[:n])...)
		msg = msg[n:]
	}
	f.secret = f.expand("traffic upd", 32)
	f.rekey()
	return recs
}

// both runs f against a server and against a client, in every mode.
func both(t *testing.T, f func(t *testing.T, m mode, toServer bool)) {
	for _, m := range modes {
		for _, toServer := range []bool{true, false} {
			t.Run(m.String()+pick(toServer, "/server", "/client"), func(t *testing.T) { f(t, m, toServer) })
		}
	}
}

func TestKeyUpdateSplit(t *testing.T) {
	both(t, func(t *testing.T, m mode, toServer bool) {
		victim, peer, f := forged(t, m, toServer)
		var said, heard int
		for _, size := range []int{1, 2, 4, 5} {
			for cut, length := 0, 1; cut <= length; cut++ {
				recs := append(f.keyUpdate(byte(cut%2), size), f.record(23, []byte("data"))...)
				length = len(recs)
				victim.feed(recs[:cut])
				victim.feed(recs[cut:])
				// The answer changes the keys of the victim's own direction.
				victim.write([]byte("understood"))
				move(victim, peer, single, 0)
				said, heard = said+len("data"), heard+len("understood")
			}
		}
		if victim.err != nil || len(victim.got) != said || peer.err != nil || len(peer.got) != heard {
			t.Errorf("got %d of %d bytes, %v; the peer %d of %d, %v", len(victim.got), said, victim.err, len(peer.got), heard, peer.err)
		}
	})
}

// A peer that asks for new keys without end is answered only while it is read.
func TestKeyUpdateFlood(t *testing.T) {
	both(t, func(t *testing.T, m mode, toServer bool) {
		victim, _, f := forged(t, m, toServer)
		for range 17 {
			victim.feed(f.keyUpdate(1, 5))
		}
		wantAlert(t, victim.err, 10, true)
		victim, _, f = forged(t, m, toServer)
		one := 0
		for i := range 1000 {
			victim.feed(append(f.keyUpdate(1, 5), f.record(23, []byte("x"))...))
			if i == 0 {
				one = len(victim.out)
			}
		}
		if len(victim.out) != 1000*one || len(victim.got) != 1000 || victim.err != nil {
			t.Errorf("%d bytes of answers to 1000, %d to one; %d bytes; %v", len(victim.out), one, len(victim.got), victim.err)
		}
	})
}

// What does not advance a connection is taken 16 times, and not more.
func TestUselessRecords(t *testing.T) {
	for name, rec := range map[string]func(f *forge) []byte{
		"empty data":    func(f *forge) []byte { return f.record(23, nil) },
		"user canceled": func(f *forge) []byte { return f.record(21, []byte{1, 90}) },
	} {
		t.Run(name, func(t *testing.T) {
			both(t, func(t *testing.T, m mode, toServer bool) {
				victim, _, f := forged(t, m, toServer)
				for range 16 {
					victim.feed(rec(f))
				}
				victim.feed(f.record(23, []byte("data")))
				if string(victim.got) != "data" || victim.err != nil {
					t.Fatalf("got %q, %v", victim.got, victim.err)
				}
				var all []byte
				for range 17 {
					all = append(all, rec(f)...)
				}
				victim.feed(all)
				wantAlert(t, victim.err, 10, true)
			})
		})
	}
}

// Records that end a connection, split at every byte.
func TestFatalRecordsSplit(t *testing.T) {
	for _, c := range []struct {
		name    string
		typ     byte
		content []byte
		code    uint8
		sent    bool
		then    bool // a record of data follows, and is what is refused
	}{
		{"fatal alert", 21, []byte{2, 40}, 40, false, false},
		{"unknown alert", 21, []byte{2, 77}, 77, false, false},
		{"half an alert", 21, []byte{2}, 10, true, false},
		{"unknown type", 99, []byte("x"), 10, true, false},
		{"empty handshake record", 22, nil, 10, true, false},
		{"certificate request", 22, []byte{13, 0, 0, 3, 0, 0, 0}, 10, true, false},
		{"garbled KeyUpdate", 22, []byte{24, 0, 0, 1, 7}, 50, true, false},
		{"too much plaintext", 23, make([]byte, maxPlaintext+1), 22, true, false},
		{"data inside a message", 22, []byte{24, 0, 0}, 10, true, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			both(t, func(t *testing.T, m mode, toServer bool) {
				step := 1
				if testing.Short() || raceEnabled {
					step = 3
				}
				for cut := 0; cut < 40; cut += step {
					victim, _, f := forged(t, m, toServer)
					rec := f.record(c.typ, c.content)
					if c.then {
						rec = append(rec, f.record(23, []byte("x"))...)
					}
					if cut > len(rec) {
						break
					}
					victim.feed(rec[:cut])
					if cut < len(rec) && victim.err != nil {
						t.Fatalf("%d of %d bytes: %v", cut, len(rec), victim.err)
					}
					victim.feed(rec[cut:])
					wantAlert(t, victim.err, c.code, c.sent)
					if victim.s.Buffered() != 0 || victim.s.Ready() || len(victim.out) > 0 != c.sent {
						t.Errorf("%d bytes buffered, ready %v, %d to send", victim.s.Buffered(), victim.s.Ready(), len(victim.out))
					}
				}
			})
		})
	}
}
