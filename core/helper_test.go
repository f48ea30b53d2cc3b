package core_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// world is an engine on a simulated kernel.
type world struct {
	t   *testing.T
	k   *sim.Kernel
	eng *core.Engine
	log *bytes.Buffer
	end bool
}

const host = "host:80"

// unhurried are limits that a slow machine does not come across.
var unhurried = core.Limits{
	HandshakeTimeout: time.Minute, TLSTimeout: time.Minute, HeaderIdleTimeout: time.Minute, KeepAliveTimeout: time.Minute, ContentTimeout: time.Minute,
	PingInterval: -1, PongTimeout: -1, FlushTimeout: time.Minute, CloseTimeout: time.Minute, HangupTimeout: time.Minute, LingerTimeout: time.Minute,
	ConnectTimeout: time.Minute, AnswerTimeout: time.Minute, FinTimeout: time.Minute,
}

// newWorld starts an engine. At the test's end it must stop in good order and
// leave nothing behind.
func newWorld(t *testing.T, o sim.Options, cfg core.Config) *world {
	t.Helper()
	w := &world{t: t, k: sim.New(o), log: &bytes.Buffer{}}
	cfg.Backend = w.k
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.NewTextHandler(w.log, nil))
	}
	for i := range cfg.VHosts {
		if cfg.VHosts[i].Addr == "" {
			cfg.VHosts[i].Addr = host
		}
	}
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	w.eng = eng
	t.Cleanup(w.stop)
	return w
}

// stop ends the engine and checks that nothing is left.
func (w *world) stop() {
	w.t.Helper()
	if !w.end {
		w.end = true
		w.eng.Stop(0)
		w.k.Advance(30 * time.Second)
	}
	if !w.gone() {
		w.t.Errorf("the engine has not ended: %d descriptors watched", w.k.Watched())
	}
	if n := w.k.Files(); n != 0 {
		w.t.Errorf("%d descriptors are still open", n)
	}
	if st := w.eng.Stats(); st.Conns != 0 || st.Headers != 0 || st.Adds != st.Dels {
		w.t.Errorf("left over: %+v", st)
	}
	w.k.Check(w.t)
}

// gone waits for the engine's end, which needs no more virtual time, and reports
// whether it came. A worker that has handed over what it was asked for may still be
// on its way out, in its own time.
func (w *world) gone() bool {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); runtime.Gosched() {
		w.k.Drive()
		select {
		case <-w.eng.Done():
			return true
		default:
		}
	}
	return false
}

// until drives until a condition holds: for what a worker does in its own time.
// The bound is on a hang.
func (w *world) until(what string, cond func() bool) {
	w.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		w.k.Drive()
		if cond() {
			return
		}
		if time.Now().After(end) {
			w.t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
	}
}

func (w *world) dial() *peer {
	w.t.Helper()
	p := w.k.Dial(host)
	if p == nil {
		w.t.Fatal("nobody listens")
	}
	return &peer{Peer: p, w: w}
}

// peer speaks to the engine.
type peer struct {
	*sim.Peer
	w       *world
	buf     []byte
	lingers bool // its end of stream comes before the descriptor's end
	deaf    bool // it does not close when the server does
}

const handshake = "GET / HTTP/1.1\r\nHost: host\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"

// ws dials and upgrades.
func (w *world) ws(extra ...string) *peer {
	w.t.Helper()
	p := w.dial()
	p.WriteString(handshake + strings.Join(extra, "") + "\r\n")
	w.k.Drive()
	p.buf = append(p.buf, p.Read()...)
	i := bytes.Index(p.buf, []byte("\r\n\r\n"))
	if i < 0 || !bytes.HasPrefix(p.buf, []byte("HTTP/1.1 101 ")) {
		w.t.Fatalf("no upgrade: %q", p.buf)
	}
	p.buf = p.buf[i+4:]
	return p
}

var testMask = [4]byte{0x12, 0x34, 0x56, 0x78}

func frame(op ws.Opcode, fin bool, payload string) []byte {
	return ws.AppendFrame(nil, ws.Header{Op: op, Fin: fin, Masked: true, Mask: testMask}, []byte(payload))
}

func (p *peer) text(s string) { p.Write(frame(ws.Text, true, s)) }
func (p *peer) ping(s string) { p.Write(frame(ws.Ping, true, s)) }
func (p *peer) pong(s string) { p.Write(frame(ws.Pong, true, s)) }
func (p *peer) close(code int, why string) {
	p.Write(ws.AppendClose(nil, ws.CloseCode(code), why, &testMask))
}

