package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

const farAddr = "192.0.2.1:80"

// caller is the handler of a client, and notes what it hears.
type caller struct {
	w      *world
	conn   *core.Conn
	given  *core.Conn // by Dial
	heard  []string
	err    error
	out    *core.Outbox
	drop   bool // in Connected
	sendAt string
}

func (h *caller) note(format string, args ...any) {
	h.heard = append(h.heard, fmt.Sprintf(format, args...))
}

func (h *caller) made(c *core.Conn) core.WSHandler {
	h.conn = c
	if h.given != nil && h.given != c {
		h.w.t.Error("the handler is made for another conn than Dial returned")
	}
	h.note("made")
	return h
}

func (h *caller) Connected(c *core.Conn, r *core.Response) error {
	h.note("connected %d %s", r.Status(), r.Header("x-mark"))
	if h.drop {
		return core.ErrDrop
	}
	return nil
}

func (h *caller) ConnectFailed(c *core.Conn, err error) {
	h.err = err
	h.note("failed")
	if c.Open() || c.RequestWritable() == nil {
		h.w.t.Error("a conn whose connection failed can be written to")
	}
}

func (h *caller) Receive(c *core.Conn, f core.Fragment) error {
	h.note("receive %q", f.Data)
	return nil
}

func (h *caller) Writable(c *core.Conn, w *core.WSWriter) error {
	if h.out != nil {
		return h.out.Writable(w)
	}
	if h.sendAt == "" {
		return nil
	}
	s := h.sendAt
	h.sendAt = ""
	return w.Text([]byte(s))
}

func (h *caller) Closed(c *core.Conn, err error) {
	h.err = err
	h.note("closed")
}

func (h *caller) want(want string) {
	h.w.t.Helper()
	if got := strings.Join(h.heard, ", "); got != want {
		h.w.t.Errorf("the handler heard %q, want %q", got, want)
	}
}

// far is the server that a client reaches.
type far struct {
	*peer
	head string // the request, lower-case names
}

// client starts an engine whose client is h.
func client(t *testing.T, lim core.Limits) (*world, *caller) {
	h := &caller{}
	w := newWorld(t, sim.Options{}, core.Config{Limits: lim, VHosts: []core.VHost{{
		Protocols: []core.Protocol{{Name: "client", WS: h.made}}}}})
	h.w = w
	return w, h
}

func (h *caller) dial(d core.Dial) *core.Conn {
	h.w.t.Helper()
	if d.URL == "" {
		d.URL = "ws://192.0.2.1/chat?room=1"
	}
	c, err := h.w.eng.Thread(0).Dial(h.w.eng.VHost("default"), d)
	if err != nil {
		h.w.t.Fatal(err)
	}
	h.given = c
	return c
}

// listens makes the far address accept, and returns what becomes the server.
func (w *world) listens(addr string) *far {
	f := &far{}
	w.k.Answer(addr, sim.Answer{Accept: func(p *sim.Peer) { f.peer = &peer{Peer: p, w: w} }})
	return f
}

// request drives and reads the client's request.
func (f *far) request() string {
	f.w.t.Helper()
	f.w.k.Drive()
	f.buf = append(f.buf, f.Read()...)
	i := bytes.Index(f.buf, []byte("\r\n\r\n"))
	if i < 0 {
		f.w.t.Fatalf("no request: %q", f.buf)
	}
	f.head = string(f.buf[:i+4])
	f.buf = f.buf[i+4:]
	return f.head
}

func (f *far) key() string {
	_, rest, _ := strings.Cut(f.head, "sec-websocket-key: ")
	key, _, _ := strings.Cut(rest, "\r\n")
	return key
}

// accept is the right answer to the request.
func (f *far) accept(extra string) string {
	return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		string(ws.AppendAccept(nil, []byte(f.key()))) + "\r\nX-Mark: m\r\n" + extra + "\r\n"
}

// opens answers the handshake.
func (f *far) opens() {
	f.w.t.Helper()
	f.request()
	f.WriteString(f.accept(""))
	f.w.k.Drive()
}

// frames reads masked frames: readable, and each must be masked.
func (f *far) frames() string {
	f.w.t.Helper()
	f.w.k.Drive()
	f.buf = append(f.buf, f.Read()...)
	var d ws.Decoder
	d.Init(ws.Server)
	var out []string
	lim := &ws.Limits{}
	for len(f.buf) > 0 {
		ev, n, err := d.Next(f.buf, lim)
		if err != nil {
			f.w.t.Fatalf("the client's frames: %v", err)
		}
		f.buf = f.buf[n:]
		switch ev.Kind {
		case ws.Data:
			out = append(out, fmt.Sprintf("%v %q", ev.Op, ev.Payload))
		case ws.KindPing:
			out = append(out, fmt.Sprintf("ping %q", ev.Payload))
		case ws.KindPong:
			out = append(out, fmt.Sprintf("pong %q", ev.Payload))
		case ws.KindClose:
			out = append(out, fmt.Sprintf("close %d %q", ev.Code, ev.Payload))
		}
		if n == 0 {
			break
		}
	}
	if f.EOF() {
		out = append(out, "eof")
	}
	return strings.Join(out, " | ")
}

