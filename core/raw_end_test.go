package core_test

import (
	"errors"
	"io"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestRawHalfClose: the peer ends first and gets its answer behind that; the
// writer's CloseWrite ends the connection then.
func TestRawHalfClose(t *testing.T) {
	w, recs := rawWorld(t, sim.Options{}, core.Config{}, func(r *rawRec) core.RawHandler {
		r.on = func(*core.Conn, []byte) error { return nil }
		r.write = func(c *core.Conn, w *core.RawWriter) error {
			if _, err := w.Write(r.got); err != nil {
				return err
			}
			return w.CloseWrite()
		}
		return halfRec{rawRec: r, peerEnd: func(c *core.Conn) error { return c.RequestWritable() }}
	})
	p := w.dial()
	p.WriteString("all of it")
	w.k.Drive()
	if p.EOF() || len(p.Read()) > 0 {
		t.Fatal("an answer before the end")
	}
	p.CloseWrite()
	if got := p.answer(); got != "all of it" || !p.EOF() {
		t.Errorf("answer %q, end %v", got, p.EOF())
	}
	w.wantLog((*recs)[0], "opened, receive 9, peer end, closed")
	if err := (*recs)[0].err; err != io.EOF {
		t.Errorf("ended with %v", err)
	}
}

// TestRawCloseWriteFirst: we end first; what was written before arrives, also if
// it had to wait, no Writable follows, and the peer may go on.
func TestRawCloseWriteFirst(t *testing.T) {
	for _, capacity := range []int{100, 1 << 20} {
		for _, half := range []bool{false, true} {
			written := 0
			w, recs := rawWorld(t, sim.Options{Capacity: capacity}, core.Config{}, func(r *rawRec) core.RawHandler {
				r.open = func(c *core.Conn) error { return c.RequestWritable() }
				r.on = func(c *core.Conn, _ []byte) error { return c.RequestWritable() }
				r.write = func(c *core.Conn, w *core.RawWriter) error {
					written++
					w.Write(make([]byte, 1000))
					w.CloseWrite()
					if n, err := w.Write([]byte("more")); n != 0 || err == nil {
						t.Error("written after CloseWrite")
					}
					return nil
				}
				if half {
					return halfRec{rawRec: r}
				}
				return r
			})
			p := w.dial()
			p.Stall(true)
			w.k.Drive()
			if capacity == 100 && p.EOF() {
				t.Error("the end came before what was written")
			}
			p.Stall(false)
			if got := len(p.answer()); got != 1000 || !p.EOF() {
				t.Errorf("%d bytes, end %v", got, p.EOF())
			}
			p.WriteString("still here")
			w.k.Drive()
			r := (*recs)[0]
			w.wantLog(r, "opened, receive 10")
			p.CloseWrite()
			w.k.Drive()
			want := "opened, receive 10, closed"
			if half {
				want = "opened, receive 10, peer end, closed"
			}
			if w.wantLog(r, want); written != 1 || r.err != io.EOF {
				t.Errorf("%d writables, ended with %v", written, r.err)
			}
			w.stop()
		}
	}
}

// TestRawClose: Close sends what was written first; Drop and a peer that takes
// nothing do not.
func TestRawClose(t *testing.T) {
	for _, end := range []string{"close", "drop", "stalled"} {
		w, recs := rawWorld(t, sim.Options{Capacity: 1000}, core.Config{}, nil)
		p := w.dial()
		p.Stall(true)
		w.k.Drive()
		r := (*recs)[0]
		r.on = func(c *core.Conn, p []byte) error { return nil }
		r.out = make([]byte, 5000)
		r.c.RequestWritable()
		w.k.Drive()
		if n := r.c.Pending(); n != 4000 {
			t.Errorf("%d pending", n)
		}
		switch end {
		case "drop":
			r.c.Drop()
		default:
			r.c.Close(1000, "")
		}
		w.k.Drive()
		if closed := r.err != nil; closed != (end == "drop") {
			t.Errorf("%s: closed %v", end, closed)
		}
		switch end {
		case "close":
			p.WriteString("not read any more")
			p.Stall(false)
			if got := len(p.answer()); got != 5000 || !p.EOF() || p.ResetSeen() {
				t.Errorf("%d bytes, end %v", got, p.EOF())
			}
			p.Close()
			w.k.Drive()
		case "stalled":
			w.k.Advance(5 * time.Second)
			var ce *core.CloseError
			if !errors.As(r.err, &ce) {
				t.Errorf("ended with %v", r.err)
			}
		}
		w.wantLog(r, "opened, closed")
		w.stop()
	}
}

// TestRawIdle: IdleTimeout counts from the last byte received, stands still while
// we pause, and begins anew when the peer takes what waited.
func TestRawIdle(t *testing.T) {
	lim := core.Limits{IdleTimeout: 10 * time.Second}
	w, recs := rawWorld(t, sim.Options{Capacity: 1000}, core.Config{Limits: lim}, nil)
	p := w.dial()
	w.k.Drive()
	r := (*recs)[0]
	open := func(want bool) {
		t.Helper()
		if got := r.c.Open(); got != want {
			t.Fatalf("open: %v", got)
		}
	}
	w.k.Advance(9 * time.Second)
	p.WriteString("x")
	w.k.Advance(9 * time.Second)
	open(true)
	r.c.Pause()
	w.k.Advance(time.Minute)
	r.c.Resume()
	w.k.Advance(900 * time.Millisecond)
	open(true)
	p.WriteString("y")
	p.Stall(true)
	r.out = make([]byte, 2000)
	r.c.RequestWritable()
	w.k.Advance(9 * time.Second)
	p.TakeSome(500)
	w.k.Advance(9 * time.Second)
	open(true)
	p.Stall(false)
	p.Read()
	w.k.Advance(9 * time.Second)
	open(true)
	w.k.Advance(4 * time.Second)
	open(false)
	var le *core.LimitError
	if !errors.As(r.err, &le) || le.Limit != "IdleTimeout" {
		t.Errorf("ended with %v", r.err)
	}
}

// TestRawTimerAndStop: a timer of the handler's, and the engine's end.
func TestRawTimerAndStop(t *testing.T) {
	w, recs := rawWorld(t, sim.Options{}, core.Config{}, func(r *rawRec) core.RawHandler {
		r.open = func(c *core.Conn) error { return c.SetTimer(time.Second) }
		return r
	})
	p := w.dial()
	w.k.Advance(time.Second)
	w.eng.Stop(time.Second)
	w.k.Drive()
	if !p.EOF() {
		t.Error("the peer is not told")
	}
	p.Close()
	w.k.Advance(time.Second)
	w.end = true
	w.stop()
	w.wantLog((*recs)[0], "opened, timer, closed")
	if err := (*recs)[0].err; !errors.Is(err, core.ErrStopped) {
		t.Errorf("ended with %v", err)
	}
}

// TestRawReset: a peer that resets is a transport error.
func TestRawReset(t *testing.T) {
	w, recs := rawWorld(t, sim.Options{}, core.Config{}, func(r *rawRec) core.RawHandler { return halfRec{rawRec: r} })
	p := w.dial()
	w.k.Drive()
	p.Reset()
	w.k.Drive()
	var te *core.TransportError
	if err := (*recs)[0].err; !errors.As(err, &te) {
		t.Errorf("ended with %v", err)
	}
	w.wantLog((*recs)[0], "opened, closed")
}
