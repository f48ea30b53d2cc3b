package core_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

func TestStop_35_EverybodyGetsAGoodbye(t *testing.T) {
	var recs []*recorder
	var order []string
	p := recording("rec", &recs, nil)
	p.Init = func(*core.VirtualHost) error { order = append(order, "init"); return nil }
	p.Destroy = func(*core.VirtualHost) { order = append(order, "destroy") }
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{p, {Name: "http", HTTP: core.HTTPFunc(hello)}}}}})
	var ps []*peer
	for range 100 {
		ps = append(ps, w.ws())
	}
	idle := w.dial()
	w.k.Drive()
	w.eng.Post(func() { order = append(order, "post") })
	w.eng.Stop(0)
	w.eng.Post(func() { order = append(order, "late post") })
	for _, p := range ps[:50] {
		p.want(`close 1001 "server is going away"`)
		p.close(1001, "")
	}
	idle.want("eof")
	w.k.Advance(5 * time.Second)
	for i, p := range ps {
		if got := p.frames(); !strings.HasSuffix(got, "eof") {
			t.Errorf("peer %d: %s", i, got)
		}
	}
	for _, r := range recs {
		if r.count("closed") != 1 || !errors.Is(r.err, core.ErrStopped) {
			t.Fatalf("%s: %v", r.log(), r.err)
		}
	}
	if got := strings.Join(order, ", "); got != "init, post, late post, destroy" {
		t.Errorf("order: %s", got)
	}
	if err := w.eng.Post(func() {}); !errors.Is(err, core.ErrStopped) {
		t.Errorf("Post after the end: %v", err)
	}
	if w.k.Dial(host) != nil {
		t.Error("still listening")
	}
	w.end = true
}

func TestStopCutsOffAtGrace(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{CloseTimeout: -1}, VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	w.eng.Stop(7 * time.Second)
	w.k.Advance(7*time.Second - 1)
	if p.Gone() {
		t.Fatal("cut off early")
	}
	w.k.Advance(1)
	if !p.Gone() {
		t.Error("alive after the grace time")
	}
	w.end = true
}

func TestStopInsideEveryCallback(t *testing.T) {
	for _, where := range []string{"opened", "receive", "writable", "pong", "peerclose", "timer", "closed", "request", "body"} {
		t.Run(where, func(t *testing.T) {
			var w *world
			stop := func(here string) {
				if here == where {
					w.eng.Stop(-1)
				}
			}
			h := func(*core.Conn) core.WSHandler { return &stopper{stop} }
			w = newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{
				Name: "all", WS: h, HTTP: func(*core.Conn) core.HTTPHandler { return &stopperHTTP{stop} }}}}}})
			p := w.dial()
			p.WriteString(handshake + "\r\n")
			w.k.Drive()
			p.text("a")
			p.pong("")
			p.close(1000, "")
			w.k.Drive()
			q := w.k.Dial(host)
			if q != nil {
				q.WriteString("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
			}
			w.k.Advance(time.Minute)
			select {
			case <-w.eng.Done():
				w.end = true
			default:
				t.Error("Stop had no effect")
			}
		})
	}
}

type stopper struct{ stop func(string) }

func (s *stopper) Opened(c *core.Conn, _ *core.Request) error {
	s.stop("opened")
	return c.SetTimer(0)
}
func (s *stopper) Receive(c *core.Conn, _ core.Fragment) error {
	s.stop("receive")
	return c.RequestWritable()
}
func (s *stopper) Writable(*core.Conn, *core.WSWriter) error { s.stop("writable"); return nil }
func (s *stopper) Pong(*core.Conn, []byte) error             { s.stop("pong"); return nil }
func (s *stopper) PeerClose(*core.Conn, int, string) error   { s.stop("peerclose"); return nil }
func (s *stopper) Timer(*core.Conn) error                    { s.stop("timer"); return nil }
func (s *stopper) Closed(*core.Conn, error)                  { s.stop("closed") }

type stopperHTTP struct{ stop func(string) }

func (s *stopperHTTP) Request(*core.Conn, *core.Request) error { s.stop("request"); return nil }
func (s *stopperHTTP) Body(c *core.Conn, _ []byte) error {
	s.stop("body")
	return c.RequestWritable()
}
func (s *stopperHTTP) BodyDone(*core.Conn) error { return nil }
func (s *stopperHTTP) Writable(_ *core.Conn, w *core.HTTPWriter) error {
	return w.Respond(200, nil, nil)
}

