package core_test

import (
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

// story notes every callback of a client's life, whatever it is.
type story struct {
	w     *world
	conn  *core.Conn // as Dial returned it
	told  []string
	deeds map[string]func(c *core.Conn) error // what is done inside a callback
}

// note writes a callback down and does what is to be done in it.
func (s *story) note(c *core.Conn, what, format string, args ...any) error {
	if c != s.conn {
		s.w.t.Errorf("%s is of another conn than Dial returned", what)
	}
	s.told = append(s.told, strings.TrimSpace(what+" "+fmt.Sprintf(format, args...)))
	if f := s.deeds[what]; f != nil {
		return f(c)
	}
	return nil
}

func (s *story) made(c *core.Conn) core.WSHandler {
	if s.note(c, "made", "") != nil {
		return nil
	}
	return s
}

func (s *story) check(c *core.Conn, r *core.Response) error {
	return s.note(c, "check", "%d", r.Status())
}

func (s *story) Connected(c *core.Conn, r *core.Response) error {
	return s.note(c, "connected", "%s", r.Header("x-mark"))
}

func (s *story) Receive(c *core.Conn, f core.Fragment) error {
	return s.note(c, "receive", "%s", f.Data)
}

func (s *story) Writable(c *core.Conn, w *core.WSWriter) error {
	return errors.Join(w.Text([]byte("hello")), s.note(c, "writable", ""))
}

func (s *story) Pong(c *core.Conn, p []byte) error { return s.note(c, "pong", "%s", p) }

func (s *story) Timer(c *core.Conn) error { return s.note(c, "timer", "") }

func (s *story) PeerClose(c *core.Conn, code int, text string) error {
	return s.note(c, "peer-close", "%d %s", code, text)
}

func (s *story) ConnectFailed(c *core.Conn, err error) { s.note(c, "failed", "%v", err) }

func (s *story) Closed(c *core.Conn, err error) { s.note(c, "closed", "%v", err) }

// TestClientLives: every kind of life that a client can have, as the whole of what
// its handler hears, in order. What belongs to servers, Opened, is never heard.
func TestClientLives(t *testing.T) {
	for _, tc := range lives {
		t.Run(tc.name, func(t *testing.T) {
			s := &story{deeds: map[string]func(*core.Conn) error{}}
			w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{Name: "client", WS: s.made}}}}})
			s.w = w
			f := &far{}
			tc.answer.Accept = func(p *sim.Peer) { f.peer = &peer{Peer: p, w: w} }
			w.k.Answer(farAddr, tc.answer)
			if tc.does != nil {
				tc.does(s)
			}
			var err error
			s.conn, err = w.eng.Thread(0).Dial(w.eng.VHost("default"), core.Dial{URL: "ws://192.0.2.1/", Check: s.check})
			if err != nil {
				t.Fatal(err)
			}
			s.told = append(s.told, "dialled")
			w.k.Drive()
			if tc.far != nil {
				tc.far(s, f)
			}
			w.k.Advance(30 * time.Second) // nothing comes afterwards
			if got := strings.Join(s.told, ", "); got != tc.want {
				t.Errorf("heard  %s\nwanted %s", got, tc.want)
			}
			if s.conn.Open() && tc.over() {
				t.Error("the conn is open after its last callback")
			}
		})
	}
}

// clientLife is one row of TestClientLives.
type clientLife struct {
	name   string
	answer sim.Answer
	does   func(s *story)         // before Dial
	far    func(s *story, f *far) // what the server does
	want   string
}

// over reports whether the life has an end.
func (l *clientLife) over() bool {
	return strings.Contains(l.want, "closed") || strings.Contains(l.want, "failed")
}

func opening(_ *story, f *far) { f.opens() }

func saying(s string) func(*story, *far) {
	return func(_ *story, f *far) {
		f.request()
		f.WriteString(s)
		f.w.k.Drive()
	}
}

// in makes a life in which a callback does something.
func in(callback string, f func(c *core.Conn) error) func(*story) {
	return func(s *story) { s.deeds[callback] = f }
}

func dropping(c *core.Conn) error { return c.Drop() }
func closes(c *core.Conn) error   { return c.Close(4000, "enough") }
func refuses(*core.Conn) error    { return errors.New("not this one") }
func panicking(*core.Conn) error  { panic("oops") }

