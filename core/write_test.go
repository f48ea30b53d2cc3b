package core_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

func oneRecorder(t *testing.T, o sim.Options, setup func(*recorder)) (*world, *[]*recorder) {
	recs := &[]*recorder{}
	w := newWorld(t, o, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{recording("rec", recs, setup)}}}})
	return w, recs
}

// TestWriting_2_T1: a slow reader costs a chunk, not the stream.
func TestWriting_2_T1_SlowReader(t *testing.T) {
	const chunk, total = 64 << 10, 10 << 20
	payload := bytes.Repeat([]byte("0123456789abcdef"), chunk/16)
	sent := 0
	w, recs := oneRecorder(t, sim.Options{Capacity: 8 << 10}, func(r *recorder) {
		r.open = func(c *core.Conn, _ *core.Request) error { return c.RequestWritable() }
		r.write = func(c *core.Conn, w *core.WSWriter) error {
			if sent == total {
				return nil
			}
			if err := w.Binary(payload); err != nil {
				return err
			}
			sent += chunk
			return c.RequestWritable()
		}
	})
	p := w.ws()
	p.Stall(true)
	w.k.Drive()
	most, got := 0, 0
	for got < total {
		p.TakeSome(5000)
		w.k.Drive()
		most = max(most, (*recs)[0].c.Pending())
		got += bytes.Count(p.Read(), []byte("f"))*16 - 0
		if sent == total && (*recs)[0].c.Pending() == 0 {
			p.Stall(false)
			w.k.Drive()
			break
		}
	}
	if most > 2*chunk {
		t.Errorf("%d bytes were pending at most, more than two chunks", most)
	}
	if sent != total {
		t.Errorf("sent %d of %d", sent, total)
	}
	if n := p.Received(); n < total {
		t.Errorf("received %d of %d", n, total)
	}
}

func TestWriting_2_T2_FiveRequestsOneWritable(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error {
			for range 5 {
				if err := c.RequestWritable(); err != nil {
					return err
				}
			}
			return nil
		}
	})
	p := w.ws()
	p.text("x")
	w.k.Drive()
	if n := (*recs)[0].count("writable"); n != 1 {
		t.Errorf("%d Writable callbacks: %s", n, (*recs)[0].log())
	}
}

func TestWriting_2_T3_NoWritableWhileChokedOneAfter(t *testing.T) {
	big := make([]byte, 100<<10)
	w, recs := oneRecorder(t, sim.Options{Capacity: 1000}, func(r *recorder) {
		n := 0
		r.write = func(c *core.Conn, w *core.WSWriter) error {
			if n++; n == 1 {
				return w.Binary(big)
			}
			return nil
		}
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.RequestWritable() }
	})
	p := w.ws()
	p.Stall(true)
	p.text("go")
	w.k.Drive()
	r := (*recs)[0]
	if n := r.count("writable"); n != 1 {
		t.Fatalf("%d Writable callbacks", n)
	}
	for range 50 {
		p.TakeSome(1000)
		w.k.Drive()
	}
	if n := r.count("writable"); n != 1 {
		t.Errorf("Writable while bytes waited: %s", r.log())
	}
	p.Stall(false)
	w.k.Drive()
	if n := r.count("writable"); n != 2 {
		t.Errorf("%d Writable callbacks after the choke, want one more", n)
	}
	if got, want := p.Received(), len(big); got < want {
		t.Errorf("received %d of %d", got, want)
	}
}

func TestWriting_2_T4_SecondWriteIsRefused(t *testing.T) {
	var second error
	w, _ := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.RequestWritable() }
		r.write = func(_ *core.Conn, w *core.WSWriter) error {
			if err := w.Text([]byte("first")); err != nil {
				return err
			}
			second = w.Text([]byte("second one"))
			return nil
		}
	})
	p := w.ws()
	p.text("x")
	p.want(`text "first"`)
	if !errors.Is(second, core.ErrAlreadyWritten) {
		t.Errorf("second write: %v", second)
	}
	if s := w.log.String(); strings.Count(s, "back-to-back") != 1 || !strings.Contains(s, "first=5") || !strings.Contains(s, "second=10") {
		t.Errorf("log: %s", s)
	}
	p.text("x")
	p.want(`text "first"`)
}

func TestWriting_2_T5_RequestAfterHangup(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, nil)
	p := w.ws()
	p.Reset()
	w.k.Drive()
	r := (*recs)[0]
	if err := r.c.RequestWritable(); !errors.Is(err, core.ErrConnClosed) {
		t.Errorf("RequestWritable after the end: %v", err)
	}
	if r.count("closed") != 1 {
		t.Errorf("callbacks: %s", r.log())
	}
}

