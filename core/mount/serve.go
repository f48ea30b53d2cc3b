package mount

import (
	"errors"
	"io"
	"io/fs"
	"sync"

	"anyloop/core"
)

// chunkSize is how much of a large file a connection holds.
const chunkSize = 64 << 10

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// handler serves files on one connection, one request after the other.
type handler struct {
	t    *tree
	c    *core.Conn
	q    conditions
	key  cacheKey
	path string // of the request, for redirections

	ready  bool // there is a plan, or a status
	res    result
	plan   plan
	file   *openFile
	headed bool
	at     int   // part in progress
	done   int64 // bytes of its span that are read
	text   bool  // its text is sent
	buf    []byte
}

// openFile is a file that a worker may be reading when the connection ends: the
// last of the two closes it.
type openFile struct {
	mu      sync.Mutex
	f       fs.File
	chunk   *[chunkSize]byte
	pos     int64
	reading bool
	over    bool
}

// Request finds out what is asked for.
func (h *handler) Request(c *core.Conn, r *core.Request) error {
	h.reset()
	h.path = r.Path()
	m := r.Method()
	if m != "GET" && m != "HEAD" {
		return h.status(405)
	}
	mp := r.MountPath()
	if mp == "" && h.path != "/" {
		return h.redirect()
	}
	name, folder, ok := h.t.clean(mp)
	if !ok {
		return h.status(404)
	}
	h.q = conditionsOf(r)
	h.key = cacheKey{name, folder, 0}
	if !h.t.opt.NoPrecompressed {
		h.key.a = acceptsOf(r.HeaderBytes("accept-encoding"))
	}
	if e := h.t.cache.get(h.key, c.Thread().Now()); e != nil {
		h.res.entry = e
		return h.found()
	}
	var res result
	return c.Work(func() { res = h.t.lookup(name, folder, h.key.a) }, func(c *core.Conn) error {
		h.res = res
		switch {
		case res.status == 301:
			return h.redirect()
		case res.status != 0:
			if res.err != nil {
				c.VHost().Log().Warn("file", "name", name, "status", res.status, "err", res.err)
			}
			return h.status(res.status)
		}
		if res.file != nil {
			h.file = &openFile{f: res.file}
		}
		h.t.cache.put(h.key, res.entry, c.Thread().Now())
		return h.found()
	})
}

func (h *handler) reset() {
	h.release()
	*h = handler{t: h.t, c: h.c}
}

func (h *handler) found() error {
	h.plan = h.t.decide(h.res.entry, h.q)
	h.ready = true
	return h.c.RequestWritable()
}

func (h *handler) status(code int) error {
	h.res.status, h.ready = code, true
	return h.c.RequestWritable()
}

func (h *handler) redirect() error {
	h.res.location = escapePath(h.path) + "/"
	return h.status(301)
}

// Writable sends the head, or the next chunk.
func (h *handler) Writable(c *core.Conn, w *core.HTTPWriter) error {
	if !h.ready {
		return nil
	}
	if !h.headed {
		h.headed = true
		return h.head(w)
	}
	return h.body(w)
}

func (h *handler) head(w *core.HTTPWriter) error {
	switch h.res.status {
	case 0:
	case 301:
		return w.Redirect(301, h.res.location)
	case 405:
		return w.Respond(405, core.Header{{Name: "allow", Value: "GET, HEAD"}}, nil)
	default:
		return w.Error(h.res.status, "")
	}
	p, e := &h.plan, h.res.entry
	if p.status == 412 || p.status == 416 {
		h.release()
		return w.Respond(p.status, p.header, nil)
	}
	if e.data != nil && len(p.parts) == 1 && p.parts[0].text == "" && p.status != 304 {
		s := p.parts[0].span
		return w.Respond(p.status, p.header, e.data[s.off:s.off+s.n])
	}
	if err := w.Head(p.status, p.header, p.length); err != nil {
		return err
	}
	if h.q.head || p.status == 304 || p.length == 0 {
		h.release()
		return nil
	}
	return h.c.RequestWritable()
}

