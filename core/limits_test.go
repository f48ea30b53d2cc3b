package core_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestTimeLimits holds every time limit to the nanosecond: alive one before,
// closed at it, with its answer.
func TestTimeLimits(t *testing.T) {
	sec := time.Second
	cases := []struct {
		name  string
		lim   core.Limits
		begin func(w *world) *peer
		after time.Duration
		want  string // what the peer sees then; HTTP answers by their first line
		cause string // the limit that Closed names, "" if no handler was made
	}{
		{"HandshakeTimeout, silent", core.Limits{}, func(w *world) *peer { p := w.dial(); w.k.Drive(); return p }, 15 * sec, "eof", ""},
		{"HeaderIdleTimeout", core.Limits{}, func(w *world) *peer {
			p := w.dial()
			p.WriteString("GET / HT")
			w.k.Drive()
			return p
		}, 10 * sec, "HTTP/1.1 408 Request Timeout | eof", ""},
		{"HandshakeTimeout, byte by byte", core.Limits{}, func(w *world) *peer {
			p := w.dial()
			for i := range 14 { // one byte a second
				p.WriteString("GET / HTTP/1.1"[i : i+1])
				w.k.Advance(sec)
			}
			return p
		}, 1 * sec, "HTTP/1.1 408 Request Timeout | eof", ""},
		{"KeepAliveTimeout", core.Limits{}, func(w *world) *peer {
			p := w.dial()
			p.WriteString("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			if a := p.answer(); !strings.HasPrefix(a, "HTTP/1.1 200") {
				w.t.Error(a)
			}
			return p
		}, 5 * sec, "eof", ""},
		{"ContentTimeout, body", core.Limits{}, func(w *world) *peer {
			p := w.dial()
			p.WriteString("POST /wait HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\n")
			w.k.Drive()
			w.k.Advance(14 * sec)
			p.WriteString("x") // progress restarts it
			w.k.Drive()
			return p
		}, 15 * sec, "HTTP/1.1 408 Request Timeout | eof", "ContentTimeout"},
		{"ContentTimeout, forgotten response", core.Limits{}, func(w *world) *peer {
			p := w.dial()
			p.WriteString("GET /forget HTTP/1.1\r\nHost: h\r\n\r\n")
			w.k.Drive()
			return p
		}, 15 * sec, "eof", "ContentTimeout"},
		{"PongTimeout", core.Limits{}, func(w *world) *peer {
			p := w.ws()
			w.k.Advance(40*sec - 1)
			p.want("")
			w.k.Advance(1)
			if got := p.frames(); !strings.HasPrefix(got, "ping ") {
				w.t.Errorf("no ping at PingInterval: %s", got)
			}
			return p
		}, 10 * sec, "eof", "PongTimeout"},
		{"IdleTimeout", core.Limits{IdleTimeout: 20 * sec}, func(w *world) *peer {
			p := w.ws()
			w.k.Advance(19 * sec)
			p.text("a")
			p.want(`text "a"`)
			return p
		}, 20 * sec, `close 1001 "IdleTimeout"`, "IdleTimeout"},
		{"CloseTimeout", core.Limits{}, func(w *world) *peer {
			p := w.ws()
			p.text("close me")
			p.want(`close 4000 "asked"`)
			return p
		}, 5 * sec, "eof", "closed here"},
		{"FlushTimeout before the Close frame", core.Limits{}, func(w *world) *peer {
			p := w.ws()
			p.Stall(true)
			p.text("flood and close")
			w.k.Drive()
			return p
		}, 5 * sec, "gone", "closed here"},
		{"LingerTimeout", core.Limits{}, func(w *world) *peer {
			p := w.dial()
			p.WriteString("nonsense nonsense\r\n")
			if a := p.answer(); !strings.HasPrefix(a, "HTTP/1.1 400") {
				w.t.Errorf("%q", a)
			}
			return p
		}, 2 * sec, "gone", ""},
		{"HangupTimeout", core.Limits{}, func(w *world) *peer {
			p := w.ws()
			p.text("pause")
			w.k.Drive()
			p.text("unread")
			p.Close()
			// Our own direction must be over too for a hang-up.
			w.k.CloseWrite(p.FD())
			w.k.Drive()
			return p
		}, 3 * sec, "gone", "peer closed"},
	}
	for _, tc := range cases {
		t.Run(tc.name, func(t *testing.T) {
			var closed []error
			w := newWorld(t, sim.Options{}, core.Config{Limits: tc.lim, VHosts: []core.VHost{limitVHost(&closed)}})
			p := tc.begin(w)
			w.k.Advance(tc.after - 1)
			// Lingering and hang-ups begin with our end of the stream.
			ended := p.EOF() && tc.name != "LingerTimeout" && tc.name != "HangupTimeout"
			if p.Gone() || ended {
				t.Fatalf("over one nanosecond early: %q", p.Read())
			}
			early := p.seen()
			if strings.Contains(early, "close") {
				t.Fatalf("closed one nanosecond early: %s", early)
			}
			w.k.Advance(1)
			p.lingers = tc.want == "gone"
			got := p.outcome()
			if got != tc.want {
				t.Errorf("got %q, want %q", got, tc.want)
			}
			w.k.Advance(10 * sec) // lingering, closing handshakes
			if !p.Gone() {
				t.Error("the descriptor is still open")
			}
			checkCause(t, closed, tc.cause)
		})
	}
}

