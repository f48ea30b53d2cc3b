package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// fallback is a port that speaks HTTP, WebSocket and whatever else comes.
func fallback(t *testing.T) (*world, *[]*rawRec) {
	vh := httpVHost()
	vh.RawFallback = "raw"
	return rawWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}}, nil)
}

// TestRawFallback: what is no HTTP request is raw, and its first Receive has all
// of it; HTTP and WebSockets work beside it.
func TestRawFallback(t *testing.T) {
	w, recs := fallback(t)
	for i, s := range []string{"garbage\n", "\x16\x03\x01", "get / HTTP/1.1\r\n\r\n", "GETS ", "PRINT", "\r\n", "GE\nT"} {
		p := w.dial()
		p.WriteString(s)
		if got := p.answer(); got != s {
			t.Errorf("%q came back as %q", s, got)
		}
		w.wantLog((*recs)[i], fmt.Sprintf("opened, receive %d", len(s)))
		p.Close()
	}
	p := w.dial()
	p.WriteString("GET /page HTTP/1.1\r\nHost: host\r\n\r\n")
	if got := p.answer(); !strings.HasSuffix(got, "GET /page") {
		t.Errorf("HTTP: %q", got)
	}
	s := w.ws()
	s.text("hi")
	s.want(`text "hi"`)
	s.Close()
	if st := w.eng.Stats(); st.Raw != 7 || st.Requests != 2 {
		t.Errorf("%+v", st)
	}
}

// TestRawFallbackByteByByte: it is decided at the first byte that no method has.
func TestRawFallbackByteByByte(t *testing.T) {
	for _, test := range []struct {
		in      string
		decides int // bytes that are undecided
	}{{"XYZ\n", 0}, {"GEX\n", 2}, {"POST\n", 4}, {"OPTIONX", 6}} {
		w, recs := fallback(t)
		p := w.dial()
		for i := range test.in {
			p.WriteString(test.in[i : i+1])
			w.k.Drive()
			if made := len(*recs) > 0; made != (i >= test.decides) {
				t.Errorf("%q: after %d bytes raw is %v", test.in, i+1, made)
			}
		}
		if got := string((*recs)[0].got); got != test.in || string(p.Read()) != test.in {
			t.Errorf("%q arrived as %q", test.in, got)
		}
		w.stop()
	}
	for _, m := range []string{"GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE"} {
		w, recs := fallback(t)
		p := w.dial()
		for _, b := range []byte(m + " / HTTP/1.1\r\nHost: host\r\n\r\n") {
			p.Write([]byte{b})
			w.k.Drive()
		}
		if got := p.answer(); !strings.HasPrefix(got, "HTTP/1.1 ") || len(*recs) != 0 {
			t.Errorf("%s: %q", m, got)
		}
		w.stop()
	}
}

// TestRawFallbackSilence: who says nothing that decides is closed after
// HandshakeTimeout, and no handler is made; HTTP has what is left of that time.
func TestRawFallbackSilence(t *testing.T) {
	for _, said := range []string{"", "GE", "GET "} {
		w, recs := fallback(t)
		p := w.dial()
		w.k.Advance(8 * time.Second)
		p.WriteString(said)
		w.k.Advance(6900 * time.Millisecond)
		if n := w.eng.Stats().Conns; n != 1 {
			t.Errorf("%q: ended early", said)
		}
		w.k.Advance(200 * time.Millisecond)
		p.Close()
		w.k.Drive()
		if n := w.eng.Stats().Conns; n != 0 || len(*recs) != 0 {
			t.Errorf("%q: %d connections, %d handlers", said, n, len(*recs))
		}
		if answered := strings.HasPrefix(string(p.Read()), "HTTP/1.1 408"); answered != (said == "GET ") {
			t.Errorf("%q: answered %v", said, answered)
		}
		w.stop()
	}
}

// TestRawFallbackHalfAMethod: the stream ends where it is not decided: not HTTP.
func TestRawFallbackHalfAMethod(t *testing.T) {
	w, recs := fallback(t)
	p := w.dial()
	p.WriteString("GE")
	w.k.Drive()
	p.CloseWrite()
	if got := p.answer(); got != "GE" || !p.EOF() {
		t.Errorf("%q", got)
	}
	w.wantLog((*recs)[0], "opened, receive 2, closed")
	q := w.dial()
	q.CloseWrite()
	w.k.Drive()
	if !q.EOF() || len(*recs) != 1 {
		t.Error("a handler for nothing")
	}
}

