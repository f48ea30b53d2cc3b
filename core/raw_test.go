package core_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// rawRec is a raw handler that notes its callbacks, and echoes unless on is set.
type rawRec struct {
	c      *core.Conn
	events []string
	got    []byte
	out    []byte // to be written
	open   func(c *core.Conn) error
	on     func(c *core.Conn, p []byte) error
	write  func(c *core.Conn, w *core.RawWriter) error
	err    error
}

func (r *rawRec) note(format string, a ...any) {
	r.events = append(r.events, fmt.Sprintf(format, a...))
}
func (r *rawRec) log() string { return strings.Join(r.events, ", ") }

func (r *rawRec) Opened(c *core.Conn) error {
	r.note("opened")
	if r.open != nil {
		return r.open(c)
	}
	return nil
}

func (r *rawRec) Receive(c *core.Conn, p []byte) error {
	r.note("receive %d", len(p))
	r.got = append(r.got, p...)
	if r.on != nil {
		return r.on(c, p)
	}
	r.out = append(r.out, p...)
	return c.RequestWritable()
}

func (r *rawRec) Writable(c *core.Conn, w *core.RawWriter) error {
	if r.write != nil {
		return r.write(c, w)
	}
	if len(r.out) == 0 {
		return nil
	}
	n, err := w.Write(r.out)
	if r.out = r.out[n:]; err == nil && len(r.out) > 0 {
		err = c.RequestWritable()
	}
	return err
}

func (r *rawRec) Timer(*core.Conn) error { r.note("timer"); return nil }
func (r *rawRec) Closed(c *core.Conn, err error) {
	r.err = err
	r.note("closed")
}

// halfRec is one that is told of the peer's end.
type halfRec struct {
	*rawRec
	peerEnd func(c *core.Conn) error
}

func (r halfRec) PeerEnd(c *core.Conn) error {
	r.note("peer end")
	if r.peerEnd != nil {
		return r.peerEnd(c)
	}
	return nil
}

// rawWorld is a world whose connections are raw; recs are in order of arrival.
func rawWorld(t *testing.T, o sim.Options, cfg core.Config, setup func(*rawRec) core.RawHandler) (*world, *[]*rawRec) {
	t.Helper()
	recs := &[]*rawRec{}
	raw := core.Protocol{Name: "raw", Raw: func(c *core.Conn) core.RawHandler {
		r := &rawRec{c: c}
		*recs = append(*recs, r)
		if setup == nil {
			return r
		}
		return setup(r)
	}}
	if cfg.VHosts == nil {
		cfg.VHosts = []core.VHost{{RawOnly: "raw"}}
	}
	cfg.VHosts[0].Protocols = append(cfg.VHosts[0].Protocols, raw)
	return newWorld(t, o, cfg), recs
}

func (w *world) wantLog(r *rawRec, want string) {
	w.t.Helper()
	if got := r.log(); got != want {
		w.t.Errorf("got  %s\nwant %s", got, want)
	}
}

// TestRawLife: from the accept to the peer's end; the server may speak first.
func TestRawLife(t *testing.T) {
	w, recs := rawWorld(t, sim.Options{}, core.Config{}, func(r *rawRec) core.RawHandler {
		r.open = func(c *core.Conn) error {
			r.out = []byte("welcome\n")
			return c.RequestWritable()
		}
		return r
	})
	p := w.dial()
	if got := p.answer(); got != "welcome\n" {
		t.Errorf("first %q", got)
	}
	r := (*recs)[0]
	if got := r.c.String() + r.c.Protocol(); !strings.HasPrefix(got, "raw ") || r.c.Protocol() != "raw" {
		t.Error(got)
	}
	for _, s := range []string{"a", "bc", "GET / HTTP/1.1\r\n\r\n"} {
		p.WriteString(s)
		if got := p.answer(); got != s {
			t.Errorf("echo %q of %q", got, s)
		}
	}
	p.CloseWrite()
	w.k.Drive()
	w.wantLog(r, "opened, receive 1, receive 2, receive 18, closed")
	if r.err != io.EOF || !p.EOF() {
		t.Errorf("ended with %v", r.err)
	}
	if st := w.eng.Stats(); st.Raw != 1 || st.BytesIn != 21 || st.BytesOut != 29 {
		t.Errorf("%+v", st)
	}
}

// TestRawOpensBeforeItsBytes: what is there with the connection, and its end, come
// behind Opened.
func TestRawOpensBeforeItsBytes(t *testing.T) {
	w, recs := rawWorld(t, sim.Options{}, core.Config{}, nil)
	p := w.dial()
	p.WriteString("early")
	p.CloseWrite()
	w.k.Drive()
	w.wantLog((*recs)[0], "opened, receive 5, closed")
	q := w.dial()
	q.CloseWrite()
	w.k.Drive()
	w.wantLog((*recs)[1], "opened, closed")
}

// TestRawReadsNothingWhileChoked: the interest is Out alone while the peer does
// not take what it is sent, no byte is read meanwhile, and none is lost.
func TestRawReadsNothingWhileChoked(t *testing.T) {
	w, recs := rawWorld(t, sim.Options{Capacity: 10_000}, core.Config{}, nil)
	p := w.dial()
	p.Stall(true)
	var sent []byte
	for i := 0; len(sent) < 60_000; i++ {
		piece := bytes.Repeat([]byte{byte(i)}, 1000)
		n := p.Write(piece)
		sent = append(sent, piece[:n]...)
		w.k.Drive()
		if n == 0 {
			break
		}
	}
	r := (*recs)[0]
	if ev, _ := w.k.Interest(p.FD()); ev != loop.Out {
		t.Errorf("interest %v", ev)
	}
	if p.Unread() != 10_000 || len(r.got) > 21_000 || len(r.got)+p.Unread() != len(sent) {
		t.Errorf("%d read, %d unread of %d", len(r.got), p.Unread(), len(sent))
	}
	reads := w.eng.Stats().Reads
	w.k.Advance(time.Minute)
	if n := w.eng.Stats().Reads; n != reads {
		t.Errorf("%d reads while choked", n-reads)
	}
	p.Stall(false)
	if got := p.answer(); got != string(sent) {
		t.Errorf("%d bytes came back of %d", len(got), len(sent))
	}
	if ev, _ := w.k.Interest(p.FD()); ev != loop.In {
		t.Errorf("interest %v", ev)
	}
}

