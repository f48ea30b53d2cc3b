package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// tracer is an HTTP handler that notes what happens, under the name of its mount.
type tracer struct {
	name string
	log  *[]string
	c    *core.Conn
	body []byte
	w    func(w *core.HTTPWriter) error
}

func (h *tracer) note(s string) { *h.log = append(*h.log, h.name+":"+s) }
func (h *tracer) Request(c *core.Conn, r *core.Request) error {
	h.note("request " + r.MountPath())
	h.c = c
	if r.ContentLength() > 0 || r.Header("transfer-encoding") != "" {
		return nil
	}
	return c.RequestWritable()
}
func (h *tracer) Body(_ *core.Conn, p []byte) error { h.body = append(h.body, p...); return nil }
func (h *tracer) BodyDone(c *core.Conn) error {
	h.note(fmt.Sprintf("body %q", h.body))
	return c.RequestWritable()
}
func (h *tracer) Writable(_ *core.Conn, w *core.HTTPWriter) error {
	if h.w != nil {
		return h.w(w)
	}
	return w.Respond(200, nil, []byte(h.name))
}
func (h *tracer) Closed(*core.Conn, error) { h.note("closed") }

func traced(name string, log *[]string, w func(*core.HTTPWriter) error) core.Protocol {
	return core.Protocol{Name: name, HTTP: func(*core.Conn) core.HTTPHandler {
		*log = append(*log, name+":new")
		return &tracer{name: name, log: log, w: w}
	}}
}

// TestCallbackMounts_28_T7: successive requests of a connection for one mount share
// a handler; another mount lets it go.
func TestCallbackMounts_28_T7(t *testing.T) {
	var log []string
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{
		Protocols: []core.Protocol{traced("first", &log, nil), traced("a", &log, nil), traced("b", &log, nil)},
		Mounts:    []core.Mount{core.Callback("/a", "a"), core.Callback("/b", "b"), {Path: "/a/hole", Hole: true}},
	}}})
	p := w.dial()
	for _, path := range []string{"/a", "/a/x", "/b/y", "/none", "/ax", "/a/hole/z"} {
		p.WriteString("GET " + path + " HTTP/1.1\r\nHost: h\r\n\r\n")
		w.k.Drive()
	}
	p.Close()
	w.k.Drive()
	want := "a:new a:request  a:request /x a:closed b:new b:request /y b:closed first:new first:request /none first:request /ax first:request /a/hole/z first:closed"
	if got := strings.Join(log, " "); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestRequestBodies(t *testing.T) {
	var log []string
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{MaxBody: 20}, VHosts: []core.VHost{{Protocols: []core.Protocol{traced("p", &log, nil)}}}})
	for in, want := range map[string]string{
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 5\r\n\r\nhello":                                     `body "hello"`,
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n":                                          `body ""`,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n": `body "hello"`,
		"POST / HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: 2\r\n\r\nhi":                `100 Continue`,
		"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 21\r\n\r\n":                                         `413`,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nff\r\n":                           `413`,
		"POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n":                           `400`,
	} {
		log = nil
		p := w.dial()
		for i := range in {
			p.WriteString(in[i : i+1])
			w.k.Drive()
		}
		got := p.answer() + " " + strings.Join(log, " ")
		if !strings.Contains(got, want) {
			t.Errorf("%q: %q lacks %s", in, got, want)
		}
	}
}

