package ws

import (
	"encoding/binary"
	"unicode/utf8"
)

// MaxHeader is the longest frame header: 2 bytes, 8 of length, 4 of mask.
const MaxHeader = 14

// Header is a frame's header.
type Header struct {
	Length int64
	Op     Opcode
	Fin    bool
	RSV1   bool
	Masked bool
	Mask   [4]byte

	rsv23 bool
	bad   *PeerError // malformed by itself
}

// headerBits reads the first two bytes, all but the length:
//
//	FIN (1), RSV1 (1), RSV2 (1), RSV3 (1), opcode (4),
//	MASK (1), payload length (7)
func headerBits(p []byte) Header {
	return Header{
		Fin: p[0]&0x80 != 0, RSV1: p[0]&0x40 != 0, rsv23: p[0]&0x30 != 0,
		Op: Opcode(p[0] & 0xf), Masked: p[1]&0x80 != 0,
	}
}

// parseHeader reads a header; ok is false if it is not all there.
func parseHeader(p []byte) (h Header, size int, ok bool) {
	if len(p) < 2 {
		return h, 0, false
	}
	h = headerBits(p)
	h.Length = int64(p[1] & 0x7f)
	size = 2
	switch h.Length {
	case 126: // extended payload length (16)
		if len(p) < 4 {
			return h, 0, false
		}
		h.Length = int64(binary.BigEndian.Uint16(p[2:]))
		size = 4
		if h.Length < 126 {
			h.bad = ErrLength
		}
	case 127: // extended payload length (64)
		if len(p) < 10 {
			return h, 0, false
		}
		n := binary.BigEndian.Uint64(p[2:])
		size = 10
		// RFC 6455 5.2: "the most significant bit MUST be 0", "the minimal
		// number of bytes MUST be used to encode the length".
		if n>>63 != 0 || n < 1<<16 {
			h.bad = ErrLength
		}
		h.Length = int64(n &^ (1 << 63))
	}
	if h.Masked { // masking key (32)
		if len(p) < size+4 {
			return h, 0, false
		}
		copy(h.Mask[:], p[size:])
		size += 4
	}
	return h, size, true
}

// HeaderSize returns the size of the header for a payload of n bytes.
func HeaderSize(n int64, masked bool) int {
	size := 2
	switch {
	case n > 0xffff:
		size = 10
	case n > 125:
		size = 4
	}
	if masked {
		size += 4
	}
	return size
}

// AppendHeader appends a frame header. Length must not be negative.
func AppendHeader(dst []byte, h Header) []byte {
	b0 := byte(h.Op & 0xf)
	if h.Fin {
		b0 |= 0x80
	}
	if h.RSV1 {
		b0 |= 0x40
	}
	mask := byte(0)
	if h.Masked {
		mask = 0x80
	}
	switch {
	case h.Length <= 125:
		dst = append(dst, b0, mask|byte(h.Length))
	case h.Length <= 0xffff:
		dst = append(dst, b0, mask|126, byte(h.Length>>8), byte(h.Length))
	default:
		dst = append(dst, b0, mask|127)
		dst = binary.BigEndian.AppendUint64(dst, uint64(h.Length))
	}
	if h.Masked {
		dst = append(dst, h.Mask[:]...)
	}
	return dst
}

// AppendFrame appends a whole frame; Header.Length is set to the payload's. The
// payload is copied, and the copy masked if the header says so.
func AppendFrame(dst []byte, h Header, payload []byte) []byte {
	h.Length = int64(len(payload))
	dst = AppendHeader(dst, h)
	at := len(dst)
	dst = append(dst, payload...)
	if h.Masked {
		Mask(h.Mask, 0, dst[at:])
	}
	return dst
}

// AppendPlain is AppendFrame for a frame without mask or extension bits.
func AppendPlain(dst []byte, op Opcode, fin bool, payload []byte) []byte {
	b0 := byte(op & 0xf)
	if fin {
		b0 |= 0x80
	}
	if len(payload) <= 125 {
		dst = append(dst, b0, byte(len(payload)))
	} else {
		dst = AppendHeader(dst, Header{Op: op, Fin: fin, Length: int64(len(payload))})
	}
	return append(dst, payload...)
}

// AppendClose appends a Close frame with a code and a reason, of which at most
// 123 bytes are sent, cut between characters. mask is nil on a server.
func AppendClose(dst []byte, code CloseCode, reason string, mask *[4]byte) []byte {
	if len(reason) > maxControl-2 {
		n := maxControl - 2
		for n > 0 && !utf8.RuneStart(reason[n]) {
			n--
		}
		reason = reason[:n]
	}
	h := Header{Fin: true, Op: Close, Length: int64(2 + len(reason))}
	if mask != nil {
		h.Masked, h.Mask = true, *mask
	}
	dst = AppendHeader(dst, h)
	at := len(dst)
	dst = append(dst, byte(code>>8), byte(code))
	dst = append(dst, reason...)
	if mask != nil {
		Mask(*mask, 0, dst[at:])
	}
	return dst
}