// TestRawPauseHolds: nothing comes after Pause, not the end of the stream either,
// until Resume.
func TestRawPauseHolds(t *testing.T) {
	for _, chaos := range []bool{false, true} {
		w, recs := rawWorld(t, sim.Options{Chaos: chaos}, core.Config{}, func(r *rawRec) core.RawHandler {
			r.on = func(c *core.Conn, p []byte) error {
				if p[0] == '1' {
					return c.Pause()
				}
				return nil
			}
			return halfRec{rawRec: r, peerEnd: func(c *core.Conn) error { return c.Close(1000, "") }}
		})
		p := w.dial()
		p.WriteString("1")
		w.k.Drive()
		p.WriteString("23")
		p.CloseWrite()
		w.k.Drive()
		r := (*recs)[0]
		w.wantLog(r, "opened, receive 1")
		r.c.Resume()
		w.k.Drive()
		w.wantLog(r, "opened, receive 1, receive 2, peer end, closed")
		w.stop()
	}
}

// TestRawPausedBeforeItBegins: a handler that pauses in Opened gets nothing, also
// of what had been read to find out that it is raw; that is kept at its size.
func TestRawPausedBeforeItBegins(t *testing.T) {
	w, recs := rawWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{RawFallback: "raw"}}}, func(r *rawRec) core.RawHandler {
		r.open = func(c *core.Conn) error { return c.Pause() }
		return r
	})
	p := w.dial()
	p.WriteString("\x01\x02\x03")
	w.k.Drive()
	p.CloseWrite()
	w.k.Drive()
	r := (*recs)[0]
	w.wantLog(r, "opened")
	r.c.Resume()
	w.k.Drive()
	w.wantLog(r, "opened, receive 3, closed")
}

// TestRawWriter: one write per callback, of what fits, in the callback.
func TestRawWriter(t *testing.T) {
	var kept *core.RawWriter
	big := make([]byte, 100_000)
	w, recs := rawWorld(t, sim.Options{Capacity: 1 << 20}, core.Config{}, func(r *rawRec) core.RawHandler {
		r.write = func(c *core.Conn, w *core.RawWriter) error {
			kept = w
			a := w.Allowance()
			n, err := w.Write(big)
			if n != 64<<10 || a != n || err != nil {
				t.Errorf("took %d of %d: %v", n, a, err)
			}
			if n, err := w.Write(big); n != 0 || err != core.ErrAlreadyWritten {
				t.Errorf("the second: %d, %v", n, err)
			}
			return nil
		}
		return r
	})
	p := w.dial()
	p.WriteString("go")
	if got := len(p.answer()); got != 64<<10 {
		t.Errorf("%d bytes came", got)
	}
	if _, err := kept.Write(nil); err != core.ErrWriterExpired || kept.CloseWrite() != core.ErrWriterExpired || kept.Allowance() != 0 {
		t.Errorf("kept: %v", err)
	}
	if !strings.Contains(w.log.String(), "back-to-back") {
		t.Error("not logged")
	}
	_ = recs
}

// TestRawTrouble: errors and panics of a handler end its connection, and no other.
func TestRawTrouble(t *testing.T) {
	boom := errors.New("boom")
	w, recs := rawWorld(t, sim.Options{}, core.Config{}, func(r *rawRec) core.RawHandler {
		r.on = func(c *core.Conn, p []byte) error {
			switch string(p) {
			case "panic":
				panic("asked to")
			case "error":
				return boom
			case "drop":
				return core.ErrDrop
			}
			return nil
		}
		return r
	})
	other := w.dial()
	w.k.Drive()
	for i, what := range []string{"panic", "error", "drop"} {
		p := w.dial()
		p.WriteString(what)
		w.k.Drive()
		p.Close()
		w.k.Drive()
		r := (*recs)[i+1]
		var pe *core.PanicError
		ok := []bool{errors.As(r.err, &pe), r.err == boom, r.err == core.ErrDrop}[i]
		if w.wantLog(r, fmt.Sprintf("opened, receive %d, closed", len(what))); !ok {
			t.Errorf("%s: ended with %v", what, r.err)
		}
	}
	other.WriteString("x")
	w.k.Drive()
	w.wantLog((*recs)[0], "opened, receive 1")
}

// TestRawMakerRefuses: no handler, no connection; also if the maker panics.
func TestRawMakerRefuses(t *testing.T) {
	for _, mk := range []func(*core.Conn) core.RawHandler{
		func(*core.Conn) core.RawHandler { return nil },
		func(*core.Conn) core.RawHandler { panic("asked to") },
	} {
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{RawOnly: "r", Protocols: []core.Protocol{{Name: "r", Raw: mk}}}}})
		p := w.dial()
		w.k.Drive()
		p.Close()
		w.k.Drive()
		if n := w.eng.Stats().Conns; n != 0 {
			t.Errorf("%d connections", n)
		}
		w.stop()
	}
}