// TestResponses writes responses of every kind and holds the bytes.
func TestResponses(t *testing.T) {
	var steps func(w *core.HTTPWriter) error
	proto := core.Protocol{Name: "r", HTTP: func(*core.Conn) core.HTTPHandler {
		var log []string
		return &tracer{name: "r", log: &log, w: func(w *core.HTTPWriter) error { return steps(w) }}
	}}
	world := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Header: core.Header{{Name: "x-vhost", Value: "yes"}}, Protocols: []core.Protocol{proto}}}})
	run := func(method, version string, f func(w *core.HTTPWriter) error) (string, bool) {
		steps = f
		p := world.dial()
		p.WriteString(method + " / " + version + "\r\nHost: h\r\n\r\n")
		got := p.answer()
		_, rest, _ := strings.Cut(got, "date: ")
		_, rest, _ = strings.Cut(rest, "\r\n")
		status, _, _ := strings.Cut(got, "\r\n")
		eof := p.EOF()
		p.Reset()
		world.k.Drive()
		return status + "|" + rest, eof
	}
	for _, c := range []struct {
		method, version string
		f               func(w *core.HTTPWriter) error
		want            string
		eof             bool
	}{
		{"GET", "HTTP/1.1", func(w *core.HTTPWriter) error {
			return w.Respond(201, core.Header{{Name: "a", Value: "b"}}, []byte("x"))
		},
			"HTTP/1.1 201 Created|a: b\r\nx-vhost: yes\r\ncontent-length: 1\r\n\r\nx", false},
		{"GET", "HTTP/1.1", func(w *core.HTTPWriter) error {
			return w.Respond(200, core.Header{{Name: "x-vhost", Value: "no"}}, nil)
		},
			"HTTP/1.1 200 OK|x-vhost: no\r\ncontent-length: 0\r\n\r\n", false},
		{"HEAD", "HTTP/1.1", func(w *core.HTTPWriter) error { return w.Respond(200, nil, []byte("12345")) },
			"HTTP/1.1 200 OK|x-vhost: yes\r\ncontent-length: 5\r\n\r\n", false},
		{"GET", "HTTP/1.1", func(w *core.HTTPWriter) error { return w.Respond(204, nil, nil) }, "HTTP/1.1 204 No Content|x-vhost: yes\r\n\r\n", false},
		{"GET", "HTTP/1.1", func(w *core.HTTPWriter) error { return w.Respond(304, nil, nil) }, "HTTP/1.1 304 Not Modified|x-vhost: yes\r\n\r\n", false},
		{"GET", "HTTP/1.0", func(w *core.HTTPWriter) error { return w.Respond(200, nil, []byte("x")) },
			"HTTP/1.1 200 OK|x-vhost: yes\r\ncontent-length: 1\r\nconnection: close\r\n\r\nx", true},
		{"GET", "HTTP/1.1", func(w *core.HTTPWriter) error { return errors.New("failed") },
			"HTTP/1.1 500 Internal Server Error", true},
		{"GET", "HTTP/1.1", func(w *core.HTTPWriter) error { return &core.HTTPError{Status: 409} }, "HTTP/1.1 409 Conflict", true},
	} {
		got, eof := run(c.method, c.version, c.f)
		if !strings.HasPrefix(got, c.want) || eof != c.eof {
			t.Errorf("%s %s:\ngot  %q, end %v\nwant %q, end %v", c.method, c.version, got, eof, c.want, c.eof)
		}
	}
}

// streamer writes a body in pieces: one write for each Writable.
type streamer struct {
	length int64
	pieces []string
	at     int
	headed bool
	errs   []error
}

func (h *streamer) Request(c *core.Conn, _ *core.Request) error { return c.RequestWritable() }
func (h *streamer) Writable(c *core.Conn, w *core.HTTPWriter) error {
	if !h.headed {
		h.headed = true
		if err := w.Head(200, nil, h.length); err != nil {
			return err
		}
		_, err := w.Write([]byte("too early")) // Head was this Writable's write
		h.errs = append(h.errs, err)
		return c.RequestWritable()
	}
	if h.at == len(h.pieces) {
		return w.End()
	}
	if _, err := w.Write([]byte(h.pieces[h.at])); err != nil {
		return err
	}
	h.at++
	return c.RequestWritable()
}