func TestShutdownOnALoopThreadIsRefused(t *testing.T) {
	var got error
	w, _ := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error {
			got = c.Thread().Engine().Shutdown(context.Background())
			return nil
		}
	})
	p := w.ws()
	p.text("x")
	w.k.Drive()
	if !errors.Is(got, core.ErrWouldDeadlock) {
		t.Errorf("Shutdown in a callback: %v", got)
	}
}

// TestPanics: a panic in any callback ends that connection only, and is logged
// with its stack.
func TestPanics(t *testing.T) {
	for _, where := range []string{"opened", "receive", "writable", "pong", "peerclose", "timer", "closed", "request", "body"} {
		t.Run(where, func(t *testing.T) {
			boom := func(here string) {
				if here == where {
					panic("boom in " + here)
				}
			}
			w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{
				{Name: "all", WS: func(*core.Conn) core.WSHandler { return &stopper{boom} }, HTTP: func(*core.Conn) core.HTTPHandler { return &stopperHTTP{boom} }},
				echoProtocol()}}}})
			other := w.ws("Sec-WebSocket-Protocol: echo\r\n")
			p := w.dial()
			p.WriteString(handshake + "\r\n")
			w.k.Drive()
			p.text("a")
			p.pong("")
			w.k.Drive()
			p.close(1000, "")
			q := w.dial()
			q.WriteString("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\nx")
			w.k.Advance(10 * time.Second)
			if !p.Gone() {
				t.Error("the connection is still there")
			}
			if where == "request" || where == "body" {
				if got := string(q.Read()); !strings.HasPrefix(got, "HTTP/1.1 500") {
					t.Errorf("answer: %.60q", got)
				}
			}
			other.text("alive")
			other.want(`text "alive"`)
			if s := w.log.String(); !strings.Contains(s, "boom in "+where) || !strings.Contains(s, "life_test.go") {
				t.Errorf("not logged with its stack: %.300s", s)
			}
		})
	}
}

func TestVHosts_27(t *testing.T) {
	vh := func(name string, more ...string) core.VHost {
		return core.VHost{Name: name, Aliases: more, Protocols: []core.Protocol{{Name: "http", HTTP: core.HTTPFunc(
			func(c *core.Conn, r *core.Request, w *core.HTTPWriter) error {
				return w.Respond(200, nil, []byte("<"+c.VHost().Name()+">"))
			})}}}
	}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh("first.test"), vh("a.test"), vh("b.test", "*.c.test")}})
	for hostName, want := range map[string]string{
		"a.test": "a.test", "b.test": "b.test", "A.TEST": "a.test", "a.test:9999": "a.test", "a.test.": "a.test",
		"unknown": "first.test", "x.y.a.test": "a.test", "xa.test": "first.test", "a.tes": "first.test",
		"q.c.test": "b.test", "c.test": "first.test", "[::1]:80": "first.test",
	} {
		p := w.dial()
		p.WriteString("GET / HTTP/1.1\r\nHost: " + hostName + "\r\n\r\n")
		if got := p.answer(); !strings.Contains(got, "<"+want+">") {
			t.Errorf("Host %s: %q, want %s", hostName, got, want)
		}
	}
}

func TestVHostRemoveAndAdd_27_T5_T8(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	files := w.k.Files()
	for i := range 100 {
		destroyed := false
		proto := core.Protocol{Name: "hello", HTTP: core.HTTPFunc(hello), WS: core.OnMessage(echoFn), Destroy: func(*core.VirtualHost) { destroyed = true }}
		vh, err := w.eng.AddVHost(core.VHost{Name: fmt.Sprintf("v%d.test", i), Addr: host, Protocols: []core.Protocol{proto}})
		if err != nil {
			t.Fatal(err)
		}
		q := w.dial()
		q.WriteString(strings.Replace(handshake, "Host: host", "Host: "+vh.Name(), 1) + "\r\n")
		if got := q.answer(); !strings.HasPrefix(got, "HTTP/1.1 101") {
			t.Fatalf("%q", got)
		}
		vh.Remove()
		w.k.Drive()
		q.want(`close 1001 "server is going away"`)
		q.close(1001, "")
		q.want("eof")
		if !destroyed {
			t.Fatal("Destroy has not come")
		}
	}
	if n := w.k.Files(); n != files+1 { // p and ours, and the last peer's is gone
		if n != files {
			t.Errorf("%d descriptors, %d before", n, files)
		}
	}
	p.text("still here")
	p.want(`text "still here"`)
}