// outcome is what the peer sees: an HTTP answer's first line or frames, then how
// the connection stands.
func (p *peer) outcome() string {
	p.buf = append(p.buf, p.Read()...)
	var out []string
	if s := string(p.buf); strings.HasPrefix(s, "HTTP/") {
		out = append(out, s[:strings.Index(s, "\r")])
		p.buf = nil
	}
	if f := p.seen(); f != "" && !(p.lingers && p.Gone()) {
		out = append(out, f)
	} else if p.Gone() {
		out = append(out, "gone")
	}
	return strings.Join(out, " | ")
}

func checkCause(t *testing.T, closed []error, want string) {
	t.Helper()
	switch {
	case want == "" && len(closed) == 0:
	case want == "":
		t.Errorf("Closed came: %v", closed)
	case len(closed) != 1:
		t.Errorf("Closed came %d times: %v", len(closed), closed)
	default:
		var le *core.LimitError
		if errors.As(closed[0], &le) && le.Limit == want {
			return
		}
		if !strings.Contains(closed[0].Error(), want) {
			t.Errorf("Closed with %v, want %s", closed[0], want)
		}
	}
}

// limitVHost has handlers that do, by what they are told, what runs into limits.
func limitVHost(closed *[]error) core.VHost {
	return core.VHost{Protocols: []core.Protocol{{
		Name: "http",
		HTTP: func(*core.Conn) core.HTTPHandler { return &limitHTTP{closed: closed} },
	}, {
		Name: "ws",
		WS:   func(*core.Conn) core.WSHandler { return &limitWS{closed: closed} },
	}}}
}

type limitHTTP struct {
	closed *[]error
	path   string
}

func (h *limitHTTP) Request(c *core.Conn, r *core.Request) error {
	h.path = r.Path()
	if h.path == "/" {
		return c.RequestWritable()
	}
	return nil // "/wait" and "/forget" never answer
}
func (h *limitHTTP) Writable(c *core.Conn, w *core.HTTPWriter) error {
	return w.Respond(200, nil, []byte("ok"))
}
func (h *limitHTTP) Body(*core.Conn, []byte) error { return nil }
func (h *limitHTTP) BodyDone(*core.Conn) error     { return nil }
func (h *limitHTTP) Closed(_ *core.Conn, err error) {
	if err != nil {
		*h.closed = append(*h.closed, err)
	}
}

type limitWS struct {
	closed *[]error
	flood  bool
}

func (h *limitWS) Receive(c *core.Conn, f core.Fragment) error {
	switch string(f.Data) {
	case "close me":
		return &core.CloseError{Code: 4000, Text: "asked"}
	case "flood and close":
		h.flood = true
		return c.RequestWritable()
	case "pause":
		return c.Pause()
	case "a":
		h.flood = false
		return c.RequestWritable()
	}
	return nil
}

func (h *limitWS) Writable(c *core.Conn, w *core.WSWriter) error {
	if !h.flood {
		return w.Text([]byte("a"))
	}
	h.flood = false
	if err := w.Binary(make([]byte, 1<<20)); err != nil {
		return err
	}
	return &core.CloseError{Code: 4001, Text: "flooded"}
}
func (h *limitWS) Closed(_ *core.Conn, err error) { *h.closed = append(*h.closed, err) }
