package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// Spec section 7.

func TestPause_7_T1_ManySmallFramesInOneSegment(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error {
			if r.count("receive") == 1 {
				return c.Pause()
			}
			return nil
		}
	})
	p := w.ws()
	var all []byte
	for i := range 1000 {
		all = append(all, frame(ws.Text, true, fmt.Sprint(i))...)
	}
	p.Write(all)
	w.k.Drive()
	r := (*recs)[0]
	if n := r.count("receive"); n != 1 {
		t.Fatalf("%d Receive while paused", n)
	}
	if ev, _ := w.k.Interest(p.FD()); ev != 0 {
		t.Errorf("interest while paused: %v", ev)
	}
	r.c.Resume()
	w.k.Drive()
	if n := r.count("receive"); n != 1000 {
		t.Fatalf("%d Receive after resuming", n)
	}
	for i := range 1000 {
		if want := fmt.Sprintf("receive %q", fmt.Sprint(i)); r.events[i+1] != want {
			t.Fatalf("event %d is %s, want %s", i, r.events[i+1], want)
		}
	}
}

func TestPause_7_T2_MemoryStaysFlat(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() }
	})
	p := w.ws()
	big := frame(ws.Binary, true, strings.Repeat("x", 1<<20))
	taken := 0
	for range 100 {
		taken += p.Write(big[taken:])
		w.k.Drive()
	}
	if taken > 200<<10 {
		t.Errorf("%d bytes were taken while paused", taken)
	}
	for taken < len(big) {
		(*recs)[0].c.Resume()
		w.k.Drive()
		taken += p.Write(big[taken:])
	}
	(*recs)[0].c.Resume()
	w.k.Drive()
}

func TestPause_7_T3_CloseBehindThePause(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error {
			if r.count("receive") == 1 {
				return c.Pause()
			}
			return nil
		}
	})
	p := w.ws()
	p.text("a")
	w.k.Drive()
	p.text("b")
	p.close(1000, "done")
	p.CloseWrite()
	w.k.Drive()
	r := (*recs)[0]
	if got, want := r.log(), `opened, receive "a"`; got != want {
		t.Fatalf("while paused: %s", got)
	}
	r.c.Resume()
	w.k.Drive()
	if got, want := r.log(), `opened, receive "a", receive "b", peerclose 1000 "done", closed`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	p.want(`close 1000 "done" | eof`)
}

func TestPause_7_T4_Flapping(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, nil)
	w.ws()
	c := (*recs)[0].c
	for range 100_000 {
		c.Pause()
		c.Resume()
	}
	w.k.Drive()
	turns := w.k.Counts().Turns
	w.k.Drive()
	if n := w.k.Counts().Turns - turns; n > 1 {
		t.Errorf("%d turns with nothing to do", n)
	}
}

// TestPausedTimeStandsStill: ruling 15.
func TestPausedTimeStandsStill(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, nil)
	p := w.ws()
	w.k.Advance(30 * time.Second)
	c := (*recs)[0].c
	c.Pause()
	w.k.Advance(time.Hour)
	c.Resume()
	w.k.Advance(10*time.Second - 1)
	p.want("")
	w.k.Advance(1)
	if got := p.frames(); !strings.HasPrefix(got, "ping ") {
		t.Errorf("no ping 40 s of unpaused time after the handshake: %q", got)
	}
}

func TestPingsAreAnsweredWhileChoked(t *testing.T) {
	w, _ := oneRecorder(t, sim.Options{Capacity: 2000}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.RequestWritable() }
		r.write = func(c *core.Conn, w *core.WSWriter) error {
			if r.count("writable") == 1 {
				return w.Binary(make([]byte, 50<<10))
			}
			return nil
		}
	})
	p := w.ws()
	p.Stall(true)
	p.text("go")
	w.k.Drive()
	for i := range 1000 {
		p.ping(fmt.Sprint(i))
		w.k.Drive()
	}
	p.Stall(false)
	p.want(`binary [51200] | pong "999"`)
}

// Spec section 34: local close, with the peer answering, mute, or gone.

