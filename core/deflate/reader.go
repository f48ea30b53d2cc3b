package deflate

import (
	"errors"
	"math"

	"anyloop/core/flate"
)

// What is wrong with a message, besides the errors of package flate, which say that
// its data is broken (close code 1007).
var (
	// ErrInflated: more than Limits.MaxInflated (close code 1009).
	ErrInflated = errors.New("deflate: message over the limit when inflated")
	// ErrRatio: more than Limits.MaxRatio (close code 1009).
	ErrRatio = errors.New("deflate: message over the limit of compression")
)

// Limits bounds what a message may become. The zero value bounds nothing.
type Limits struct {
	// MaxInflated is the largest message, in bytes when inflated; 0: none.
	MaxInflated int64
	// MaxRatio is how many bytes each compressed byte may become, on average
	// over what has come of the message; 0: none. It does not bound the first
	// 64 KiB, in which short messages may repeat themselves as they like. DEFLATE
	// itself ends at 1032.
	MaxRatio int
}

// freeRatio is how much of a message MaxRatio does not bound.
const freeRatio = 64 << 10

// Reader inflates the messages that one side of a connection receives (RFC 7692
// 7.2.2). It is to be embedded by value, and belongs to one goroutine.
type Reader struct {
	z        flate.Inflater
	limits   Limits
	in       int64 // compressed bytes of the message that were used
	seen     int64 // and of those that were there to be used
	out      int64 // inflated bytes of it
	err      error
	takeover bool
}

// Init starts anew with the peer's window of 1<<bits bytes, 8 to 15, which lasts
// from message to message with takeover. Before the first Next.
func (r *Reader) Init(bits int, takeover bool, limits Limits) {
	r.z.Forget()
	*r = Reader{takeover: takeover, limits: limits}
	// A peer that offers to keep to 8 may have a zlib that takes 9 instead. 256
	// bytes more are a small price for understanding it.
	r.z.Init(max(bits, minAsked))
}

// Next inflates src, which is the next piece of a message's payload, up to dst's
// capacity; final says that src ends the message. n is how much of src was used.
// out is dst with what was appended; what lies behind it in dst is scratch. Neither
// slice is kept. done says that the message is complete, all its data is out, and
// the next call begins another one.
//
// It is to be called again, with the rest of src and room in dst, until done, or
// for a piece that is not final until all of src is used and More is false.
//
// Limits hold while inflating: out never goes beyond them. An error is ErrInflated,
// ErrRatio or one of package flate, comes with the output before it, and stays.
//
// A message without any payload is an empty one, and one that ends with a
// complete block at the end of a byte is complete without more. RFC 7692 7.2.1
// does not let them come about, but zlib does: the second of two flushes in a row
// is nothing, and senders pass that on as an empty message or last fragment.
func (r *Reader) Next(t *flate.Tables, dst, src []byte, final bool) (out []byte, n int, done bool, err error) {
	if r.err != nil {
		return dst, 0, false, r.err
	}
	// Room for one byte beyond the limit shows whether there is one.
	r.seen = max(r.seen, r.in+int64(len(src)))
	had, limit := len(dst), r.limit()
	room := dst
	if left := limit - r.out; left < int64(cap(dst)-had) {
		room = dst[: had : had+int(left)+1]
	}
	if final && !r.takeover {
		out, n, done, r.err = r.z.InflateLast(t, room, src)
	} else {
		out, n, r.err = r.z.Inflate(t, room, src)
		if final && r.err == nil && n == len(src) && !r.z.More() {
			out, r.err = r.z.EndMessage(t, out)
			done = r.err == nil && !r.z.More()
		}
	}
	r.in += int64(n)
	r.out += int64(len(out) - had)
	out = dst[:len(out)]
	if r.out > limit {
		out, done, r.err = out[:len(out)-int(r.out-limit)], false, r.exceeded(limit)
	}
	if r.err != nil {
		r.z.Forget()
		return out, n, false, r.err
	}
	if done {
		r.in, r.seen, r.out = 0, 0, 0
	}
	return out, n, done, nil
}

// exceeded says which limit it was.
func (r *Reader) exceeded(limit int64) error {
	if limit == r.limits.MaxInflated {
		return ErrInflated
	}
	return ErrRatio
}

// limit returns how much of the message may come out. It never falls within a
// message.
func (r *Reader) limit() int64 {
	limit := int64(math.MaxInt64)
	if m := r.limits.MaxInflated; m > 0 {
		limit = m
	}
	if q := int64(r.limits.MaxRatio); q > 0 && r.seen < math.MaxInt64/q {
		limit = min(limit, max(r.seen*q, freeRatio))
	}
	return limit
}

// More reports that Next has output, or the end of the message, to deliver
// without further input.
func (r *Reader) More() bool { return r.err == nil && r.z.More() }

// Forget drops the window and whatever there is of a message, and frees their
// memory. With takeover the peer's next message cannot be inflated after that:
// it is for the end of the connection.
func (r *Reader) Forget() { r.z.Forget() }

// Memory returns the bytes of heap that are held, for the window, or for the message
// that has begun. What a message needs besides that is in the Reader itself.
func (r *Reader) Memory() int { return r.z.Memory() }