func (f *far) wantFrames(want string) {
	f.w.t.Helper()
	if got := f.frames(); got != want {
		f.w.t.Errorf("the client sent %s\nwant %s", got, want)
	}
}

func unmasked(op ws.Opcode, s string) []byte { return ws.AppendPlain(nil, op, true, []byte(s)) }

func TestDial(t *testing.T) {
	w, h := client(t, core.Limits{})
	f := w.listens(farAddr)
	c := h.dial(core.Dial{Header: core.Header{{Name: "x-a", Value: "b"}}, Origin: "https://o.example", Subprotocols: []string{"one", "two"}})
	h.want("") // nothing before Dial has returned
	w.k.Drive()
	head := f.request()
	for _, want := range []string{"GET /chat?room=1 HTTP/1.1\r\nhost: 192.0.2.1\r\n", "upgrade: websocket\r\n", "connection: Upgrade\r\n",
		"sec-websocket-version: 13\r\n", "x-a: b\r\n", "origin: https://o.example\r\n", "sec-websocket-protocol: one, two\r\n"} {
		if !strings.Contains(head, want) {
			t.Errorf("no %q in\n%s", want, head)
		}
	}
	if !ws.ValidKey([]byte(f.key())) {
		t.Errorf("key %q", f.key())
	}
	h.sendAt = "hello"
	c.RequestWritable() // legal, and comes when it is open
	w.k.Drive()
	h.want("")
	f.WriteString(f.accept("Sec-WebSocket-Protocol: two\r\n") + string(unmasked(ws.Text, "early")))
	f.wantFrames(`text "hello"`)
	h.want(`made, connected 101 m, receive "early"`)
	f.Write(unmasked(ws.Ping, "p"))
	f.wantFrames(`pong "p"`)
	f.Write(ws.AppendClose(nil, 1000, "bye", nil))
	f.wantFrames(`close 1000 "bye"`) // and not the end: that is the server's
	f.CloseWrite()
	f.wantFrames(`eof`)
	h.want(`made, connected 101 m, receive "early", closed`)
	var ce *core.CloseError
	if !errors.As(h.err, &ce) || !ce.Remote || ce.Code != 1000 {
		t.Errorf("closed with %v", h.err)
	}
}

// TestClientWaitsForTheServerToCloseTCP: RFC 6455 7.1.1; a server that does not is
// waited for FinTimeout.
func TestClientWaitsForTheServerToCloseTCP(t *testing.T) {
	w, h := client(t, core.Limits{})
	f := w.listens(farAddr)
	c := h.dial(core.Dial{})
	w.k.Drive()
	f.opens()
	if err := c.Close(4000, "done"); err != nil {
		t.Fatal(err)
	}
	f.wantFrames(`close 4000 "done"`)
	f.Write(ws.AppendClose(nil, 4000, "", nil))
	f.wantFrames("")
	w.k.Advance(time.Second - 1)
	f.wantFrames("")
	w.k.Advance(1)
	f.wantFrames("eof")
	h.want("made, connected 101 m, closed")
}