func TestBodiesInPieces(t *testing.T) {
	for _, c := range []struct {
		length  int64
		version string
		want    string
		eof     bool
	}{
		{5, "HTTP/1.1", "content-length: 5\r\n\r\nhello", false},
		{-1, "HTTP/1.1", "transfer-encoding: chunked\r\n\r\n3\r\nhel\r\n2\r\nlo\r\n0\r\n\r\n", false},
		{-1, "HTTP/1.0", "connection: close\r\n\r\nhello", true},
	} {
		h := &streamer{length: c.length, pieces: []string{"hel", "lo"}}
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{
			Name: "s", HTTP: func(*core.Conn) core.HTTPHandler { return h }}}}}})
		p := w.dial()
		p.WriteString("GET / " + c.version + "\r\nHost: h\r\n\r\n")
		if got := p.answer(); !strings.HasSuffix(got, c.want) || p.EOF() != c.eof {
			t.Errorf("length %d, %s: %q, end %v", c.length, c.version, got, p.EOF())
		}
		if len(h.errs) != 1 || !errors.Is(h.errs[0], core.ErrAlreadyWritten) {
			t.Errorf("a second write in one Writable: %v", h.errs)
		}
	}
}

func TestWriterRefusesWhatWouldBreakTheFraming(t *testing.T) {
	var errs []error
	try := func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
		errs = append(errs,
			w.Respond(200, core.Header{{Name: "transfer-encoding", Value: "chunked"}}, nil),
			w.Respond(200, core.Header{{Name: "a", Value: "b\r\nc: d"}}, nil),
			w.Respond(200, core.Header{{Name: "Upper", Value: "x"}}, nil),
			w.Respond(99, nil, nil),
			w.Respond(101, nil, nil))
		_, err := w.Write([]byte("x"))
		errs = append(errs, err, w.End())
		return w.Respond(200, nil, []byte("fine"))
	}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{Name: "t", HTTP: core.HTTPFunc(try)}}}}})
	p := w.dial()
	p.WriteString("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := p.answer(); !strings.HasSuffix(got, "fine") {
		t.Errorf("%q", got)
	}
	want := []error{core.ErrHeaderForbidden, core.ErrHeaderSyntax, core.ErrHeaderSyntax, core.ErrStatus, core.ErrStatus, core.ErrHeadNotWritten, core.ErrHeadNotWritten}
	for i := range want {
		if i >= len(errs) || !errors.Is(errs[i], want[i]) {
			t.Errorf("call %d: %v, want %v", i, errs[min(i, len(errs)-1)], want[i])
		}
	}
}

func TestUpgradeRefusals(t *testing.T) {
	vh := core.VHost{DefaultProtocol: "-", Protocols: []core.Protocol{
		{Name: "echo", WS: core.OnMessage(echoFn)},
		{Name: "private", WS: core.OnMessage(echoFn), FilterWS: func(_ *core.Conn, r *core.Request) error {
			if r.Header("cookie") == "" {
				return errors.New("no cookie")
			}
			return nil
		}},
	}}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	get := "GET / HTTP/1.1\r\nHost: h\r\n"
	up := "Upgrade: websocket\r\nConnection: Upgrade\r\n"
	key := "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
	v13 := "Sec-WebSocket-Version: 13\r\n"
	for _, c := range []struct{ in, want string }{
		{get + up + key + v13 + "Sec-WebSocket-Protocol: x, echo\r\n", "101"},
		{get + up + key + v13, "400"},
		{get + up + key + v13 + "Sec-WebSocket-Protocol: unknown\r\n", "400"},
		{get + up + key + v13 + "Sec-WebSocket-Protocol: ,\r\n", "400"},
		{get + up + key + v13 + "Sec-WebSocket-Protocol: private\r\n", "403"},
		{get + up + key + v13 + "Sec-WebSocket-Protocol: private\r\nCookie: x\r\n", "101"},
		{get + up + key + "Sec-WebSocket-Version: 8\r\n", "426"},
		{get + up + v13, "400"},
		{get + up + "Sec-WebSocket-Key: short\r\n" + v13, "400"},
		{strings.Replace(get, "GET", "POST", 1) + up + key + v13, "405"},
	} {
		p := w.dial()
		p.WriteString(c.in + "\r\n")
		got := p.answer()
		if !strings.HasPrefix(got, "HTTP/1.1 "+c.want) {
			t.Errorf("%q: %.40q, want %s", c.in, got, c.want)
		}
		if c.want == "426" && !strings.Contains(got, "sec-websocket-version: 13\r\n") {
			t.Errorf("426 without the version: %q", got)
		}
		if strings.Contains(c.in, "x, echo") && !strings.Contains(got, "sec-websocket-protocol: echo\r\n") {
			t.Errorf("the subprotocol is not echoed: %q", got)
		}
	}
}

