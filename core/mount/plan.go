package mount

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"anyloop/core"
	"anyloop/core/h1"
)

// conditions is what a request says besides which file it wants.
type conditions struct {
	ifMatch, ifNoneMatch, ifModified, ifUnmodified string
	rng, ifRange                                   string
	head                                           bool
}

func conditionsOf(r *core.Request) conditions {
	return conditions{
		ifMatch: r.Header("if-match"), ifNoneMatch: r.Header("if-none-match"),
		ifModified: r.Header("if-modified-since"), ifUnmodified: r.Header("if-unmodified-since"),
		rng: r.Header("range"), ifRange: r.Header("if-range"), head: r.Method() == "HEAD",
	}
}

// plan is an answer, decided: status, header, and which bytes follow.
type plan struct {
	status int
	header core.Header
	length int64
	parts  []part
}

// part is literal bytes, then a span of the file.
type part struct {
	text string
	span span
}

// decide makes the answer for an entry (RFC 9110 13.2.2: the order of
// preconditions).
func (t *tree) decide(e *entry, q conditions) plan {
	p := plan{status: 200, header: t.header(e), length: e.size, parts: []part{{span: span{0, e.size}}}}
	switch {
	case q.ifMatch != "" && !matches(q.ifMatch, e.etag, false),
		q.ifMatch == "" && q.ifUnmodified != "" && modifiedSince(e, q.ifUnmodified):
		return plan{status: 412, header: core.Header{}}
	case q.ifNoneMatch != "" && matches(q.ifNoneMatch, e.etag, true),
		q.ifNoneMatch == "" && q.ifModified != "" && notModifiedSince(e, q.ifModified):
		return plan{status: 304, header: p.header}
	}
	if q.rng == "" || q.head || e.coding != "" || !ifRangeHolds(e, q.ifRange) {
		return p
	}
	spans, ok := parseRange(q.rng, e.size)
	switch {
	case !ok:
		return p
	case len(spans) == 0:
		return plan{status: 416, header: core.Header{{Name: "content-range", Value: "bytes */" + strconv.FormatInt(e.size, 10)}}}
	case len(spans) == 1:
		p.status, p.length, p.parts = 206, spans[0].n, []part{{span: spans[0]}}
		p.header = append(p.header, core.Field{Name: "content-range", Value: contentRange(spans[0], e.size)})
		return p
	}
	return multipart(p, e, spans)
}

func (t *tree) header(e *entry) core.Header {
	h := make(core.Header, 0, 8)
	if e.ctype != "" {
		h = append(h, core.Field{Name: "content-type", Value: e.ctype})
	}
	h = append(h, core.Field{Name: "etag", Value: e.etag}, core.Field{Name: "cache-control", Value: t.cacheControl})
	if !e.mtime.IsZero() {
		h = append(h, core.Field{Name: "last-modified", Value: string(h1.AppendDate(make([]byte, 0, 32), e.mtime))})
	}
	if e.near != 0 {
		h = append(h, core.Field{Name: "vary", Value: "accept-encoding"})
	}
	if e.coding != "" {
		return append(h, core.Field{Name: "content-encoding", Value: e.coding})
	}
	return append(h, core.Field{Name: "accept-ranges", Value: "bytes"})
}

// multipart makes a multipart/byteranges body (RFC 9110 14.6).
func multipart(p plan, e *entry, spans []span) plan {
	boundary := fmt.Sprintf("%x-%d", strings.Trim(e.etag, `"`), len(spans))
	p.status, p.length, p.parts = 206, 0, nil
	for _, s := range spans {
		text := "\r\n--" + boundary + "\r\n"
		if e.ctype != "" {
			text += "content-type: " + e.ctype + "\r\n"
		}
		text += "content-range: " + contentRange(s, e.size) + "\r\n\r\n"
		p.parts = append(p.parts, part{text, s})
		p.length += int64(len(text)) + s.n
	}
	end := "\r\n--" + boundary + "--\r\n"
	p.parts = append(p.parts, part{text: end})
	p.length += int64(len(end))
	for i := range p.header {
		if p.header[i].Name == "content-type" {
			p.header = append(p.header[:i], p.header[i+1:]...)
			break
		}
	}
	p.header = append(p.header, core.Field{Name: "content-type", Value: "multipart/byteranges; boundary=" + boundary})
	return p
}

const httpTime = "Mon, 02 Jan 2006 15:04:05 GMT"

// matches holds an entity tag against a list (RFC 9110 8.8.3.2); weak compares
// weak tags too.
func matches(list, etag string, weak bool) bool {
	for el := range strings.SplitSeq(list, ",") {
		el = strings.Trim(el, " \t")
		if el == "*" {
			return true
		}
		if w, ok := strings.CutPrefix(el, "W/"); ok {
			if !weak {
				continue
			}
			el = w
		}
		if el == etag {
			return true
		}
	}
	return false
}

// date reads any of the three forms (RFC 9110 5.6.7).
func date(s string) (time.Time, bool) {
	for _, form := range []string{httpTime, "Monday, 02-Jan-06 15:04:05 GMT", time.ANSIC} {
		if t, err := time.Parse(form, s); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}

func notModifiedSince(e *entry, s string) bool {
	t, ok := date(s)
	return ok && !e.mtime.IsZero() && !e.mtime.Truncate(time.Second).After(t)
}

func modifiedSince(e *entry, s string) bool {
	t, ok := date(s)
	return ok && !e.mtime.IsZero() && e.mtime.Truncate(time.Second).After(t)
}

// ifRangeHolds: RFC 9110 13.1.5, by strong comparison.
func ifRangeHolds(e *entry, s string) bool {
	if s == "" {
		return true
	}
	if strings.HasPrefix(s, `"`) {
		return s == e.etag
	}
	t, ok := date(s)
	return ok && !e.mtime.IsZero() && e.mtime.Truncate(time.Second).Equal(t)
}