var lives = []clientLife{
	{"established, used, closed by the peer", sim.Answer{}, func(s *story) {
		s.deeds["connected"] = func(c *core.Conn) error { c.SetTimer(time.Second); return c.RequestWritable() }
	}, func(s *story, f *far) {
		f.opens()
		f.wantFrames(`text "hello"`)
		f.Write(unmasked(ws.Text, "hi"))
		f.Write(unmasked(ws.Pong, "p"))
		f.w.k.Drive()
		f.w.k.Advance(time.Second)
		f.Write(ws.AppendClose(nil, 1000, "bye", nil))
		f.wantFrames(`close 1000 "bye"`)
		f.CloseWrite()
	}, "dialled, check 101, made, connected m, writable, receive hi, pong p, timer, peer-close 1000 bye, closed core: closed by the peer with code 1000 \"bye\""},
	{"closed by us", sim.Answer{}, in("connected", closes), func(s *story, f *far) {
		f.opens()
		f.wantFrames(`close 4000 "enough"`)
		f.Write(unmasked(ws.Text, "too late"))
		f.Write(ws.AppendClose(nil, 4000, "", nil))
		f.w.k.Drive()
		f.CloseWrite()
	}, "dialled, check 101, made, connected m, closed core: closed here with code 4000 \"enough\""},
	{"both close at once", sim.Answer{}, in("connected", closes), func(s *story, f *far) {
		f.request()
		f.WriteString(f.accept(""))
		f.Write(ws.AppendClose(nil, 1001, "", nil))
		f.wantFrames(`close 4000 "enough"`)
		f.CloseWrite()
	}, "dialled, check 101, made, connected m, closed core: closed here with code 4000 \"enough\""},
	{"dropped when connected", sim.Answer{}, in("connected", dropping), opening,
		"dialled, check 101, made, connected m, closed core: dropped by the handler"},
	{"refused when connected", sim.Answer{}, in("connected", refuses), func(s *story, f *far) {
		f.opens()
		f.wantFrames(`close 1011 ""`)
	}, "dialled, check 101, made, connected m, closed not this one"},
	{"the peer goes without a word", sim.Answer{}, nil, func(s *story, f *far) {
		f.opens()
		f.CloseWrite()
	}, "dialled, check 101, made, connected m, closed core: read: the peer closed the connection"},
	{"stopped when open", sim.Answer{}, nil, func(s *story, f *far) {
		f.opens()
		s.w.eng.Stop(0)
		f.wantFrames(`close 1001 "client is going away"`)
		f.Write(ws.AppendClose(nil, 1001, "", nil))
		f.w.k.Drive()
		f.CloseWrite()
	}, "dialled, check 101, made, connected m, closed core: closed by Stop: the engine has stopped"},
	{"still open", sim.Answer{}, nil, opening, "dialled, check 101, made, connected m"},

	{"refused by the system", sim.Answer{Err: syscall.ECONNREFUSED}, nil, nil,
		"dialled, made, failed core: connect 192.0.2.1:80: connection refused"},
	{"refused by status", sim.Answer{}, nil, saying("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"),
		"dialled, made, failed core: handshake 192.0.2.1:80: the server answered 403 Forbidden; see Dial.Origin"},
	{"refused by Check", sim.Answer{}, in("check", refuses), opening,
		"dialled, check 101, made, failed core: handshake 192.0.2.1:80: not this one"},
	{"dropped in Check", sim.Answer{}, in("check", dropping), opening,
		"dialled, check 101, made, failed core: handshake 192.0.2.1:80: dropped by the handler"},
	{"closed in Check", sim.Answer{}, in("check", closes), opening,
		"dialled, check 101, made, failed core: handshake 192.0.2.1:80: closed here with code 4000 \"enough\""},
	{"a panic in Check", sim.Answer{}, in("check", panicking), opening,
		"dialled, check 101, made, failed core: handshake 192.0.2.1:80: panic in Check: oops"},
	{"a maker that wants none", sim.Answer{}, in("made", refuses), opening, "dialled, check 101, made"},
	{"a maker that panics", sim.Answer{}, in("made", panicking), opening, "dialled, check 101, made"},
	{"a maker that panics for a failure", sim.Answer{Err: syscall.ECONNREFUSED}, in("made", panicking), nil, "dialled, made"},
	{"dropped in the maker", sim.Answer{}, in("made", dropping), opening,
		"dialled, check 101, made, failed core: handshake 192.0.2.1:80: dropped by the handler"},
	{"a panic in Connected", sim.Answer{}, in("connected", panicking), func(s *story, f *far) {
		f.opens()
		f.wantFrames(`close 1011 ""`)
	}, "dialled, check 101, made, connected m, closed core: panic in Connected: oops"},
	{"a panic in Check, and one in ConnectFailed", sim.Answer{}, func(s *story) {
		s.deeds["check"], s.deeds["failed"] = panicking, panicking
	}, opening, "dialled, check 101, made, failed core: handshake 192.0.2.1:80: panic in Check: oops"},
	{"a panic in ConnectFailed", sim.Answer{Err: syscall.ECONNREFUSED}, in("failed", panicking), nil,
		"dialled, made, failed core: connect 192.0.2.1:80: connection refused"},
}

// TestClosedInTheTurnOfTheAnswer: what was closed before the answer is read does
// not open any more.
func TestClosedInTheTurnOfTheAnswer(t *testing.T) {
	w, h := client(t, core.Limits{})
	f := w.listens(farAddr)
	c := h.dial(core.Dial{Check: func(*core.Conn, *core.Response) error {
		t.Error("Check of a conn that is closed")
		return nil
	}})
	w.k.Drive()
	f.request()
	f.WriteString(f.accept(""))
	if err := c.Drop(); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	h.want("made, failed")
	if !errors.Is(h.err, core.ErrDrop) {
		t.Errorf("failed with %v", h.err)
	}
}