// TestRawFallbackVHostGoes: who has not said yet what it is is served by the
// vhost that is the first then.
func TestRawFallbackVHostGoes(t *testing.T) {
	first, second := httpVHost(), httpVHost()
	first.Name, first.RawFallback, second.Name = "a", "raw", "b"
	w, recs := rawWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{first, second}}, nil)
	p, q := w.dial(), w.dial()
	q.WriteString("P")
	w.k.Drive()
	w.eng.VHost("a").Remove()
	w.k.Drive()
	p.WriteString("GET / HTTP/1.1\r\nHost: b\r\n\r\n")
	if got := p.answer(); !strings.HasSuffix(got, "GET /") {
		t.Errorf("HTTP: %q", got)
	}
	q.WriteString("x")
	w.k.Drive()
	if !q.EOF() || len(*recs) != 0 {
		t.Errorf("raw on a vhost without it: %d handlers", len(*recs))
	}
}

// TestRawNames: what RawOnly and RawFallback name must be there, and have Raw.
func TestRawNames(t *testing.T) {
	raw := core.Protocol{Name: "raw", Raw: func(*core.Conn) core.RawHandler { return nil }}
	plainRaw := &core.TLS{Plain: core.PlainRaw}
	for what, vh := range map[string]core.VHost{
		"RawOnly \"none\"":     {RawOnly: "none"},
		"RawFallback \"echo\"": {RawFallback: "echo"},
		"exclude":              {RawOnly: "raw", RawFallback: "raw"},
		"PlainRaw needs":       {TLS: plainRaw},
		"has no handler":       {Protocols: []core.Protocol{{Name: "empty"}}},
	} {
		vh.Addr = host
		vh.Protocols = append(vh.Protocols, echoProtocol(), raw)
		_, err := core.New(core.Config{Backend: sim.New(sim.Options{}), VHosts: []core.VHost{vh}})
		if err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
		if strings.HasPrefix(what, "Raw") && !errors.Is(err, core.ErrUnknownProtocol) {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// TestAdoptRaw: a socket that somebody else has opened, with what was read before.
func TestAdoptRaw(t *testing.T) {
	vh := httpVHost()
	w, recs := rawWorld(t, sim.Options{}, core.Config{Limits: core.Limits{MaxConns: 1}, VHosts: []core.VHost{vh}}, nil)
	th, v := w.eng.Thread(0), w.eng.VHost("default")
	w.k.Drive()
	fd, far := w.k.Pipe()
	p := &peer{Peer: far, w: w}
	for _, name := range []string{"", "none", "echo"} {
		if _, err := th.AdoptRaw(fd, v, name, "", nil); !errors.Is(err, core.ErrUnknownProtocol) {
			t.Errorf("protocol %q: %v", name, err)
		}
	}
	early := []byte("GET early")
	c, err := th.AdoptRaw(fd, v, "raw", "somebody", early)
	if err != nil {
		t.Fatal(err)
	}
	clear(early)
	if len(*recs) != 0 {
		t.Error("a handler was made inside")
	}
	p.WriteString(", late")
	if got := p.answer(); got != "GET early, late" {
		t.Errorf("echo %q", got)
	}
	if (*recs)[0].c != c || c.Peer() != "somebody" {
		t.Errorf("peer %q", c.Peer())
	}
	fd2, q := w.k.Pipe()
	var le *core.LimitError
	if _, err := th.AdoptRaw(fd2, v, "raw", "", nil); !errors.As(err, &le) {
		t.Errorf("no room: %v", err)
	}
	q.WriteString("mine")
	var b [8]byte
	if n, err := w.k.Read(fd2, b[:]); n != 4 || err != nil {
		t.Errorf("the descriptor that was refused: %d, %v", n, err)
	}
	w.k.Close(fd2)
	p.Close()
	w.k.Drive()
	w.wantLog((*recs)[0], "opened, receive 15, closed")
}
