package core

import (
	"anyloop/core/h1"
)

// writeHead writes status line and header, with the fields that are ours.
func (r *h1Role) writeHead(w *HTTPWriter, status int, h Header, length int64) {
	req, l := w.r, w.r.c.link
	vh := l.own().vh()
	if status == 200 && vh.cfg.ErrorDocument404 != "" && string(req.head.Path()) == vh.cfg.ErrorDocument404 {
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
	out = append(out, "date: "...)
	out = append(out, l.th.date()...)
	out = append(out, '\r', '\n')
	out = appendFields(out, h, nil)
	out = appendFields(out, vh.cfg.Header, h)
	out = l.appendHSTS(out, h)
	if r.mount != nil {
		out = appendFields(out, r.mount.Header, h)
	}
	switch {
	case w.chunked:
		out = append(out, "transfer-encoding: chunked\r\n"...)
	case length >= 0 && status != 204 && status != 304:
		out = append(out, "content-length: "...)
		out = h1.AppendInt(out, length)
		out = append(out, '\r', '\n')
	}
	switch {
	case !r.keep:
		out = append(out, "connection: close\r\n"...)
	case req.head.Minor == 0:
		out = append(out, "connection: keep-alive\r\n"...)
	}
	*b = append(out, '\r', '\n')
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