// frames drives and returns what came in, readable: `text "a" | close 1000 "b" | eof`.
func (p *peer) frames() string {
	p.w.t.Helper()
	p.w.k.Drive()
	s := p.seen()
	if p.EOF() && !p.deaf {
		// Like any peer, which closes when it reads the end of the stream.
		p.CloseWrite()
		p.w.k.Drive()
	}
	return s
}

// seen is frames without driving.
func (p *peer) seen() string {
	p.buf = append(p.buf, p.Read()...)
	var out []string
	for len(p.buf) >= 2 {
		h, size := int(p.buf[1]&0x7f), 2
		switch {
		case h == 126 && len(p.buf) >= 4:
			h, size = int(binary.BigEndian.Uint16(p.buf[2:])), 4
		case h == 127 && len(p.buf) >= 10:
			h, size = int(binary.BigEndian.Uint64(p.buf[2:])), 10
		}
		if len(p.buf) < size+h {
			break
		}
		body := string(p.buf[size : size+h])
		op := ws.Opcode(p.buf[0] & 0xf)
		s := op.String()
		if op == ws.Close && len(body) >= 2 {
			s += fmt.Sprintf(" %d", int(body[0])<<8|int(body[1]))
			body = body[2:]
		}
		if len(body) > 40 {
			s += fmt.Sprintf(" [%d]", len(body))
		} else if body != "" {
			s += fmt.Sprintf(" %q", body)
		}
		if p.buf[0]&0x80 == 0 {
			s += "..."
		}
		out = append(out, s)
		p.buf = p.buf[size+h:]
	}
	if p.EOF() {
		out = append(out, "eof")
	}
	if p.ResetSeen() {
		out = append(out, "reset")
	}
	return strings.Join(out, " | ")
}

// want checks frames.
func (p *peer) want(want string) {
	p.w.t.Helper()
	if got := p.frames(); got != want {
		p.w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// answer drives and returns what came in, as it is.
func (p *peer) answer() string {
	p.w.t.Helper()
	p.w.k.Drive()
	return string(p.Read())
}

// recorder is a WebSocket handler that notes its callbacks.
type recorder struct {
	c      *core.Conn
	events []string
	on     func(c *core.Conn, f core.Fragment) error
	write  func(c *core.Conn, w *core.WSWriter) error
	open   func(c *core.Conn, r *core.Request) error
	err    error
}

func (r *recorder) note(format string, a ...any) {
	r.events = append(r.events, fmt.Sprintf(format, a...))
}

func (r *recorder) Opened(c *core.Conn, q *core.Request) error {
	r.c = c
	r.note("opened")
	if r.open != nil {
		return r.open(c, q)
	}
	return nil
}

func (r *recorder) Receive(c *core.Conn, f core.Fragment) error {
	r.note("receive %q", f.Data)
	if r.on != nil {
		return r.on(c, f)
	}
	return nil
}

func (r *recorder) Writable(c *core.Conn, w *core.WSWriter) error {
	r.note("writable")
	if r.write != nil {
		return r.write(c, w)
	}
	return nil
}

func (r *recorder) Pong(c *core.Conn, p []byte) error { r.note("pong"); return nil }
func (r *recorder) PeerClose(c *core.Conn, code int, text string) error {
	r.note("peerclose %d %q", code, text)
	return nil
}
func (r *recorder) Timer(c *core.Conn) error { r.note("timer"); return nil }
func (r *recorder) Closed(c *core.Conn, err error) {
	r.err = err
	r.note("closed")
}

func (r *recorder) log() string { return strings.Join(r.events, ", ") }
func (r *recorder) count(what string) int {
	n := 0
	for _, e := range r.events {
		if e == what || strings.HasPrefix(e, what+" ") {
			n++
		}
	}
	return n
}

// recording returns a protocol whose handlers are rec, in order of arrival.
func recording(name string, recs *[]*recorder, setup func(*recorder)) core.Protocol {
	return core.Protocol{Name: name, WS: func(c *core.Conn) core.WSHandler {
		r := &recorder{c: c}
		if setup != nil {
			setup(r)
		}
		*recs = append(*recs, r)
		return r
	}}
}

func echoFn(c *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }

func echoProtocol() core.Protocol {
	return core.Protocol{Name: "echo", AnyName: true, WS: core.OnMessage(echoFn)}
}

// hello answers every request with its method and path.
func hello(c *core.Conn, r *core.Request, w *core.HTTPWriter) error {
	return w.Respond(200, core.Header{{Name: "content-type", Value: "text/plain"}}, []byte(r.Method()+" "+r.Path()))
}

func httpVHost() core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "hello", HTTP: core.HTTPFunc(hello)}, echoProtocol()}}
}
