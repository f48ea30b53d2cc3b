package core

import (
	"fmt"
	"html"

	"anyloop/core/h1"
)

// HTTPWriter writes a response: either all of it with Respond, or Head, then
// body pieces with Write, then End. It is valid during the Writable callback it
// was given to; one of Respond, Head and Write counts as the write of that
// callback. End may follow in the same one. Its methods do not keep what they
// are given. Loop thread only.
type HTTPWriter struct {
	r       *Request
	live    bool
	used    bool
	headed  bool
	ended   bool
	noBody  bool // HEAD, 204, 304
	chunked bool
	held    bool
	toClose bool // the body ends with the connection (HTTP/1.0)
	status  int
	left    int64 // of the content-length
	n       int   // bytes of the write that was accepted
}

// bodyPiece is the most that one Write takes.
const bodyPiece = 64 << 10

// Status returns the status that was written, 0 if none was.
func (w *HTTPWriter) Status() int { return w.status }

// Headed reports whether the head is written.
func (w *HTTPWriter) Headed() bool { return w.headed }

// Respond writes a whole response. body is the caller's again when it returns;
// for HEAD it only gives the content-length.
func (w *HTTPWriter) Respond(status int, h Header, body []byte) error {
	if err := w.head(status, h, int64(len(body)), len(body)); err != nil {
		return err
	}
	if !w.noBody {
		w.r.c.link.send(body)
		w.left = 0
	}
	w.end()
	return nil
}

// Head writes the status line and header. length is the body's length in bytes,
// or -1 if it is not known: the body is then chunked, or for HTTP/1.0 ends with
// the connection. Connection-level fields are ours (ErrHeaderForbidden).
func (w *HTTPWriter) Head(status int, h Header, length int64) error {
	if err := w.head(status, h, length, 0); err != nil {
		return err
	}
	if w.noBody || length == 0 {
		w.end()
	}
	return nil
}

// Write writes a piece of the body and returns how much of p it took, at most
// 64 KiB; ask for the next Writable for the rest. A body of known length ends by
// itself with its last byte.
func (w *HTTPWriter) Write(p []byte) (int, error) {
	switch {
	case !w.live || w.used:
		return 0, w.take(len(p))
	case w.ended:
		return 0, ErrResponseEnded
	case !w.headed:
		return 0, ErrHeadNotWritten
	case w.noBody:
		return 0, ErrBodyNotAllowed
	}
	n := min(len(p), bodyPiece, w.Allowance())
	if w.left >= 0 && int64(n) > w.left {
		return 0, ErrContentLength
	}
	if err := w.take(n); err != nil {
		return 0, err
	}
	if n == 0 {
		return 0, nil
	}
	l := w.r.c.link
	switch {
	case w.chunked:
		b := l.outbuf(h1.MaxChunkHeader + n + 2)
		*b = h1.AppendChunkHeader(*b, n)
		l.send(p[:n])
		b = l.outbuf(2)
		*b = append(*b, '\r', '\n')
	default:
		l.send(p[:n])
	}
	if w.left >= 0 {
		if w.left -= int64(n); w.left == 0 {
			w.end()
		}
	}
	return n, nil
}

// End ends the body. ErrContentLength if less was written than announced: the
// connection then closes, since the peer could not tell.
func (w *HTTPWriter) End() error {
	switch {
	case !w.live:
		return ErrWriterExpired
	case w.ended:
		return nil
	case !w.headed:
		return ErrHeadNotWritten
	case w.left > 0 && !w.noBody:
		return ErrContentLength
	}
	w.end()
	return nil
}

// Error responds with a small HTML page. text is trusted HTML: never put parts
// of the request into it unescaped. On 404 the vhost's ErrorDocument404 is
// redirected to instead.
func (w *HTTPWriter) Error(status int, text string) error {
	vh := w.r.c.vh()
	if doc := vh.cfg.ErrorDocument404; status == 404 && doc != "" && w.r.Path() != doc {
		return w.Redirect(302, doc)
	}
	if text == "" {
		text = h1.StatusText(status)
	}
	return w.Respond(status, htmlHeader, errorPage(status, text))
}

// Redirect responds with a redirection and no body.
func (w *HTTPWriter) Redirect(status int, location string) error {
	return w.Respond(status, Header{{"location", location}}, nil)
}

// Allowance returns how many bytes Write will take now.
func (w *HTTPWriter) Allowance() int {
	if !w.live || w.ended {
		return 0
	}
	c := w.r.c
	return min(bodyPiece, c.link.role.allowance(c))
}

var htmlHeader = Header{{"content-type", "text/html; charset=utf-8"}}

// maxErrorText keeps synthesized pages small.
const maxErrorText = 256

func errorPage(status int, text string) []byte {
	if len(text) > maxErrorText {
		text = text[:maxErrorText]
	}
	return fmt.Appendf(nil, `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>%d</title>`+
		`<link rel="stylesheet" href="/error.css"></head><body><h1>%d</h1><p>%s</p></body></html>`+"\n", status, status, text)
}

// Escape makes text of any origin harmless in an HTML page.
func Escape(s string) string { return html.EscapeString(s) }

// take uses the writer up.
func (w *HTTPWriter) take(n int) error {
	if !w.live {
		return ErrWriterExpired
	}
	if w.used {
		c := w.r.c
		c.vh().log.Warn("illegal back-to-back write; the second is refused",
			"conn", c.String(), "first", w.n, "second", n)
		return ErrAlreadyWritten
	}
	w.used, w.n = true, n
	return nil
}

// head checks and writes the head; body is how much follows at once.
func (w *HTTPWriter) head(status int, h Header, length int64, body int) error {
	switch {
	case !w.live:
		return ErrWriterExpired
	case w.headed:
		return ErrHeadWritten
	case status < 200 || status > 599:
		return ErrStatus
	}
	for i := range h {
		if err := checkField(h[i]); err != nil {
			return err
		}
	}
	if err := w.take(body); err != nil {
		return err
	}
	w.r.c.link.role.(*h1Role).writeHead(w, status, h, length)
	return nil
}

func checkField(f Field) error {
	switch f.Name {
	case "connection", "transfer-encoding", "keep-alive", "upgrade", "proxy-connection", "te", "trailer", "content-length":
		return fmt.Errorf("%w: %s", ErrHeaderForbidden, f.Name)
	}
	if !h1.ValidField(f.Name, f.Value) {
		return fmt.Errorf("%w: %q", ErrHeaderSyntax, f.Name)
	}
	return nil
}

// end closes the response.
func (w *HTTPWriter) end() {
	if w.chunked && !w.noBody {
		l := w.r.c.link
		b := l.outbuf(8)
		*b = h1.AppendLastChunk(*b)
	}
	w.ended = true
}
