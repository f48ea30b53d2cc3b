package core

import (
	"io"
	"testing"
	"time"

	"anyloop/core/loop/sim"
)

// rawStream is a raw handler over a stream: it echoes, and answers the peer's end.
type rawStream struct {
	log string
	out []byte
	err error
}

func (h *rawStream) Opened(*Conn) error { h.log += "opened "; return nil }
func (h *rawStream) Receive(c *Conn, p []byte) error {
	h.out = append(h.out, p...)
	return c.RequestWritable()
}
func (h *rawStream) Writable(c *Conn, w *RawWriter) error {
	n, err := w.Write(h.out)
	if h.out = h.out[n:]; h.log == "opened end " && len(h.out) == 0 {
		return w.CloseWrite()
	}
	return err
}
func (h *rawStream) PeerEnd(c *Conn) error {
	h.log += "end "
	h.out = append(h.out, "bye"...)
	return c.RequestWritable()
}
func (h *rawStream) Closed(_ *Conn, err error) { h.log += "closed"; h.err = err }

// TestRawOverStreams: another engine's bytes, with an engine that has little room.
func TestRawOverStreams(t *testing.T) {
	for _, vh := range []VHost{{RawOnly: "r"}, {RawFallback: "r"}} {
		k, h := sim.New(sim.Options{}), &rawStream{}
		vh.Protocols = []Protocol{{Name: "r", Raw: func(*Conn) RawHandler { return h }}}
		eng, err := New(Config{Backend: k, VHosts: []VHost{vh}})
		if err != nil {
			t.Fatal(err)
		}
		k.Drive()
		f := &fakeStream{room: 4}
		if f.sc, err = eng.threads[0].AdoptStream(f, eng.VHost("default"), "engine:1"); err != nil {
			t.Fatal(err)
		}
		f.sc.Feed([]byte("12345678"))
		k.Drive()
		if n := len(f.pauses); string(f.took) != "1234" || n == 0 || !f.pauses[n-1] {
			t.Errorf("took %q, pauses %v", f.took, f.pauses)
		}
		f.sc.Feed([]byte("late"))
		k.Drive()
		if len(h.out) > 0 || string(f.took) != "1234" {
			t.Errorf("received while choked: %q", h.out)
		}
		f.room = 100
		f.sc.Room()
		k.Drive()
		if n := len(f.pauses); string(f.took) != "12345678late" || f.pauses[n-1] {
			t.Errorf("took %q, pauses %v", f.took, f.pauses)
		}
		f.sc.EOF()
		k.Drive()
		if string(f.took) != "12345678latebye" || h.log != "opened end closed" || h.err != io.EOF || f.closes != 1 {
			t.Errorf("took %q, log %q, %v", f.took, h.log, h.err)
		}
		eng.Stop(-1)
		k.Advance(time.Second)
		k.Check(t)
	}
}
