package core

import (
	"sync"
	"sync/atomic"

	"anyloop/core/ws"
)

// Shared is a message prepared once for many receivers. It is copied once and
// framed once for each variant that receivers call for (plain, and compressed
// per window); from then on every receiver's link sends from the same memory,
// and one that has to wait keeps a pointer. It is never changed. Any goroutine.
//
// Compressed variants refer to no earlier message. On a connection that takes
// its context over from message to message, the next message of its own begins
// a new context.
type Shared struct {
	plain     []byte // the frame of a server, uncompressed
	head      int    // bytes of its header
	binary    bool
	encodings atomic.Int32
	mu        sync.Mutex
	packed    *[windows]sharedFrame // by window, made with the first of them
}

// sharedFrame is one compressed variant.
type sharedFrame struct {
	once  sync.Once
	frame []byte
}

// Keys of a message's variants: what of a connection decides on its frame. The
// other keys are the window bits, 8 to 15, of a compressed frame without context.
const (
	sharedPlain   = 0
	sharedPerConn = -1 // masked: made for this conn alone
	firstWindow   = 8
	windows       = 8
)

// NewShared prepares m. m.Data is copied and stays the caller's. It must be UTF-8
// unless m.Binary.
func NewShared(m Message) *Shared {
	s := &Shared{binary: m.Binary}
	h := ws.Header{Fin: true, Op: m.opcode(), Length: int64(len(m.Data))}
	s.plain = ws.AppendHeader(make([]byte, 0, ws.MaxHeader+len(m.Data)), h)
	s.head = len(s.plain)
	s.plain = append(s.plain, m.Data...)
	s.encodings.Store(1)
	return s
}

// Len returns the number of bytes of the message, without any frame's header and
// uncompressed.
func (s *Shared) Len() int { return len(s.plain) - s.head }

// Encodings returns how many variants of the message have been encoded: 1, and
// one for each window that it was compressed for. What is sent as a client is
// masked, so made for each connection, and does not count.
func (s *Shared) Encodings() int { return int(s.encodings.Load()) }

// message returns the message; its data must not be changed.
func (s *Shared) message() Message { return Message{s.plain[s.head:], s.binary} }

// frame returns the frame for c's peer; ok is false if it must be encoded for c
// alone.
func (s *Shared) frame(c *Conn) (b []byte, ok bool) {
	switch key := c.sharedVariant(s.Len()); {
	case key == sharedPlain:
		return s.plain, true
	case key < firstWindow || key >= firstWindow+windows:
		return nil, false
	default:
		b = s.variant(key)
		return b, b != nil
	}
}

// variant returns the frame compressed for a window of that many bits. Threads
// that need one being made wait for it: it is made once.
func (s *Shared) variant(key int) []byte {
	s.mu.Lock()
	if s.packed == nil {
		s.packed = new([windows]sharedFrame)
	}
	v := &s.packed[key-firstWindow]
	s.mu.Unlock()
	v.once.Do(func() {
		if v.frame = s.encodeVariant(key); v.frame != nil {
			s.encodings.Add(1)
		}
	})
	return v.frame
}

// sendShared sends a whole message on c, whose link is in service and may write.
func (c *Conn) sendShared(s *Shared) error {
	r, ok := c.link.role.(*wsRole)
	if !ok {
		return ErrConnClosed
	}
	if r.is(wsTxOpen) {
		return ErrMessageOrder
	}
	if over(s.Len(), c.limits().WriteLimit) {
		return ErrTooLong
	}
	b, ok := s.frame(c)
	if !ok {
		m := s.message()
		return r.data(c, m.Data, m.opcode(), true, true)
	}
	c.link.th.stats.Sent++
	c.link.sendShared(b)
	r.sentShared(b)
	return nil
}

// SendShared sends a message that was prepared for many. It is neither copied
// nor encoded again, so nothing else is corked behind it. See Text.
func (w *WSWriter) SendShared(s *Shared) error {
	if err := w.take(s.Len()); err != nil {
		return err
	}
	if err := w.c.sendShared(s); err != nil {
		w.unused()
		return err
	}
	return nil
}