func TestClose_34_T1(t *testing.T) {
	for _, tc := range []struct {
		name, peer, want, log string
		after                 time.Duration
	}{
		{"answers", "close", `close 4000 "why" | eof`, "closed", 0},
		{"mute", "", `close 4000 "why" | eof`, "closed", 5 * time.Second},
		{"ends", "eof", `close 4000 "why" | eof`, "closed", 0},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
				r.on = func(*core.Conn, core.Fragment) error { return &core.CloseError{Code: 4000, Text: "why"} }
			})
			p := w.ws()
			p.text("x")
			p.text("ignored")
			w.k.Drive()
			switch tc.peer {
			case "close":
				p.close(4000, "why")
			case "eof":
				p.CloseWrite()
			}
			w.k.Advance(tc.after)
			p.want(tc.want)
			r := (*recs)[0]
			if r.count("closed") != 1 || r.count("receive") != 1 {
				t.Errorf("callbacks: %s", r.log())
			}
			var ce *core.CloseError
			if !errors.As(r.err, &ce) || ce.Code != 4000 || ce.Remote {
				t.Errorf("Closed with %v", r.err)
			}
		})
	}
}

func TestClose_34_Codes(t *testing.T) {
	for _, tc := range []struct {
		send func(p *peer)
		want string
	}{
		{func(p *peer) { p.close(1000, "x") }, `close 1000 "x" | eof`},
		{func(p *peer) { p.close(999, "") }, `close 1002 "illegal close code" | eof`},
		{func(p *peer) { p.close(1005, "") }, `close 1002 "illegal close code" | eof`},
		{func(p *peer) { p.close(2999, "") }, `close 1002 "illegal close code" | eof`},
		{func(p *peer) { p.Write(frame(ws.Close, true, "")) }, `close | eof`},
		{func(p *peer) { p.Write(frame(ws.Close, true, "a")) }, `close 1002 "close frame of one byte" | eof`},
		{func(p *peer) { p.Write(frame(3, true, "")) }, `close 1002 "reserved opcode" | eof`},
		{func(p *peer) { p.Write(ws.AppendFrame(nil, ws.Header{Op: ws.Text, Fin: true}, []byte("a"))) }, `close 1002 "client frame without a mask" | eof`},
		{func(p *peer) { p.text("\xff") }, `close 1007 "text is not UTF-8" | eof`},
		{func(p *peer) { p.text("error") }, `close 1011 | eof`},
		{func(p *peer) { p.text("drop") }, `eof`},
		{func(p *peer) { p.text("panic") }, `close 1011 | eof`},
		{func(p *peer) { p.text("close") }, `close 3000 "bye" | eof`},
		{func(p *peer) { p.CloseWrite() }, `eof`},
	} {
		w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
			r.on = func(c *core.Conn, f core.Fragment) error {
				switch string(f.Data) {
				case "error":
					return errors.New("of the application")
				case "drop":
					return core.ErrDrop
				case "panic":
					panic("of the application")
				case "close":
					c.Close(3000, "bye")
					return errors.New("too late")
				}
				return nil
			}
		})
		p := w.ws()
		tc.send(p)
		w.k.Advance(10 * time.Second)
		p.want(tc.want)
		if r := (*recs)[0]; r.count("closed") != 1 || r.events[len(r.events)-1] != "closed" {
			t.Errorf("%s: callbacks %s", tc.want, r.log())
		}
	}
}

func TestBothCloseAtOnce(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, nil)
	p := w.ws()
	p.SetLatency(time.Millisecond)
	(*recs)[0].c.Close(4001, "ours")
	p.close(4002, "theirs")
	w.k.Advance(10 * time.Millisecond)
	p.want(`close 4001 "ours" | eof`)
	w.k.Advance(10 * time.Millisecond)
	if r := (*recs)[0]; r.count("closed") != 1 || r.count("peerclose") != 0 {
		t.Errorf("callbacks %s", r.log())
	}
}

// Spec section 16.

