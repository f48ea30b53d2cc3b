//go:build linux

package plain

import (
	"encoding/binary"
	"math/rand"
)

// stream is an endless sequence of messages that repeats itself, laid out so that
// any run of whole messages that may be in flight is one slice. Every message has a
// random payload and mask key of its own. They are masked once, when the stream is
// made: the load pays nothing for it, while the server must unmask each.
type stream struct {
	count    int      // distinct messages
	each     int      // bytes of one on the wire
	wire     []byte   // count messages, and the first ones again
	payloads [][]byte // what must come back
}

// The opcodes (RFC 6455 5.2).
const (
	opText   = 1
	opBinary = 2
	opClose  = 8
	opPing   = 9
	opPong   = 10
)

// newStream makes messages of size bytes, of which burst may be in flight.
func newStream(raw bool, size, burst int) *stream {
	r := rand.New(rand.NewSource(1))
	s := &stream{count: min(max((256<<10)/(size+1), 4), 256)}
	for range s.count {
		p := make([]byte, size)
		r.Read(p)
		s.payloads = append(s.payloads, p)
		if raw {
			s.wire = append(s.wire, p...)
		} else {
			s.wire = appendMasked(s.wire, opBinary, r.Uint32(), p)
		}
	}
	s.each = len(s.wire) / s.count
	s.repeat(burst)
	return s
}

// newRequests repeats one request, of which burst may be in flight.
func newRequests(req []byte, burst int) *stream {
	s := &stream{count: 1, each: len(req), wire: append([]byte(nil), req...), payloads: [][]byte{req}}
	s.repeat(burst)
	return s
}

// repeat appends the first messages of the stream once more.
func (s *stream) repeat(burst int) {
	once := len(s.wire)
	for i := 0; i < burst*s.each; i += once {
		s.wire = append(s.wire, s.wire[:min(once, burst*s.each-i)]...)
	}
}

// appendMasked appends a client's frame (RFC 6455 5.2).
func appendMasked(dst []byte, op byte, key uint32, p []byte) []byte {
	dst = append(dst, 0x80|op)
	switch {
	case len(p) < 126:
		dst = append(dst, 0x80|byte(len(p)))
	case len(p) < 1<<16:
		dst = binary.BigEndian.AppendUint16(append(dst, 0x80|126), uint16(len(p)))
	default:
		dst = binary.BigEndian.AppendUint64(append(dst, 0x80|127), uint64(len(p)))
	}
	var k [4]byte
	binary.BigEndian.PutUint32(k[:], key)
	dst = append(dst, k[:]...)
	for i, c := range p {
		dst = append(dst, c^k[i&3])
	}
	return dst
}
