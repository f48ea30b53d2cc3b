package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// always answers every request with what it is asked to write, at once.
type always struct {
	write func(r *core.Request, w *core.HTTPWriter) error
	r     *core.Request
	seen  map[*core.Request]bool
}

func (h *always) Request(c *core.Conn, r *core.Request) error {
	h.r = r
	if h.seen != nil {
		h.seen[r] = true
	}
	return c.RequestWritable()
}
func (h *always) Writable(_ *core.Conn, w *core.HTTPWriter) error { return h.write(h.r, w) }

// TestPreparedIsRespond: a prepared response says what Respond says, whatever the
// request and the server add or leave out.
func TestPreparedIsRespond(t *testing.T) {
	header := core.Header{{Name: "a", Value: "b"}, {Name: "x-mount", Value: "from the handler"}}
	small, large := []byte("0123456789"), []byte(strings.Repeat("0123456789abcdef", 5000))
	type answer struct {
		status int
		header core.Header
		body   []byte
	}
	for _, a := range []answer{
		{200, header, small}, {200, nil, nil}, {404, header, small}, {204, header, nil}, {304, header, nil}, {200, nil, large},
	} {
		p, err := core.Prepare(a.status, a.header, a.body)
		if err != nil {
			t.Fatal(err)
		}
		responded := mountOf(func(_ *core.Request, w *core.HTTPWriter) error { return w.Respond(a.status, a.header, a.body) })
		prepared := mountOf(func(_ *core.Request, w *core.HTTPWriter) error { return w.RespondPrepared(p) })
		for _, request := range []string{
			"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
			"HEAD / HTTP/1.1\r\nHost: h\r\n\r\n",
			"GET /missing.html HTTP/1.1\r\nHost: h\r\n\r\n",
			"GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n",
			"GET / HTTP/1.0\r\n\r\n",
			"GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n",
			"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\n\r\nabcGET / HTTP/1.1\r\nHost: h\r\n\r\n",
		} {
			want, wantEnd := conversation(t, responded, request)
			got, end := conversation(t, prepared, request)
			if !strings.Contains(got, "\r\nx-vhost: yes\r\n") || !strings.Contains(got, "\r\nx-mount: ") || !strings.Contains(got, "\r\ndate: Tue, 24 Nov 2026 12:00:00 GMT\r\n") {
				t.Errorf("%d, %q: %.300q lacks what the server adds", a.status, request, got)
			}
			if fieldsOf(got) != fieldsOf(want) || end != wantEnd {
				t.Errorf("%d, %q:\ngot  %.300q, end %v\nwant %.300q, end %v", a.status, request, got, end, want, wantEnd)
			}
		}
	}
}

func mountOf(write func(*core.Request, *core.HTTPWriter) error) core.Mount {
	return core.Mount{Path: "/", Header: core.Header{{Name: "x-mount", Value: "yes"}}, HTTP: func(*core.Conn) core.HTTPHandler {
		return &always{write: write}
	}}
}

func conversation(t *testing.T, m core.Mount, request string) (text string, end bool) {
	t.Helper()
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{
		ErrorDocument404: "/missing.html", Header: core.Header{{Name: "x-vhost", Value: "yes"}}, Mounts: []core.Mount{m},
	}}})
	p := w.dial()
	p.SetWriteSize(9999)
	p.WriteString(request)
	text = p.answer()
	return text, p.EOF()
}

// fieldsOf puts the lines of each head into one order: Respond and Prepare agree
// in what they say, not where.
func fieldsOf(text string) string {
	out := ""
	for answer := range strings.SplitSeq(text, "HTTP/1.1 ") {
		head, body, _ := strings.Cut(answer, "\r\n\r\n")
		lines := strings.Split(head, "\r\n")
		n := map[string]int{}
		for _, l := range lines[1:] {
			n[l]++
		}
		out += fmt.Sprint(lines[0], n, body)
	}
	return out
}