func TestHeaderPool_16_T2_ThirdWaits(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{HeaderPool: 2}, VHosts: []core.VHost{httpVHost()}})
	a, b, c := w.dial(), w.dial(), w.dial()
	for _, p := range []*peer{a, b} {
		p.WriteString("GET / HTTP/1.1\r\nHo")
		w.k.Drive()
	}
	c.WriteString("GET /c HTTP/1.1\r\nHost: h\r\n\r\n")
	if got := c.answer(); got != "" {
		t.Fatalf("served without a header table: %q", got)
	}
	if ev, _ := w.k.Interest(c.FD()); ev != 0 {
		t.Errorf("interest of a waiting connection: %v", ev)
	}
	a.WriteString("st: h\r\n\r\n")
	w.k.Drive()
	if got := c.answer(); !strings.Contains(got, "GET /c") {
		t.Errorf("not served after a table came free: %q", got)
	}
	w.k.Advance(10 * time.Second)
	if got := b.answer(); !strings.HasPrefix(got, "HTTP/1.1 408") {
		t.Errorf("half a request after 10 s: %q", got)
	}
}

func TestHeaderPool_16_T4_LargeCookie(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.dial()
	p.WriteString("GET / HTTP/1.1\r\nHost: h\r\nCookie: " + strings.Repeat("c", 5000) + "\r\n\r\n")
	if got := p.answer(); !strings.HasPrefix(got, "HTTP/1.1 431") {
		t.Errorf("%.60q", got)
	}
	w2 := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{HeaderBytes: 16 << 10}, VHosts: []core.VHost{httpVHost()}})
	p = w2.dial()
	p.WriteString("GET / HTTP/1.1\r\nHost: h\r\nCookie: " + strings.Repeat("c", 5000) + "\r\n\r\n")
	if got := p.answer(); !strings.HasPrefix(got, "HTTP/1.1 200") {
		t.Errorf("%.60q", got)
	}
}

// Spec sections 4 and 13.

func TestCapacity_4_T1_ListenersPauseAtTheLimit(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{MaxConns: 10}, VHosts: []core.VHost{httpVHost()}})
	var ps []*peer
	for range 20 {
		p := w.dial()
		p.WriteString(handshake + "\r\n")
		ps = append(ps, p)
	}
	w.k.Drive()
	served := func() (n int) {
		for _, p := range ps {
			p.buf = append(p.buf, p.Read()...)
			if strings.HasPrefix(string(p.buf), "HTTP/1.1 101") {
				n++
			}
		}
		return n
	}
	if n := served(); n != 10 {
		t.Fatalf("%d served at a limit of 10", n)
	}
	turns := w.k.Counts().Turns
	w.k.Drive()
	if n := w.k.Counts().Turns - turns; n > 1 {
		t.Errorf("%d turns while full", n)
	}
	for _, p := range ps[:5] {
		p.Reset()
	}
	w.k.Drive()
	if n := served(); n != 15 {
		t.Errorf("%d served after five left", n)
	}
}

func TestCapacity_EMFILE_PausesAndResumes(t *testing.T) {
	w := newWorld(t, sim.Options{Files: 12}, core.Config{VHosts: []core.VHost{httpVHost()}})
	for range 20 {
		p := w.dial()
		p.WriteString(handshake + "\r\n")
	}
	w.k.Drive()
	if st := w.eng.Stats(); st.Conns != 10 || st.AcceptPauses != 1 {
		t.Fatalf("at the descriptor limit: %+v", st)
	}
	accepts := w.k.Counts().Accepts
	w.k.Advance(99 * time.Millisecond)
	if n := w.k.Counts().Accepts; n != accepts {
		t.Errorf("accept was tried %d times within AcceptPause", n-accepts)
	}
	w.k.SetFileLimit(100)
	w.k.Advance(time.Millisecond)
	if st := w.eng.Stats(); st.Conns != 20 {
		t.Errorf("%d connections after the limit rose", st.Conns)
	}
}

func TestForcedService_13_T6_ResumeWithoutTraffic(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error {
			if r.count("receive") == 1 {
				return c.Pause()
			}
			return nil
		}
	})
	p := w.ws()
	p.Write(append(frame(ws.Text, true, "a"), frame(ws.Text, true, "b")...))
	w.k.Drive()
	th := w.eng.Thread(0)
	if d := th.AdjustTimeout(5 * time.Second); d != 5*time.Second {
		t.Errorf("AdjustTimeout while paused: %v", d)
	}
	(*recs)[0].c.Resume()
	if d := th.AdjustTimeout(5 * time.Second); d != 0 {
		t.Errorf("AdjustTimeout after Resume: %v, want 0", d)
	}
	th.ServicePending()
	if n := (*recs)[0].count("receive"); n != 2 {
		t.Errorf("%d Receive after forced service", n)
	}
}