// TestFailedClientsGiveTheirMemoryBack: one that had agreed on compression and
// came to nothing after that counts no more against DeflateMemory.
func TestFailedClientsGiveTheirMemoryBack(t *testing.T) {
	h := &caller{}
	next := func(*core.Conn) core.WSHandler { return h }
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{
		Deflate:   &core.Deflate{Takeover: true},
		Limits:    core.Limits{DeflateMemory: 20_000}, // for one
		Protocols: []core.Protocol{{Name: "client", WS: func(c *core.Conn) core.WSHandler { return next(c) }}}}}})
	h.w = w
	const agreed = "Sec-WebSocket-Extensions: permessage-deflate; server_max_window_bits=12; client_max_window_bits=12\r\n"
	try := func() (asked string) {
		f := w.listens(farAddr)
		h.dial(core.Dial{})
		w.k.Drive()
		f.request()
		f.WriteString(f.accept(agreed))
		w.k.Drive()
		return f.head
	}
	for name, f := range map[string]func(c *core.Conn) core.WSHandler{
		"panics": func(*core.Conn) core.WSHandler { panic("oops") },
		"none":   func(*core.Conn) core.WSHandler { return nil },
		"drops":  func(c *core.Conn) core.WSHandler { c.Drop(); return h },
	} {
		next = f
		try()
		if h.conn != nil {
			t.Fatalf("%s: it opened", name)
		}
	}
	h.heard, next = nil, h.made
	try()
	h.want("made, connected 101 m")
	h.heard, h.conn = nil, nil
	if asked := try(); !strings.Contains(asked, "server_no_context_takeover") { // the budget is for one
		t.Errorf("beyond the budget a client asks\n%s", asked)
	}
	h.want("made, failed") // the server keeps what it was not to keep
}

// TestDialNeedsNoProtocolForAHandlerOfItsOwn: a vhost may be there for clients
// alone; without a handler there is nobody to hear of a connection.
func TestDialNeedsNoProtocolForAHandlerOfItsOwn(t *testing.T) {
	h := &caller{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{}}})
	h.w = w
	if _, err := w.eng.Thread(0).Dial(w.eng.VHost("default"), core.Dial{URL: "ws://192.0.2.1/"}); !errors.Is(err, core.ErrUnknownProtocol) {
		t.Errorf("without a handler: %v", err)
	}
	h.dial(core.Dial{WS: h.made}) // nobody listens
	w.k.Drive()
	h.want("made, failed")
	h.heard = nil
	f := w.listens(farAddr)
	c := h.dial(core.Dial{WS: h.made, Subprotocols: []string{"any"}})
	w.k.Drive()
	f.request()
	f.WriteString(f.accept("Sec-WebSocket-Protocol: any\r\n"))
	w.k.Drive()
	h.want("made, connected 101 m")
	if c.Protocol() != "" {
		t.Errorf("protocol %q", c.Protocol())
	}
}

// TestFailedClientsLeaveNothing: wherever one is given up, its descriptor is
// closed in that turn, and its vhost can go: nothing holds on to it.
func TestFailedClientsLeaveNothing(t *testing.T) {
	for _, stage := range []string{"at once", "connecting", "asking", "panic"} {
		t.Run(stage, func(t *testing.T) {
			h := &caller{}
			destroyed := false
			w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost(), {Name: "clients",
				Protocols: []core.Protocol{{Name: "client", WS: func(c *core.Conn) core.WSHandler {
					if h.made(c); stage == "panic" {
						panic("oops")
					}
					return h
				}, Destroy: func(*core.VirtualHost) { destroyed = true }}}}}})
			h.w = w
			w.k.Answer(farAddr, sim.Answer{Silent: stage == "connecting"})
			w.k.Drive()
			files := w.k.Files()
			c, err := w.eng.Thread(0).Dial(w.eng.VHost("clients"), core.Dial{URL: "ws://192.0.2.1/"})
			if err != nil {
				t.Fatal(err)
			}
			if stage != "at once" {
				w.k.Drive()
				if w.k.Files() == files {
					t.Fatal("no descriptor is in use")
				}
			}
			c.Drop()
			w.k.Drive()
			if n := w.k.Files(); n != files {
				t.Errorf("%d descriptors, %d before", n, files)
			}
			if st := w.eng.Stats(); st.Conns != 0 || st.ConnectFailures != 1 {
				t.Errorf("%d conns, %d failures", st.Conns, st.ConnectFailures)
			}
			w.eng.VHost("clients").Remove()
			w.k.Drive()
			if !destroyed {
				t.Error("the vhost is still in use")
			}
		})
	}
}