func TestRemoveOfTheFirstOwnerKeepsTheListener(t *testing.T) {
	second := httpVHost()
	second.Name = "second"
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost(), second}})
	w.k.Drive()
	w.eng.VHost("default").Remove()
	w.k.Drive()
	p := w.dial()
	p.WriteString("GET /x HTTP/1.1\r\nHost: second\r\n\r\n")
	if got := p.answer(); !strings.Contains(got, "GET /x") {
		t.Errorf("%q", got)
	}
}

func TestWake_6(t *testing.T) {
	rounds := 0
	vh := httpVHost()
	vh.Protocols[0].WaitCancelled = func(*core.Thread, *core.VirtualHost) { rounds++ }
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	w.eng.Wake() // before the loop turns: remembered
	w.k.Drive()
	if rounds != 1 {
		t.Errorf("%d rounds for a wake before the loop", rounds)
	}
	done := make(chan struct{})
	for range 8 {
		go func() {
			for range 10_000 {
				w.eng.Wake()
			}
			done <- struct{}{}
		}()
	}
	for n := 0; n < 8; {
		select {
		case <-done:
			n++
		default:
			w.k.Turn()
		}
	}
	w.k.Drive()
	before := rounds
	w.eng.Wake()
	w.k.Drive()
	if rounds != before+1 || rounds > 80_002 {
		t.Errorf("%d rounds, %d after the last wake", rounds, rounds-before)
	}
}

func TestPostIsOrderedBoundedAndRunsOnce(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{PostQueue: 10, PostBatch: 3}, VHosts: []core.VHost{httpVHost()}})
	w.k.Drive()
	var got []int
	for i := range 10 {
		if err := w.eng.Post(func() { got = append(got, i) }); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.eng.Post(func() {}); !errors.Is(err, core.ErrFull) {
		t.Errorf("the eleventh: %v", err)
	}
	w.k.Drive()
	if fmt.Sprint(got) != "[0 1 2 3 4 5 6 7 8 9]" {
		t.Errorf("ran %v", got)
	}
}

func TestDetachAndAttach(t *testing.T) {
	recs := &[]*recorder{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{recording("rec", recs, nil)}}}})
	p := w.ws()
	for range 100 {
		w.eng.Detach()
		if n := w.k.Watched(); n != 0 {
			t.Fatalf("%d descriptors watched while detached", n)
		}
		p.text("x")
		w.k.Drive()
		if err := w.eng.Attach(w.k); err != nil {
			t.Fatal(err)
		}
		w.k.Drive()
	}
	if n := (*recs)[0].count("receive"); n != 100 {
		t.Errorf("%d of 100 messages sent while detached", n)
	}
	// Deadlines run on and fire after the next attach.
	w.eng.Detach()
	w.k.Skip(time.Minute)
	if p.Gone() {
		t.Error("closed while detached")
	}
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	w.k.Advance(11 * time.Second)
	if !p.Gone() {
		t.Error("PongTimeout did not fire after the attach")
	}
	if err := w.eng.Attach(w.k); !errors.Is(err, core.ErrAttached) {
		t.Errorf("second attach: %v", err)
	}
}

func TestDetachInsideACallback(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, f core.Fragment) error {
			if string(f.Data) == "detach" {
				c.Thread().Engine().Detach()
			}
			return c.RequestWritable()
		}
		r.write = func(_ *core.Conn, w *core.WSWriter) error { return w.Text([]byte("here")) }
	})
	p := w.ws()
	p.text("detach")
	w.k.Drive()
	if n := w.k.Watched(); n != 0 {
		t.Errorf("%d descriptors watched", n)
	}
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	p.text("b")
	p.want(`text "here" | text "here"`)
	if n := (*recs)[0].count("receive"); n != 2 {
		t.Errorf("%d Receive", n)
	}
}

func TestMisuse(t *testing.T) {
	if _, err := core.New(core.Config{}); !errors.Is(err, core.ErrNoBackend) {
		t.Errorf("no backend: %v", err)
	}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	if err := w.eng.Run(context.Background()); !errors.Is(err, core.ErrForeignLoop) {
		t.Errorf("Run on a foreign loop: %v", err)
	}
	for _, vh := range []core.VHost{
		{Name: "x", Protocols: []core.Protocol{{Name: "empty"}}},
		{Name: "x", Mounts: []core.Mount{{Path: "/", Protocol: "none"}}},
		{Name: "x", DefaultProtocol: "none"},
		{Name: "default"},
		{Name: "x", Mounts: []core.Mount{{Path: "relative"}}},
	} {
		if _, err := w.eng.AddVHost(vh); err == nil {
			t.Errorf("accepted: %+v", vh)
		}
	}
}