// TestLogLevelsPerVHost: each vhost has its own level.
func TestLogLevelsPerVHost(t *testing.T) {
	var buf bytes.Buffer
	base := slog.New(slog.NewTextHandler(&buf, &slog.HandlerOptions{Level: slog.LevelDebug}))
	loud, quiet := httpVHost(), httpVHost()
	loud.Name, loud.Level = "loud", slog.LevelDebug
	quiet.Name, quiet.Level = "quiet", slog.LevelError
	w := newWorld(t, sim.Options{}, core.Config{Log: base, VHosts: []core.VHost{loud, quiet}})
	p := w.dial()
	p.WriteString(strings.Replace(handshake, "Host: host", "Host: loud", 1) + "\r\n")
	w.k.Drive()
	if s := buf.String(); !strings.Contains(s, "type=*core.messageHandler has=[]") {
		t.Errorf("the handler's methods are not listed: %s", s)
	}
	w.eng.VHost("loud").Log().Info("from loud")
	w.eng.VHost("quiet").Log().Info("from quiet")
	if s := buf.String(); !strings.Contains(s, "from loud") || strings.Contains(s, "from quiet") || !strings.Contains(s, "vhost=loud") {
		t.Errorf("log: %s", s)
	}
}

func TestRequestsAreDeadAfterTheirResponse(t *testing.T) {
	var kept *core.Request
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{Name: "k", HTTP: core.HTTPFunc(
		func(_ *core.Conn, r *core.Request, w *core.HTTPWriter) error {
			kept = r
			return w.Respond(200, nil, nil)
		})}}}}})
	p := w.dial()
	p.WriteString("GET /path?q HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n")
	w.k.Drive()
	if kept.Method() != "" || kept.Path() != "" || kept.Query() != "" || kept.Header("a") != "" || kept.Host() != "" || kept.ContentLength() != -1 {
		t.Error("a request can be read after its response has ended")
	}
}

func TestFilterConn(t *testing.T) {
	n := 0
	w := newWorld(t, sim.Options{}, core.Config{FilterConn: func(_ *core.VirtualHost, peer string) bool {
		if n++; n == 2 {
			panic("in the filter")
		}
		return n != 1
	}, VHosts: []core.VHost{httpVHost()}})
	for _, gone := range []bool{true, true, false} {
		p := w.dial()
		w.k.Drive()
		if p.Gone() != gone {
			t.Errorf("connection %d: gone %v", n, p.Gone())
		}
	}
	if st := w.eng.Stats(); st.Refused != 2 || st.Conns != 1 {
		t.Errorf("%+v", st)
	}
}

// holder answers never: a response that stays open.
type holder struct{ closed int }

func (h *holder) Request(c *core.Conn, r *core.Request) error {
	r.Hold()
	return c.RequestWritable()
}
func (h *holder) Writable(_ *core.Conn, w *core.HTTPWriter) error {
	if w.Headed() {
		return nil
	}
	return w.Head(200, nil, -1)
}
func (h *holder) Closed(*core.Conn, error) { h.closed++ }

// TestHeldResponse: it outlives ContentTimeout, and ends when its peer goes away.
func TestHeldResponse(t *testing.T) {
	h := &holder{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{
		Name: "h", HTTP: func(*core.Conn) core.HTTPHandler { return h }}}}}})
	p := w.dial()
	p.WriteString("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := p.answer(); !strings.Contains(got, "chunked") {
		t.Fatalf("%q", got)
	}
	w.k.Advance(time.Hour)
	if p.Gone() {
		t.Fatal("closed by a limit")
	}
	p.CloseWrite()
	w.k.Drive()
	if h.closed != 1 || !p.Gone() {
		t.Errorf("closed %d times when the peer left", h.closed)
	}
}
