package mount

import (
	"time"

	"anyloop/core"
	"anyloop/core/header"
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
	get, fields, a := m == "GET" || m == "HEAD", r.Table(), accepts(0)
	all := !fields.HasAny(header.Conditional)
	if fields.Has(header.AcceptEncoding) && !h.t.opt.NoPrecompressed {
		for value := range fields.Values("accept-encoding") {
			a |= h.accepts(value)
		}
	}
	var p place
	if get {
		p = h.t.place(r.MountPathBytes(), a, c.Thread().Now())
	}
	if p.fresh && all {
		h.hot = p.b.entry.whole
		return c.RequestWritable()
	}
	if h.slow == nil {
		h.slow = &transfer{}
	}
	*h.slow = transfer{t: h.t, c: c, all: all}
	if !get {
		return h.slow.status(405)
	}
	return h.slow.begin(r, a, p)
}

// accepts is acceptsOf, with a memory: connections say the same again and again.
func (h *handler) accepts(value []byte) accepts {
	if h.took != string(value) {
		h.took, h.a = string(value), acceptsOf(value)
	}
	return h.a
}

// place is what the cache knows of a file.
type place struct {
	it    *cached // nil: nothing
	b     *believed
	fresh bool // it may be served as it is; else the caller is to look at the file
}

// place finds a file in the cache. In the second half of its time one of those who
// ask is told to look at it: so that nobody waits for a file that is asked for all
// the time.
func (t *tree) place(path []byte, a accepts, now time.Time) place {
	it := t.cache.find(path, a)
	if it == nil {
		return place{}
	}
	p := place{it: it, b: it.state.Load()}
	age := now.Sub(p.b.since)
	switch {
	case t.believe < 0 || age < t.believe/2:
		p.fresh = true
	case age < t.believe:
		p.fresh = !it.asking.CompareAndSwap(false, true)
	}
	return p
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