// TestDialFails: each way in which a server does not become a WebSocket is one
// ConnectFailed, at its moment, and nothing else.
func TestDialFails(t *testing.T) {
	limit := func(name string) func(error) bool {
		return func(err error) bool {
			var le *core.LimitError
			return errors.As(err, &le) && le.Limit == name
		}
	}
	text := func(s string) func(error) bool {
		return func(err error) bool { return strings.Contains(err.Error(), s) }
	}
	is := func(target error) func(error) bool { return func(err error) bool { return errors.Is(err, target) } }
	for _, tc := range []struct {
		name   string
		answer sim.Answer
		say    string        // after the request; "ok" stands for the right answer
		fin    bool          // and the end of the stream
		after  time.Duration // until it must have failed, and not 1 ns before; 0: at once
		want   func(error) bool
	}{
		{"closed port", sim.Answer{Err: syscall.ECONNREFUSED}, "", false, 0, is(syscall.ECONNREFUSED)},
		{"call fails", sim.Answer{Err: syscall.ENETUNREACH, Now: true}, "", false, 0, is(syscall.ENETUNREACH)},
		{"black hole", sim.Answer{Silent: true}, "", false, 5 * time.Second, limit("ConnectTimeout")},
		{"mute", sim.Answer{}, "", false, 15 * time.Second, limit("AnswerTimeout")},
		{"half an answer", sim.Answer{}, "HTTP/1.1 101 Switching Prot", false, 15 * time.Second, limit("AnswerTimeout")},
		{"half-open", sim.Answer{}, "", true, 0, text("closed the connection")},
		{"refused by status", sim.Answer{}, "HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n", false, 0, text("403 Forbidden")},
		{"TLS alert", sim.Answer{}, "\x15\x03\x01\x00\x02\x02\x46", false, 0, text("the server speaks TLS")},
		{"SSH", sim.Answer{}, "SSH-2.0-OpenSSH_9.2\r\n", false, 0, text("the server does not speak HTTP")},
		{"wrong accept", sim.Answer{}, "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n", false, 0, text("accept")},
		{"no upgrade", sim.Answer{}, "HTTP/1.1 101 x\r\nConnection: Upgrade\r\n\r\n", false, 0, text("pgrade")},
		{"redirect", sim.Answer{}, "HTTP/1.1 302 Found\r\nLocation: /x\r\n\r\n", false, 0, text("redirect")},
		{"unknown extension", sim.Answer{}, "ext", false, 0, text("xtension")},
		{"unknown subprotocol", sim.Answer{}, "sub", false, 0, text("rotocol")},
		{"header too large", sim.Answer{}, "HTTP/1.1 101 x\r\nX: " + strings.Repeat("y", 5000) + "\r\n\r\n", false, 0, text("header fields too large")},
		{"endless interim", sim.Answer{}, strings.Repeat("HTTP/1.1 100 Continue\r\n\r\n", 200), false, 0, text("too many interim responses")},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, h := client(t, core.Limits{})
			f := &far{}
			tc.answer.Accept = func(p *sim.Peer) { f.peer = &peer{Peer: p, w: w} }
			w.k.Answer(farAddr, tc.answer)
			h.dial(core.Dial{})
			w.k.Drive()
			if f.peer != nil && tc.answer.Err == 0 && !tc.answer.Silent {
				f.request()
				switch tc.say {
				case "ext":
					f.WriteString(f.accept("Sec-WebSocket-Extensions: permessage-deflate\r\n"))
				case "sub":
					f.WriteString(f.accept("Sec-WebSocket-Protocol: what\r\n"))
				default:
					f.WriteString(tc.say)
				}
				if tc.fin {
					f.CloseWrite()
				}
				w.k.Drive()
			}
			if tc.after > 0 {
				w.k.Advance(tc.after - 1)
				h.want("")
				w.k.Advance(1)
			}
			h.want("made, failed")
			var ce *core.ConnectError
			if !errors.As(h.err, &ce) || !tc.want(h.err) {
				t.Errorf("failed with %v", h.err)
			}
		})
	}
}

// TestDialEndedByUs: Close, Drop and Stop at every stage are one ConnectFailed.
func TestDialEndedByUs(t *testing.T) {
	for _, stage := range []string{"at once", "connecting", "asking"} {
		for _, how := range []string{"close", "drop", "stop", "cut"} {
			t.Run(stage+"/"+how, func(t *testing.T) {
				w, h := client(t, core.Limits{})
				f := &far{}
				w.k.Answer(farAddr, sim.Answer{Silent: stage == "connecting", Accept: func(p *sim.Peer) { f.peer = &peer{Peer: p, w: w} }})
				c := h.dial(core.Dial{})
				if stage != "at once" {
					w.k.Drive()
				}
				want := core.ErrStopped
				switch how {
				case "close":
					c.Close(1000, "")
					want = nil
				case "drop":
					c.Drop()
					want = core.ErrDrop
				case "stop":
					w.eng.Stop(0)
				case "cut":
					w.eng.Stop(-1)
				}
				w.k.Drive()
				h.want("made, failed")
				var ce *core.CloseError
				if want != nil && !errors.Is(h.err, want) || want == nil && !errors.As(h.err, &ce) {
					t.Errorf("failed with %v", h.err)
				}
			})
		}
	}
}

