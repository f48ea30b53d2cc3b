package core

import (
	"fmt"

	"anyloop/core/h1"
)

// Prepared is a whole response that is given many times: a small file, a page
// that seldom changes. Its header is checked and put into wire format once. It
// does not change any more, and serves all threads.
type Prepared struct {
	status int
	header Header
	body   []byte
	head   []byte // status line, fields and content-length, for HTTP/1.1
}

// Prepare makes a response for HTTPWriter.RespondPrepared. header and body are not
// copied: they must not change any more. Connection-level fields are ours
// (ErrHeaderForbidden), as is the date. Any goroutine.
func Prepare(status int, header Header, body []byte) (*Prepared, error) {
	if status < 200 || status > 599 {
		return nil, ErrStatus
	}
	if len(body) > 0 && !h1.BodyAllowed(h1.GET, status) {
		return nil, fmt.Errorf("%w: status %d", ErrBodyNotAllowed, status)
	}
	for i := range header {
		if err := checkField(header[i]); err != nil {
			return nil, err
		}
	}
	head := h1.AppendStatus(nil, 1, status)
	head = appendFields(head, header, nil)
	head = appendLength(head, status, int64(len(body)))
	return &Prepared{status: status, header: header, body: body, head: append(make([]byte, 0, len(head)), head...)}, nil
}

// Size returns how much memory the response's text takes, in bytes. Any goroutine.
func (p *Prepared) Size() int {
	n := len(p.head) + len(p.body)
	for i := range p.header {
		n += len(p.header[i].Name) + len(p.header[i].Value)
	}
	return n
}

// RespondPrepared writes a whole response. For HEAD its body only gives the
// content-length.
func (w *HTTPWriter) RespondPrepared(p *Prepared) error {
	switch {
	case !w.live:
		return ErrWriterExpired
	case w.headed:
		return ErrHeadWritten
	}
	if err := w.take(len(p.body)); err != nil {
		return err
	}
	r := w.r.c.link.role.(*h1Role)
	if r.renames(w, p.status) {
		r.writeHead(w, p.status, p.header, int64(len(p.body)))
		if !w.noBody {
			w.r.c.link.send(p.body)
		}
	} else {
		r.writePrepared(w, p)
	}
	w.left = 0
	w.end()
	return nil
}

// writePrepared writes p with the fields that are ours and of today.
func (r *h1Role) writePrepared(w *HTTPWriter, p *Prepared) {
	req, l := w.r, w.r.c.link
	vh := l.own().vh()
	w.headed, w.status = true, p.status
	w.noBody = !h1.BodyAllowed(req.head.Method, p.status)
	body := p.body
	if w.noBody {
		body = nil
	}
	size := len(p.head) + 256
	if len(body) < writevFrom {
		size += len(body)
	}
	b := l.outbuf(size)
	out := append(*b, p.head...)
	out = l.th.appendDate(out)
	out = r.appendAdded(out, l, vh, p.header)
	out = r.appendConnection(out, req)
	if len(body) >= writevFrom {
		*b = out
		l.sendShared(body) // as it does not change, a slow peer costs no copy
		return
	}
	*b = append(out, body...)
}
