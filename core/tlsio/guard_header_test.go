package tlsio

import (
	"crypto/tls"
	"encoding/binary"
	"testing"
)

// headers returns headers of all kinds, but for empty records, which are complete
// with their header.
func headers() (all [][]byte) {
	for _, typ := range []byte{0, 20, 21, 22, 23, 24, 'G', 0x80, 0xff} {
		for _, vers := range []uint16{0x0200, 0x0300, 0x0301, 0x0303, 0x0304, 0x0fff, 0x1000, 0x4554} {
			for _, n := range []uint16{1, maxPlaintext, maxRecord13, maxRecord13 + 1, maxRecord, maxRecord + 1, 0xffff} {
				h := binary.BigEndian.AppendUint16([]byte{typ}, vers)
				all = append(all, binary.BigEndian.AppendUint16(h, n))
			}
		}
	}
	return all
}

// refusedInHandshake reports whether a server refuses head by itself, after
// before.
func refusedInHandshake(before, head []byte) bool {
	sc, _ := suites()[0].configs()
	return tls.Server(&scripted{in: append(append([]byte(nil), before...), head...)}, sc).Handshake() != ErrAgain
}

// The following compare hopeless with crypto/tls: a header that it does not
// refuse must be waited for, and one that it does refuse must not.

func TestGuardFirstHeaders(t *testing.T) {
	for _, head := range headers() {
		in := input{stage: nothingRead}
		fails := refusedInHandshake(nil, head)
		if in.hopeless(head) != fails {
			t.Errorf("header % x: hopeless %v, but crypto/tls refuses it: %v; see input.go", head, !fails, fails)
		}
	}
}

// In the middle of a handshake it is not known whether crypto/tls has agreed on a
// version: hopeless is what it refuses in either case.
func TestGuardHandshakeHeaders(t *testing.T) {
	_, client := pair(t, suites()[0], mode{})
	client.service()
	hello := client.out
	half := append([]byte{22, 3, 1, 0, 100}, hello[headerLen:headerLen+100]...)
	for _, head := range headers() {
		in := input{stage: handshaking}
		fails := refusedInHandshake(hello, head) && refusedInHandshake(half, head)
		if in.hopeless(head) && !fails {
			t.Errorf("header % x: hopeless, but crypto/tls may accept it; see input.go", head)
		}
	}
}

func TestGuardOpenHeaders(t *testing.T) {
	for _, u := range []suite{suites()[0], suites()[2]} {
		for i, head := range headers() {
			if testing.Short() && i%7 != 0 {
				continue
			}
			tc, script, _ := bare(t, u)
			script.in = head
			_, err := tc.Read(make([]byte, 1))
			in := input{stage: complete, vers: u.version}
			if fails := err != ErrAgain; in.hopeless(head) != fails {
				t.Errorf("%s: header % x: hopeless %v, but crypto/tls refuses it: %v (%v); see input.go", u.name, head, !fails, fails, err)
			}
		}
	}
}
