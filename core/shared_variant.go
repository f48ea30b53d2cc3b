package core

import (
	"sync"

	"anyloop/core/deflate"
	"anyloop/core/flate"
	"anyloop/core/ws"
)

// sharedVariant returns which variant of a shared message of that size c's peer
// takes.
func (c *Conn) sharedVariant(size int) int {
	r, ok := c.link.role.(*wsRole)
	switch {
	case !ok || r.is(wsClient):
		return sharedPerConn
	case r.zip() == nil || size < r.zip().threshold:
		return sharedPlain
	}
	return r.zip().txBits
}

// sharedMatchers compress shared messages: not those of a thread, since whichever
// comes first makes the variant for all.
var sharedMatchers = sync.Pool{New: func() any {
	m := new(flate.Matchers)
	m.Init(1)
	return m
}}

// encodeVariant compresses the message, without context, for a window of that
// many bits. One that does not become smaller goes to everybody as it is.
func (s *Shared) encodeVariant(bits int) []byte {
	m := s.message()
	var z deflate.Writer
	z.Init(bits, false, flate.Default)
	ms := sharedMatchers.Get().(*flate.Matchers)
	packed := z.Append(ms, make([]byte, 0, len(m.Data)/2+64), m.Data, true)
	sharedMatchers.Put(ms)
	if len(packed) >= len(m.Data) {
		return s.plain
	}
	h := ws.Header{Fin: true, RSV1: true, Op: m.opcode(), Length: int64(len(packed))}
	return append(ws.AppendHeader(make([]byte, 0, ws.MaxHeader+len(packed)), h), packed...)
}

// sentShared is told that a shared variant went to c's peer. What the peer's
// history holds now is not what ours does, so ours begins anew: nothing from
// before is referred to any more, which is always right (RFC 7692 7.2.3.2).
func (r *wsRole) sentShared(frame []byte) {
	if r.zip() != nil && frame[0]&0x40 != 0 {
		r.zip().tx.Forget()
	}
}
