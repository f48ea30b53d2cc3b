package mount

import (
	"errors"
	"path"
	"time"

	"anyloop/core"
	"anyloop/core/sys"
)

// transfer is one request that takes more than a look into the cache.
type transfer struct {
	t    *tree
	c    *core.Conn
	all  bool // no conditions: all of the file is wanted
	q    conditions
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

// begin finds out what is asked for; p is what the cache knows of it.
func (x *transfer) begin(r *core.Request, a accepts, p place) error {
	x.q.head = r.Method() == "HEAD"
	if !x.all {
		x.q = conditionsOf(r)
	}
	if p.fresh {
		x.res.entry = p.b.entry
		return x.found()
	}
	mp := r.MountPath()
	if x.path = r.Path(); mp == "" && x.path != "/" {
		return x.redirect()
	}
	name, folder, ok := x.t.clean(mp)
	if !ok {
		return x.status(404)
	}
	w := wanted{path: mp, name: name, folder: folder, a: a, now: x.c.Thread().Now(), place: p}
	if x.res.entry = x.t.readNow(&w); x.res.entry != nil {
		return x.found()
	}
	err := x.look(w)
	if err == nil || p.it == nil {
		return err
	}
	p.it.asking.Store(false)
	if w.now.Sub(p.b.since) < x.t.believe { // it may be looked at later, too
		x.res.entry = p.b.entry
		return x.found()
	}
	return err
}

// wanted is a file that is asked for.
type wanted struct {
	path   string // below the mount
	name   string // for the FS
	folder bool
	a      accepts
	now    time.Time
	place  place
}

// look has a worker look at the file.
func (x *transfer) look(w wanted) error {
	file := &openFile{reading: true} // the connection may end before the worker
	var res result
	err := x.c.Work(func() {
		defer file.end()
		res = x.t.look(&w)
		file.f = res.file
	}, func(c *core.Conn) error {
		x.res = res
		switch {
		case res.status == 301:
			return x.redirect()
		case res.status != 0:
			if res.err != nil {
				c.VHost().Log().Warn("file", "name", w.name, "status", res.status, "err", res.err)
			}
			return x.status(res.status)
		}
		return x.found()
	})
	if err == nil {
		x.file = file
	}
	return err
}

// look is lookup by way of the cache.
func (t *tree) look(w *wanted) result {
	if p := w.place; p.it != nil {
		defer p.it.asking.Store(false)
		if t.unchanged(p.b) {
			t.cache.put(w.path, w.a, &believed{p.b.entry, w.now})
			return result{entry: p.b.entry}
		}
	}
	res := t.lookup(w.name, w.folder, w.a)
	t.keep(w, res.entry)
	return res
}

// keep puts an entry into the cache, if it may be there; nil is no file.
func (t *tree) keep(w *wanted, e *entry) {
	if e != nil && t.cache.fits(w.path, e) {
		t.cache.put(w.path, w.a, &believed{e, w.now})
		return
	}
	t.cache.forget(w.path, w.a)
}

// readNow is look for the loop: nil unless it is a small file in a folder of the
// operating system, without neighbours, which is known and read without waiting.
func (t *tree) readNow(w *wanted) *entry {
	if t.here == nil || t.never.Load() {
		return nil
	}
	name := w.name
	if w.folder {
		name = path.Join(name, t.index)
	}
	dir := int(t.here.Fd())
	if !t.opt.NoPrecompressed {
		for _, c := range codings {
			if !sys.AbsentNow(dir, name+c.ext) {
				return nil
			}
		}
	}
	data, st, err := sys.ReadNow(dir, name, smallFile)
	if err != nil {
		if errors.Is(err, sys.ErrNever) {
			t.never.Store(true)
		}
		return nil
	}
	res := t.whole(&entry{name: name, ctype: t.opt.typeOf(name)}, data, st)
	if res.entry == nil {
		return nil
	}
	t.keep(w, res.entry)
	if w.place.it != nil {
		w.place.it.asking.Store(false)
	}
	return res.entry
}

func (x *transfer) found() error {
	if x.all = x.all && x.res.entry.whole != nil; !x.all {
		x.plan = x.t.decide(x.res.entry, x.q)
	}
	x.ready = true
	return x.c.RequestWritable()
}

func (x *transfer) status(code int) error {
	x.res.status, x.ready = code, true
	return x.c.RequestWritable()
}

func (x *transfer) redirect() error {
	x.res.location = escapePath(x.path) + "/"
	return x.status(301)
}

// writable sends the head, or the next chunk.
func (x *transfer) writable(c *core.Conn, w *core.HTTPWriter) error {
	if !x.ready {
		return nil
	}
	if !x.headed {
		x.headed = true
		return x.head(w)
	}
	return x.body(w)
}

func (x *transfer) head(w *core.HTTPWriter) error {
	switch x.res.status {
	case 0:
	case 301:
		return w.Redirect(301, x.res.location)
	case 405:
		return w.Respond(405, core.Header{{Name: "allow", Value: "GET, HEAD"}}, nil)
	default:
		return w.Error(x.res.status, "")
	}
	p, e := &x.plan, x.res.entry
	if x.all {
		return w.RespondPrepared(e.whole)
	}
	if p.status == 412 || p.status == 416 {
		x.release()
		return w.Respond(p.status, p.header, nil)
	}
	if e.data != nil && len(p.parts) == 1 && p.parts[0].text == "" && p.status != 304 {
		s := p.parts[0].span
		return w.Respond(p.status, p.header, e.data[s.off:s.off+s.n])
	}
	if err := w.Head(p.status, p.header, p.length); err != nil {
		return err
	}
	if x.q.head || p.status == 304 || p.length == 0 {
		x.release()
		return nil
	}
	return x.c.RequestWritable()
}

// body sends what is at hand, or has the next chunk read.
func (x *transfer) body(w *core.HTTPWriter) error {
	if len(x.buf) == 0 && !x.fill() {
		return nil
	}
	if len(x.buf) == 0 {
		x.release()
		return nil
	}
	n, err := w.Write(x.buf)
	if err != nil {
		return err
	}
	x.buf = x.buf[n:]
	if len(x.buf) == 0 && x.at >= len(x.plan.parts) {
		x.release()
		return nil
	}
	return x.c.RequestWritable()
}

// fill sets buf to the next bytes; false if a worker is reading them.
func (x *transfer) fill() bool {
	for x.at < len(x.plan.parts) {
		p := &x.plan.parts[x.at]
		if !x.text {
			x.text = true
			if p.text != "" {
				x.buf = []byte(p.text)
				x.skipDone()
				return true
			}
		}
		left := p.span.n - x.done
		if left == 0 {
			x.nextPart()
			continue
		}
		off := p.span.off + x.done
		if data := x.res.entry.data; data != nil {
			x.buf = data[off : off+left]
			x.nextPart()
			return true
		}
		x.read(off, int(min(left, chunkSize)))
		return false
	}
	return true
}

func (x *transfer) skipDone() {
	if x.plan.parts[x.at].span.n == 0 {
		x.nextPart()
	}
}

func (x *transfer) nextPart() { x.at, x.done, x.text = x.at+1, 0, false }

// read has a worker read n bytes at off.
func (x *transfer) read(off int64, n int) {
	of := x.file
	of.begin()
	var got int
	var err error
	werr := x.c.Work(func() {
		got, err = of.readAt(off, n)
		of.end()
	}, func(c *core.Conn) error {
		if err != nil {
			c.VHost().Log().Warn("reading a file that is being sent", "name", x.res.entry.name, "err", err)
			return core.ErrDrop // the peer must see that it is not all
		}
		x.buf = of.chunk[:got]
		if x.done += int64(got); x.done == x.plan.parts[x.at].span.n {
			x.nextPart()
		}
		return c.RequestWritable()
	})
	if werr != nil {
		of.end()
		x.c.Drop()
	}
}

func (x *transfer) release() {
	if x.file != nil {
		x.file.close()
		x.file = nil
	}
	x.buf = nil
}
