//go:build linux

package peer

import (
	"bytes"
	"crypto/sha1"
	"encoding/base64"
	"encoding/binary"
)

// frameLen returns the length of the masked frame that b begins with, 0 if it cannot
// be told yet (RFC 6455 5.2).
func frameLen(b []byte) int {
	if len(b) < 2 {
		return 0
	}
	switch n := int(b[1] & 0x7f); {
	case n < 126:
		return 6 + n
	case n == 126 && len(b) >= 4:
		return 8 + int(binary.BigEndian.Uint16(b[2:]))
	case n == 127 && len(b) >= 10:
		return 14 + int(binary.BigEndian.Uint64(b[2:]))
	}
	return 0
}

// frames answers every whole frame of b inside b: the answers are moved together,
// each 4 bytes, the mask, shorter than its frame.
func (c *rawConn) frames(b []byte) (out, rest []byte, ok bool) {
	if !c.open {
		return c.shake(b)
	}
	first, w, r := -1, 0, 0
	for {
		n := frameLen(b[r:])
		if n == 0 || len(b)-r < n {
			break
		}
		f := b[r : r+n]
		r += n
		op := f[0] & 0x0f
		if f[1]&0x80 == 0 || op == 8 {
			return nil, nil, false
		}
		if op == 9 {
			f[0] = f[0]&0xf0 | 10 // a pong for a ping
		}
		head := headLen(f)
		unmask(f[head+4:], binary.LittleEndian.Uint32(f[head:]))
		f[1] &= 0x7f
		if first < 0 {
			copy(f[4:], f[:head]) // there is nothing to move but the header
			first, w = r-n+4, r
			continue
		}
		w += copy(b[w:], f[:head])
		w += copy(b[w:], f[head+4:])
	}
	if first < 0 {
		return nil, b[r:], true
	}
	return b[first:w], b[r:], true
}

// headLen returns the length of a frame's header without the mask.
func headLen(f []byte) int {
	switch f[1] & 0x7f {
	case 126:
		return 4
	case 127:
		return 10
	}
	return 2
}

// shake answers the handshake (RFC 6455 4.2.2). Clients wait for the answer.
func (c *rawConn) shake(b []byte) (out, rest []byte, ok bool) {
	k := bytes.Index(b, []byte("\r\n\r\n"))
	if k < 0 {
		return nil, b, len(b) < 8<<10
	}
	const name = "\r\nSec-WebSocket-Key: "
	i := bytes.Index(b[:k], []byte(name))
	if i < 0 || i+len(name)+24 > k {
		return nil, nil, false
	}
	key := b[i+len(name) : i+len(name)+24]
	sum := sha1.Sum(append(bytes.Clone(key), "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	out = []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ")
	out = base64.StdEncoding.AppendEncode(out, sum[:])
	c.open = true
	return append(out, "\r\n\r\n"...), b[k+4:], true
}

// unmask XORs p with the key, many bytes at a time.
func unmask(p []byte, key uint32) {
	k := uint64(key) | uint64(key)<<32
	for len(p) >= 32 {
		q := p[:32]
		binary.LittleEndian.PutUint64(q, binary.LittleEndian.Uint64(q)^k)
		binary.LittleEndian.PutUint64(q[8:], binary.LittleEndian.Uint64(q[8:])^k)
		binary.LittleEndian.PutUint64(q[16:], binary.LittleEndian.Uint64(q[16:])^k)
		binary.LittleEndian.PutUint64(q[24:], binary.LittleEndian.Uint64(q[24:])^k)
		p = p[32:]
	}
	for len(p) >= 8 {
		binary.LittleEndian.PutUint64(p, binary.LittleEndian.Uint64(p)^k)
		p = p[8:]
	}
	for i := range p {
		p[i] ^= byte(k)
		k >>= 8
	}
}