// TestPauseBeforeOpenDoesNotHoldBackTheAnswer: an Outbox that waits pauses its
// conn, whose handshake must be read all the same.
func TestPauseBeforeOpenDoesNotHoldBackTheAnswer(t *testing.T) {
	w, h := client(t, core.Limits{})
	f := w.listens(farAddr)
	c := h.dial(core.Dial{})
	h.out = core.NewOutbox(c, core.PauseSource)
	if err := h.out.Text("one"); err != nil {
		t.Fatal(err)
	}
	h.out.Text("two")
	w.k.Drive()
	f.opens()
	f.wantFrames(`text "one" | text "two"`)
	f.Write(unmasked(ws.Text, "x"))
	w.k.Drive()
	h.want(`made, connected 101 m, receive "x"`)
}

// TestProxies: through HTTP CONNECT and SOCKS5, with and without credentials.
func TestProxies(t *testing.T) {
	for _, tc := range []struct {
		name, proxy string
		talk        []string // the proxy's side: wants, says, wants, says, ...
		fails       string
	}{
		{"connect", "http://192.0.2.9:3128", []string{"CONNECT far.example:80 HTTP/1.1\r\nhost: far.example:80\r\n\r\n", "HTTP/1.1 200 OK\r\n\r\n"}, ""},
		{"connect with password", "http://u:p@192.0.2.9:3128", []string{"CONNECT far.example:80 HTTP/1.1\r\nhost: far.example:80\r\nproxy-authorization: Basic dTpw\r\n\r\n",
			"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nX: y\r\n\r\n"}, ""},
		{"connect refused", "http://192.0.2.9:3128", []string{"", "HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"}, "the proxy 192.0.2.9:3128 answered 407"},
		{"socks", "socks5://192.0.2.9:3128", []string{"\x05\x01\x00", "\x05\x00", "\x05\x01\x00\x03\x0bfar.example\x00\x50", "\x05\x00\x00\x01\x01\x02\x03\x04\x00\x50"}, ""},
		{"socks with password", "socks5://u:p@192.0.2.9:3128", []string{"\x05\x02\x00\x02", "\x05\x02", "\x01\x01u\x01p", "\x01\x00",
			"\x05\x01\x00\x03\x0bfar.example\x00\x50", "\x05\x00\x00\x03\x01x\x00\x50"}, ""},
		{"socks refused", "socks5://192.0.2.9:3128", []string{"\x05\x01\x00", "\x05\x00", "", "\x05\x05\x00\x01\x00\x00\x00\x00\x00\x00"}, "refused"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, h := client(t, core.Limits{})
			f := w.listens("192.0.2.9:3128")
			h.dial(core.Dial{URL: "ws://far.example/", Proxy: tc.proxy})
			w.k.Drive()
			for i := 0; i < len(tc.talk); i += 2 {
				if got := f.answer(); tc.talk[i] != "" && got != tc.talk[i] {
					t.Fatalf("the client says %q, want %q", got, tc.talk[i])
				}
				for _, b := range []byte(tc.talk[i+1]) { // byte by byte
					f.Write([]byte{b})
					w.k.Drive()
				}
			}
			if tc.fails != "" {
				h.want("made, failed")
				if !strings.Contains(h.err.Error(), tc.fails) {
					t.Errorf("failed with %v", h.err)
				}
				return
			}
			f.opens()
			if !strings.Contains(f.head, "host: far.example\r\n") {
				t.Errorf("the request:\n%s", f.head)
			}
			h.want("made, connected 101 m")
		})
	}
}

// TestDialArguments: what is wrong with the description is said at once, and
// nothing is left of it.
func TestDialArguments(t *testing.T) {
	w, _ := client(t, core.Limits{})
	for _, d := range []core.Dial{
		{URL: ""}, {URL: "ws://"}, {URL: "ftp://h/"}, {URL: "ws://h:0/"}, {URL: "ws://h:70000/"}, {URL: "wss://h/", TLS: &core.ClientTLS{RootCAFile: "/none"}}, {URL: "wss://h/", TLS: &core.ClientTLS{Ciphers: []string{"none"}}},
		{URL: "ws://h/", Protocol: "none"}, {URL: "ws://h/", Header: core.Header{{Name: "host", Value: "x"}}},
		{URL: "ws://h/", Header: core.Header{{Name: "x", Value: "a\r\nb: c"}}}, {URL: "ws://h/", Subprotocols: []string{"a", "a"}},
		{URL: "ws://h/", Proxy: "ftp://x"}, {URL: "ws://h/", LocalAddr: "x"}, {URL: "ws://h/", Deflate: &core.Deflate{WindowBits: 7}},
		{URL: "ws://h/", Origin: "a\nb"},
	} {
		if _, err := w.eng.Thread(0).Dial(w.eng.VHost("default"), d); err == nil {
			t.Errorf("%+v is dialled", d)
		}
	}
	if st := w.eng.Stats(); st.Conns != 0 {
		t.Errorf("%d conns are left", st.Conns)
	}
}
