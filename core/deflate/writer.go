package deflate

import "anyloop/core/flate"

// tail ends what was flushed, and is not sent (RFC 7692 7.2.1).
const tail = "\x00\x00\xff\xff"

// Writer deflates the messages that one side of a connection sends (RFC 7692
// 7.2.1). It is to be embedded by value, and belongs to one goroutine.
type Writer struct {
	z        flate.Deflater
	takeover bool
	open     bool // a fragment went out, and its message goes on
}

// Init starts anew with a window of 1<<bits bytes, 8 to 15, which lasts from
// message to message with takeover. Before the first Append.
func (w *Writer) Init(bits int, takeover bool, level flate.Level) {
	w.z.Forget()
	*w = Writer{takeover: takeover}
	w.z.Init(bits, level)
}

// Append appends to dst the compressed payload of the next frame, for the message
// or fragment src; final says that src ends its message. The peer can inflate all
// of it when it has the frame. What is empty becomes a single byte if it ends its
// message, and a few otherwise. Neither slice is kept.
func (w *Writer) Append(ms *flate.Matchers, dst, src []byte, final bool) []byte {
	if final && !w.open && !w.takeover {
		dst = w.z.AppendOnce(ms, dst, src)
		return dst[:len(dst)-len(tail)]
	}
	dst = w.z.Append(ms, dst, src)
	w.open = !final
	if !final {
		return dst
	}
	if !w.takeover {
		w.z.Forget()
	}
	// RFC 7692 7.2.1: "Remove 4 octets (that are 0x00 0x00 0xff 0xff) from the
	// tail end." What remains of an empty message is 7.2.3.6's single octet.
	return dst[:len(dst)-len(tail)]
}

// Forget drops the window and frees its memory. The peer's need not change: what
// comes next refers to nothing before.
func (w *Writer) Forget() { w.z.Forget() }

// Memory returns the bytes of heap that are held for the window.
func (w *Writer) Memory() int { return w.z.Memory() }