func TestWriting_2_T6_AllOfAProtocol(t *testing.T) {
	var a, b []*recorder
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{
		{Name: "one", Protocols: []core.Protocol{recording("a", &a, nil), recording("b", &b, nil)}},
		{Name: "two", Protocols: []core.Protocol{recording("a", &a, nil)}},
	}})
	for i := range 100 {
		w.ws("Sec-WebSocket-Protocol: " + []string{"a", "b"}[i%2] + "\r\n")
	}
	other := w.dial()
	other.WriteString(strings.Replace(handshake, "Host: host", "Host: two", 1) + "Sec-WebSocket-Protocol: a\r\n\r\n")
	w.k.Drive()
	count := func(rs []*recorder) (n, most int) {
		for _, r := range rs {
			k := r.count("writable")
			n, most = n+k, max(most, k)
		}
		return n, most
	}
	w.eng.VHost("one").RequestWritable("a")
	w.k.Drive()
	if n, most := count(a); n != 50 || most != 1 {
		t.Errorf("%d Writable on protocol a of vhost one, at most %d each", n, most)
	}
	w.eng.RequestWritable("a")
	w.k.Drive()
	if n, _ := count(a); n != 50+51 {
		t.Errorf("%d Writable on protocol a of all vhosts", n-50)
	}
	if n, _ := count(b); n != 0 {
		t.Errorf("%d Writable on protocol b", n)
	}
	if err := w.eng.RequestWritable("c"); !errors.Is(err, core.ErrUnknownProtocol) {
		t.Errorf("unknown protocol: %v", err)
	}
}

func TestWriting_2_T7_WritingNothingDoesNotSpin(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.RequestWritable() }
	})
	p := w.ws()
	p.text("x")
	w.k.Drive()
	turns := w.k.Counts().Turns
	w.k.Drive()
	if n := w.k.Counts().Turns - turns; n > 1 {
		t.Errorf("%d turns while nothing is to do", n)
	}
	if n := (*recs)[0].count("writable"); n != 1 {
		t.Errorf("%d Writable callbacks", n)
	}
}

func TestWriterIsDeadAfterItsCallback(t *testing.T) {
	var kept *core.WSWriter
	w, _ := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error {
			if kept != nil {
				if err := kept.Text([]byte("late")); !errors.Is(err, core.ErrWriterExpired) {
					t.Errorf("late write: %v", err)
				}
			}
			return c.RequestWritable()
		}
		r.write = func(_ *core.Conn, w *core.WSWriter) error { kept = w; return nil }
	})
	p := w.ws()
	p.text("a")
	w.k.Drive()
	p.text("b")
	p.want("")
}

func TestFragmentsGoOutInOrder(t *testing.T) {
	step := 0
	var wrong error
	w, _ := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.RequestWritable() }
		r.write = func(c *core.Conn, w *core.WSWriter) error {
			step++
			switch step {
			case 1:
				wrong = w.Part([]byte("x"), false, false, true)
				if err := w.Part([]byte("a"), false, true, false); err != nil {
					return err
				}
			case 2:
				if err := w.Ping([]byte("p")); err != nil {
					return err
				}
			case 3:
				return w.Part([]byte("b"), false, false, true)
			}
			return c.RequestWritable()
		}
	})
	p := w.ws()
	p.text("go")
	p.want(`text "a"... | ping "p" | continuation "b"`)
	if !errors.Is(wrong, core.ErrMessageOrder) {
		t.Errorf("a continuation of nothing: %v", wrong)
	}
}

func TestOutboxPausesTheSource(t *testing.T) {
	w := newWorld(t, sim.Options{Capacity: 4 << 10}, core.Config{VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	p.Stall(true)
	msg := frame(1, true, strings.Repeat("m", 1000))
	wrote := 0
	for range 1000 {
		n := p.Write(msg)
		wrote += n
		w.k.Drive()
		if n < len(msg) {
			break
		}
	}
	if wrote > 40*len(msg) {
		t.Errorf("%d bytes were taken from a peer that reads nothing", wrote)
	}
	p.Stall(false)
	w.k.Advance(time.Second)
	if p.Received() < 1000*(wrote/len(msg)) {
		t.Errorf("received %d for %d sent", p.Received(), wrote)
	}
}
