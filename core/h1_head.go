package core

import (
	"anyloop/core/h1"
)

// writeHead writes status line and header, with the fields that are ours.
func (r *h1Role) writeHead(w *HTTPWriter, status int, h Header, length int64) {
	req, l := w.r, w.r.c.link
	vh := l.own().vh()
	if r.renames(w, status) {
		status = 404
	}
	w.headed, w.status, w.left = true, status, length
	w.noBody = !h1.BodyAllowed(req.head.Method, status)
	if length < 0 && !w.noBody {
		w.chunked = req.head.Minor >= 1
		if w.toClose = !w.chunked; w.toClose {
			r.keep = false
		}
	}
	size := 256
	for i := range h {
		size += len(h[i].Name) + len(h[i].Value) + 4
	}
	b := l.outbuf(size)
	out := h1.AppendStatus(*b, 1, status)
	out = l.th.appendDate(out)
	out = appendFields(out, h, nil)
	out = r.appendAdded(out, l, vh, h)
	if w.chunked {
		out = append(out, "transfer-encoding: chunked\r\n"...)
	} else {
		out = appendLength(out, status, length)
	}
	*b = r.appendConnection(out, req)
}

// renames reports whether a 200 becomes a 404: it is the vhost's page for that.
func (r *h1Role) renames(w *HTTPWriter, status int) bool {
	doc := w.r.c.vh().cfg.ErrorDocument404
	return doc != "" && status == 200 && string(w.r.head.Path()) == doc
}

// appendDate writes the date field, made once a second.
func (th *Thread) appendDate(dst []byte) []byte {
	dst = append(dst, "date: "...)
	dst = append(dst, th.date()...)
	return append(dst, '\r', '\n')
}

// appendAdded writes what vhost and mount add to a header.
func (r *h1Role) appendAdded(dst []byte, l *link, vh *VirtualHost, h Header) []byte {
	dst = appendFields(dst, vh.cfg.Header, h)
	dst = l.appendHSTS(dst, h)
	if r.mount != nil {
		dst = appendFields(dst, r.mount.Header, h)
	}
	return dst
}

// appendLength writes the content-length, if it is known and the status has one.
func appendLength(dst []byte, status int, length int64) []byte {
	if length < 0 || status == 204 || status == 304 {
		return dst
	}
	dst = append(dst, "content-length: "...)
	dst = h1.AppendInt(dst, length)
	return append(dst, '\r', '\n')
}

// appendConnection writes whether the connection goes on, where that has to be
// said, and ends the header.
func (r *h1Role) appendConnection(dst []byte, req *Request) []byte {
	switch {
	case !r.keep:
		dst = append(dst, "connection: close\r\n"...)
	case req.head.Minor == 0:
		dst = append(dst, "connection: keep-alive\r\n"...)
	}
	return append(dst, '\r', '\n')
}

// appendFields writes those of h that over does not have.
func appendFields(dst []byte, h, over Header) []byte {
	for i := range h {
		if len(over) > 0 && over.has(h[i].Name) {
			continue
		}
		dst = append(dst, h[i].Name...)
		dst = append(dst, ": "...)
		dst = append(dst, h[i].Value...)
		dst = append(dst, '\r', '\n')
	}
	return dst
}