func TestServiceFD_13_T3_ForeignDescriptor(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	w.k.Drive()
	for _, fd := range []int32{-1, 0, 99, 1 << 30} {
		p := loop.PollFD{Fd: fd, Events: 5, Revents: 5}
		if w.eng.Thread(0).ServiceFD(&p) || p.Revents != 5 || p.Events != 5 {
			t.Errorf("descriptor %d was taken or touched: %+v", fd, p)
		}
	}
}

func TestHangup_13_T13_UnreadDataIsDelivered(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, nil)
	p := w.ws()
	p.text("a")
	p.text("b")
	p.Close()
	w.k.CloseWrite(p.FD()) // so that the loop says Hup together with In
	w.k.Drive()
	if got, want := (*recs)[0].log(), `opened, receive "a", receive "b", closed`; got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

func TestHalfCloseGetsItsAnswer(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.dial()
	p.WriteString("GET /x HTTP/1.1\r\nHost: h\r\n\r\n")
	p.CloseWrite()
	if got := p.answer(); !strings.Contains(got, "GET /x") || !p.EOF() {
		t.Errorf("%q, end of stream %v", got, p.EOF())
	}
}

// worker answers every request from a job of the pool.
type worker struct{}

func (worker) Request(c *core.Conn, _ *core.Request) error {
	return c.Work(func() {}, func(c *core.Conn) error { return c.RequestWritable() })
}
func (worker) Writable(_ *core.Conn, w *core.HTTPWriter) error {
	return w.Respond(200, nil, []byte("done"))
}

// TestRequestAfterOneAnsweredByAWorkerIsRead: a pause with nothing left to read
// must not stop the reading for good.
func TestRequestAfterOneAnsweredByAWorkerIsRead(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{
		Name: "w", HTTP: func(*core.Conn) core.HTTPHandler { return worker{} }}}}}})
	p := w.dial()
	for i := range 5 {
		p.WriteString("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
		got := ""
		w.until(fmt.Sprintf("request %d is answered", i), func() bool {
			got += string(p.Read())
			return strings.HasSuffix(got, "done")
		})
	}
}

func TestEndOfStreamHeldBackByAPauseIsTold(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() }
	})
	p := w.ws()
	p.text("a")
	p.CloseWrite()
	w.k.Drive()
	if n := (*recs)[0].count("closed"); n != 0 {
		t.Fatal("closed while paused")
	}
	(*recs)[0].c.Resume()
	w.k.Drive()
	if n := (*recs)[0].count("closed"); n != 1 {
		t.Errorf("Closed came %d times after Resume", n)
	}
}

func TestReservedCloseCodesAreRefused(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, nil)
	p := w.ws()
	c := (*recs)[0].c
	for _, code := range []int{0, 999, 1005, 1006, 1015, 2999, 5000, 66536} {
		if err := c.Close(code, ""); !errors.Is(err, core.ErrReservedCode) {
			t.Errorf("code %d: %v", code, err)
		}
	}
	p.want("")
	if err := c.Close(1000, ""); err != nil {
		t.Error(err)
	}
	p.want("close 1000")
}

// TestBytesBehindTheCloseDoNotResetTheConnection: the server sends its end of stream
// and reads until the peer's, for at most LingerTimeout; Closed comes then.
func TestBytesBehindTheCloseDoNotResetTheConnection(t *testing.T) {
	for _, closes := range []bool{true, false} {
		w, recs := oneRecorder(t, sim.Options{}, nil)
		p := w.ws()
		p.deaf = true
		p.close(1000, "")
		p.ping("behind")
		p.want("close 1000 | eof")
		p.ping("and later")
		p.want("eof") // no reset
		r := (*recs)[0]
		if r.count("closed") != 0 || p.Gone() {
			t.Error("closed before the peer has")
		}
		if closes {
			p.CloseWrite()
			w.k.Drive()
		} else {
			w.k.Advance(2 * time.Second)
		}
		if r.count("closed") != 1 || !p.Gone() {
			t.Errorf("peer closes %v: callbacks %s, gone %v", closes, r.log(), p.Gone())
		}
	}
}
