package core

import (
	"iter"

	"anyloop/core/h1"
	"anyloop/core/header"
)

// HTTPHandler is what a handler of HTTP requests must have. The optional rest is
// BodyHandler, TimerHandler and ClosedHandler. One value serves the successive
// requests of a connection as long as they hit the same mount; Closed tells
// when that is over. All methods run on the conn's thread, never two at a time.
type HTTPHandler interface {
	// Request is called when a request's header is complete. Answer in
	// Writable, so ask for it (c.RequestWritable) when there is something to
	// say. r is valid until the response has ended.
	Request(c *Conn, r *Request) error
	// Writable hands out the writer, once per request for it. See HTTPWriter.
	Writable(c *Conn, w *HTTPWriter) error
}

// BodyHandler takes the body of requests; without it bodies are dropped.
type BodyHandler interface {
	// Body takes a piece, lent until it returns. Conn.Pause holds the rest back.
	Body(c *Conn, p []byte) error
	// BodyDone is called once per request that has a body, at its end, also
	// of an empty one whose length was given.
	BodyDone(c *Conn) error
}

// HTTPFunc makes a handler of a function that answers each request at once, in
// its first Writable, without looking at a body.
func HTTPFunc(fn func(c *Conn, r *Request, w *HTTPWriter) error) func(*Conn) HTTPHandler {
	return func(*Conn) HTTPHandler { return &httpFunc{fn: fn} }
}

type httpFunc struct {
	fn func(*Conn, *Request, *HTTPWriter) error
	r  *Request
}

func (h *httpFunc) Request(c *Conn, r *Request) error {
	h.r = r
	return c.RequestWritable()
}

func (h *httpFunc) Writable(c *Conn, w *HTTPWriter) error {
	if w.r != h.r || w.headed {
		return nil
	}
	if err := h.fn(c, h.r, w); err != nil {
		return err
	}
	if !w.headed {
		return errHandlerUndecided
	}
	if !w.ended {
		return w.End()
	}
	return nil
}

// Request is one request: its line, its header, and the state of its body. It is
// valid until its response has ended (HTTP) or Opened has returned (WebSocket);
// after that all its methods return zero values. Loop thread only.
type Request struct {
	c     *Conn
	head  h1.Request
	table *header.Table // nil: over
	mount string
	w     HTTPWriter
	shown bool // to a handler, or a filter: it may be held
}

func (r *Request) over() bool { return r.table == nil }

// Method returns the method, e.g. "GET".
func (r *Request) Method() string {
	if r.over() {
		return ""
	}
	return r.head.MethodName()
}

// Path returns the path, decoded and normalised: it begins with a slash, and has
// no "//", "/./" or "/../" in it.
func (r *Request) Path() string {
	if r.over() {
		return ""
	}
	return string(r.head.Path())
}

// MountPath returns what follows the mount's path in Path: "" for the mount
// itself, "/x" below it. Without a mount it is Path.
func (r *Request) MountPath() string { return string(r.MountPathBytes()) }

// MountPathBytes is MountPath without a copy; the bytes are lent as long as r is
// valid.
func (r *Request) MountPathBytes() []byte {
	if r.over() {
		return nil
	}
	p := r.head.Path()
	if len(r.mount) > 1 {
		p = p[len(r.mount):]
	}
	return p
}

// Target returns the request target as it was sent.
func (r *Request) Target() string {
	if r.over() {
		return ""
	}
	return string(r.head.Target())
}

// Query returns what follows the first '?' of the target, as it was sent.
func (r *Request) Query() string {
	if r.over() {
		return ""
	}
	return string(r.head.RawQuery())
}

// Arg returns the decoded value of the first query argument of that name.
func (r *Request) Arg(name string) (string, bool) {
	if r.over() {
		return "", false
	}
	v, ok := h1.Arg(r.head.RawQuery(), name)
	return string(v), ok
}

// Host returns the Host field, with the port if there was one.
func (r *Request) Host() string {
	if r.over() {
		return ""
	}
	return string(r.head.Host())
}

// Header returns the first value of a field, "" if there is none. The name is in
// lower case.
func (r *Request) Header(name string) string { return string(r.HeaderBytes(name)) }

// HeaderBytes is Header without a copy; the bytes are lent as long as r is valid.
func (r *Request) HeaderBytes(name string) []byte {
	if r.over() {
		return nil
	}
	return r.table.Get(name)
}

// Fields returns all header fields in order, names in lower case.
func (r *Request) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		if r.over() {
			return
		}
		for i := range r.table.Len() {
			n, v := r.table.At(i)
			if !yield(string(n), string(v)) {
				return
			}
		}
	}
}

// ContentLength returns the length that the request announced for its body, -1
// if there was none.
func (r *Request) ContentLength() int64 {
	if r.over() {
		return -1
	}
	return r.head.ContentLength
}

// Conn returns the connection.
func (r *Request) Conn() *Conn { return r.c }

// Table gives protocol packages the parsed header fields; nil when r is over.
func (r *Request) Table() *header.Table { return r.table }

// Hold lifts ContentTimeout for this response: for one that stays open and has
// something to say only now and then. A peer that closes its side is taken to be
// gone, and ends it.
func (r *Request) Hold() {
	if !r.over() {
		r.w.held = true
		if h, ok := r.c.link.role.(*h1Role); ok {
			h.rearm(r.c.link)
		}
	}
}