func TestPreparedRefusals(t *testing.T) {
	for _, c := range []struct {
		status int
		header core.Header
		body   string
		want   error
	}{
		{199, nil, "", core.ErrStatus},
		{600, nil, "", core.ErrStatus},
		{304, nil, "x", core.ErrBodyNotAllowed},
		{200, core.Header{{Name: "content-length", Value: "1"}}, "", core.ErrHeaderForbidden},
		{200, core.Header{{Name: "a", Value: "b\r\nc: d"}}, "", core.ErrHeaderSyntax},
	} {
		if _, err := core.Prepare(c.status, c.header, []byte(c.body)); !errors.Is(err, c.want) {
			t.Errorf("%d %v %q: %v, want %v", c.status, c.header, c.body, err, c.want)
		}
	}
	page, err := core.Prepare(200, core.Header{{Name: "a", Value: "b"}}, []byte("body"))
	if err != nil {
		t.Fatal(err)
	}
	if n := page.Size(); n < len("ab")+len("body") || n > 200 {
		t.Errorf("Size() = %d", n)
	}
	var kept *core.HTTPWriter
	var errs []error
	text, _ := conversation(t, mountOf(func(_ *core.Request, w *core.HTTPWriter) error {
		kept = w
		errs = append(errs, w.RespondPrepared(page), w.RespondPrepared(page), w.Respond(200, nil, nil))
		return nil
	}), "GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	errs = append(errs, kept.RespondPrepared(page))
	for i, want := range []error{nil, core.ErrHeadWritten, core.ErrHeadWritten, core.ErrWriterExpired} {
		if !errors.Is(errs[i], want) {
			t.Errorf("call %d: %v, want %v", i+1, errs[i], want)
		}
	}
	if strings.Count(text, "HTTP/1.1 200") != 1 {
		t.Errorf("%q", text)
	}
}

// TestPreparedToASlowReader: what the wire refuses of a large body is not copied.
func TestPreparedToASlowReader(t *testing.T) {
	body := []byte(strings.Repeat("0123456789abcdef", 4000))
	page, err := core.Prepare(200, nil, body)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Mounts: []core.Mount{
		mountOf(func(_ *core.Request, w *core.HTTPWriter) error { return w.RespondPrepared(page) }),
	}}}})
	p := w.dial()
	p.SetWriteSize(1000)
	p.WriteString(strings.Repeat("GET / HTTP/1.1\r\nHost: h\r\n\r\n", 3))
	got := p.answer()
	for range 1000 {
		got += p.answer()
	}
	if n := strings.Count(got, string(body)); n != 3 {
		t.Errorf("%d whole bodies in %d bytes, want 3", n, len(got))
	}
	if n := w.eng.Stats().SharedOut; n < uint64(2*len(body)) {
		t.Errorf("%d bytes were taken from where they are", n)
	}
}

// TestReuseRequests: only a mount that says so has one Request serve many.
func TestReuseRequests(t *testing.T) {
	for _, reuse := range []bool{false, true} {
		seen := map[*core.Request]bool{}
		h := &always{seen: seen, write: func(r *core.Request, w *core.HTTPWriter) error {
			if w.Status() != 0 || w.Headed() || r.Method() != "GET" || r.Path() == "" {
				t.Errorf("reuse %v: a request begins with status %d, headed %v, %s %s", reuse, w.Status(), w.Headed(), r.Method(), r.Path())
			}
			return w.Respond(200, nil, []byte(r.Query()))
		}}
		m := core.Mount{Path: "/", ReuseRequests: reuse, HTTP: func(*core.Conn) core.HTTPHandler { return h }}
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Mounts: []core.Mount{m}}}})
		p := w.dial()
		for _, q := range []string{"?first", "?2", ""} {
			p.WriteString("GET /" + q + " HTTP/1.1\r\nHost: h\r\n\r\n")
			if got := p.answer(); !strings.HasSuffix(got, "\r\n\r\n"+strings.TrimPrefix(q, "?")) {
				t.Errorf("reuse %v, %q: %q", reuse, q, got)
			}
		}
		if want := map[bool]int{false: 3, true: 1}[reuse]; len(seen) != want {
			t.Errorf("reuse %v: %d requests, want %d", reuse, len(seen), want)
		}
		if h.r.Method() != "" {
			t.Errorf("reuse %v: the last request is not over", reuse)
		}
	}
}