// body sends what is at hand, or has the next chunk read.
func (h *handler) body(w *core.HTTPWriter) error {
	if len(h.buf) == 0 && !h.fill() {
		return nil
	}
	if len(h.buf) == 0 {
		h.release()
		return nil
	}
	n, err := w.Write(h.buf)
	if err != nil {
		return err
	}
	h.buf = h.buf[n:]
	if len(h.buf) == 0 && h.at >= len(h.plan.parts) {
		h.release()
		return nil
	}
	return h.c.RequestWritable()
}

// fill sets buf to the next bytes; false if a worker is reading them.
func (h *handler) fill() bool {
	for h.at < len(h.plan.parts) {
		p := &h.plan.parts[h.at]
		if !h.text {
			h.text = true
			if p.text != "" {
				h.buf = []byte(p.text)
				h.skipDone()
				return true
			}
		}
		left := p.span.n - h.done
		if left == 0 {
			h.nextPart()
			continue
		}
		off := p.span.off + h.done
		if data := h.res.entry.data; data != nil {
			h.buf = data[off : off+left]
			h.nextPart()
			return true
		}
		h.read(off, int(min(left, chunkSize)))
		return false
	}
	return true
}

func (h *handler) skipDone() {
	if h.plan.parts[h.at].span.n == 0 {
		h.nextPart()
	}
}

func (h *handler) nextPart() { h.at, h.done, h.text = h.at+1, 0, false }

// read has a worker read n bytes at off.
func (h *handler) read(off int64, n int) {
	of := h.file
	of.begin()
	var got int
	var err error
	werr := h.c.Work(func() {
		got, err = of.readAt(off, n)
		of.end()
	}, func(c *core.Conn) error {
		if err != nil {
			c.VHost().Log().Warn("reading a file that is being sent", "name", h.res.entry.name, "err", err)
			return core.ErrDrop // the peer must see that it is not all
		}
		h.buf = of.chunk[:got]
		if h.done += int64(got); h.done == h.plan.parts[h.at].span.n {
			h.nextPart()
		}
		return c.RequestWritable()
	})
	if werr != nil {
		of.end()
		h.c.Drop()
	}
}

// Closed: the connection is over, or goes on with another mount.
func (h *handler) Closed(*core.Conn, error) { h.release() }

func (h *handler) release() {
	if h.file != nil {
		h.file.close()
		h.file = nil
	}
	h.buf = nil
}

func (of *openFile) begin() {
	of.mu.Lock()
	of.reading = true
	if of.chunk == nil {
		of.chunk = chunks.Get().(*[chunkSize]byte)
	}
	of.mu.Unlock()
}

func (of *openFile) end() {
	of.mu.Lock()
	of.reading = false
	if of.over {
		of.free()
	}
	of.mu.Unlock()
}

func (of *openFile) close() {
	of.mu.Lock()
	if !of.over {
		of.over = true
		if !of.reading {
			of.free()
		}
	}
	of.mu.Unlock()
}

func (of *openFile) free() {
	of.f.Close()
	if of.chunk != nil {
		chunks.Put(of.chunk)
		of.chunk = nil
	}
}

// readAt fills n bytes of the chunk. A file that ends early has been truncated.
func (of *openFile) readAt(off int64, n int) (int, error) {
	buf := of.chunk[:n]
	if r, ok := of.f.(io.ReaderAt); ok {
		got, err := r.ReadAt(buf, off)
		if got == n {
			err = nil
		}
		return got, early(err)
	}
	if off != of.pos {
		if err := of.seek(off); err != nil {
			return 0, err
		}
	}
	got, err := io.ReadFull(of.f, buf)
	of.pos += int64(got)
	return got, early(err)
}

func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// seek moves a file without ReadAt: by Seek, or forward by reading.
func (of *openFile) seek(off int64) error {
	if s, ok := of.f.(io.Seeker); ok {
		_, err := s.Seek(off, io.SeekStart)
		of.pos = off
		return err
	}
	if off < of.pos {
		return errors.New("mount: this file system cannot go back in a file")
	}
	n, err := io.CopyN(io.Discard, of.f, off-of.pos)
	of.pos += n
	return early(err)
}
