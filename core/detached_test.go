package core_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// A connection that thread 0 has accepted for thread 1 comes by a post, which may
// run when thread 1 is detached: it is served after the attach.
func TestConnectionIsHandedToADetachedThread(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Threads: 2, VHosts: []core.VHost{httpVHost()}})
	first := w.ws() // on thread 0
	w.eng.Thread(1).Post(w.eng.Thread(1).Detach)
	p := w.dial()
	p.WriteString("GET /later HTTP/1.1\r\nHost: host\r\n\r\n")
	if got := p.answer(); got != "" || w.eng.Thread(1).Hosted() {
		t.Fatalf("served by a detached thread: %q", got)
	}
	w.eng.Thread(0).Detach()
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	if got := p.answer(); !strings.Contains(got, "GET /later") {
		t.Errorf("after the attach: %q", got)
	}
	first.text("here")
	first.want(`text "here"`)
}

// sink is a file handler that reads what comes.
type sink struct{ got []byte }

func (s *sink) Readable(_ *core.Conn, f *core.File) error {
	var b [64]byte
	n, err := f.Read(b[:])
	s.got = append(s.got, b[:n]...)
	return err
}
func (*sink) Writable(*core.Conn, *core.File) error { return nil }

// What is given to a detached engine is watched from the attach on.
func TestAdoptAndListenWhileDetached(t *testing.T) {
	file := &sink{}
	vh := httpVHost()
	vh.Protocols = append(vh.Protocols,
		core.Protocol{Name: "f", File: func(*core.Conn) core.FileHandler { return file }},
		core.Protocol{Name: "r", Raw: func(c *core.Conn) core.RawHandler { return &rawEcho{} }})
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	w.k.Drive()
	w.eng.Detach()
	th, on := w.eng.Thread(0), w.eng.VHost("default")
	watched := func() {
		t.Helper()
		if n := w.k.Watched(); n != 0 {
			t.Fatalf("%d descriptors are watched while detached", n)
		}
	}
	ffd, fp := w.k.Pipe()
	if _, err := th.AdoptFile(ffd, on, "f"); err != nil {
		t.Fatal(err)
	}
	sfd, sp := w.k.Pipe()
	if _, err := th.AdoptSocket(sfd, on, "p", nil); err != nil {
		t.Fatal(err)
	}
	rfd, rp := w.k.Pipe()
	if _, err := th.AdoptRaw(rfd, on, "r", "p", []byte("early ")); err != nil {
		t.Fatal(err)
	}
	more := httpVHost()
	more.Name, more.Addr = "more", "more:80"
	if _, err := w.eng.AddVHost(more); err != nil {
		t.Fatal(err)
	}
	watched()
	fp.WriteString("to the file")
	sp.WriteString("GET /socket HTTP/1.1\r\nHost: host\r\n\r\n")
	rp.WriteString("raw")
	mp := w.k.Dial("more:80")
	mp.WriteString("GET /more HTTP/1.1\r\nHost: more\r\n\r\n")
	w.k.Drive()
	watched()
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	if string(file.got) != "to the file" {
		t.Errorf("the file has read %q", file.got)
	}
	if got := string(sp.Read()); !strings.Contains(got, "GET /socket") {
		t.Errorf("the socket was told %q", got)
	}
	if got := string(rp.Read()); got != "early raw" {
		t.Errorf("the raw socket was told %q", got)
	}
	if got := string(mp.Read()); !strings.Contains(got, "GET /more") {
		t.Errorf("the new vhost says %q", got)
	}
}

// rawEcho is a raw handler that echoes.
type rawEcho struct{ left []byte }

func (r *rawEcho) Receive(c *core.Conn, p []byte) error {
	r.left = append(r.left, p...)
	return c.RequestWritable()
}

func (r *rawEcho) Writable(_ *core.Conn, w *core.RawWriter) error {
	n, err := w.Write(r.left)
	r.left = r.left[n:]
	return err
}

// A thread that has ended already does not keep the others from their end.
func TestAttachWhenOneThreadHasEnded(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Threads: 2, VHosts: []core.VHost{httpVHost()}})
	w.k.Drive()
	w.eng.Stop(-1)
	w.k.Turn()
	w.eng.Thread(1).Detach()
	w.k.Drive()
	if w.eng.Thread(0).Hosted() {
		t.Fatal("thread 0 has not ended")
	}
	select {
	case <-w.eng.Done():
		t.Fatal("the engine has ended without thread 1")
	default:
	}
	if err := w.eng.Attach(w.k); err != nil {
		t.Fatal(err)
	}
	w.k.Advance(time.Second)
	<-w.eng.Done()
	w.end = true
	if err := w.eng.Attach(w.k); !errors.Is(err, core.ErrStopped) {
		t.Errorf("attach after the end: %v", err)
	}
}
