package mount

import (
	"time"

	"anyloop/core"
)

// handler serves files on one connection, one request after the other.
type handler struct {
	t    *tree
	hot  *core.Prepared // the answer: all of a file, from the cache
	slow *transfer      // or what is more work; kept for the next one
	took string         // the last accept-encoding,
	a    accepts        // and what it says
}

// Request finds out what is asked for.
func (h *handler) Request(c *core.Conn, r *core.Request) error {
	h.release()
	m := r.Method()
	plain := m == "GET" || m == "HEAD"
	a := accepts(0)
	fields := r.Table()
	for i := range fields.Len() {
		name, value := fields.At(i)
		switch string(name) {
		case "accept-encoding":
			a |= h.accepts(value)
		case "if-match", "if-none-match", "if-modified-since", "if-unmodified-since", "range":
			plain = false
		}
	}
	it := h.t.cache.find(r.MountPathBytes(), a)
	if it != nil && plain {
		if b := it.state.Load(); h.t.fresh(it, b, c.Thread().Now()) {
			h.hot = b.entry.whole
			return c.RequestWritable()
		}
	}
	if h.slow == nil {
		h.slow = &transfer{}
	}
	*h.slow = transfer{t: h.t, c: c}
	return h.slow.begin(r, a, it, plain)
}

// accepts is acceptsOf, with a memory: connections say the same again and again.
func (h *handler) accepts(value []byte) accepts {
	if h.t.opt.NoPrecompressed {
		return 0
	}
	if h.took != string(value) {
		h.took, h.a = string(value), acceptsOf(value)
	}
	return h.a
}

// fresh reports whether what is known of a file may be served now. In the second
// half of its time one of those who ask is told no, and looks at the file: so that
// nobody waits for a file that is asked for all the time.
func (t *tree) fresh(it *cached, b *believed, now time.Time) bool {
	age := now.Sub(b.since)
	switch {
	case t.believe < 0 || age < t.believe/2:
		return true
	case age >= t.believe:
		return false
	}
	return !it.asking.CompareAndSwap(false, true)
}

// Writable sends the answer, or the next piece of it.
func (h *handler) Writable(c *core.Conn, w *core.HTTPWriter) error {
	if p := h.hot; p != nil {
		h.hot = nil
		return w.RespondPrepared(p)
	}
	if h.slow == nil {
		return nil
	}
	return h.slow.writable(c, w)
}

// Closed: the connection is over, or goes on with another mount.
func (h *handler) Closed(*core.Conn, error) { h.release() }

func (h *handler) release() {
	if h.slow != nil {
		h.slow.release()
	}
}
