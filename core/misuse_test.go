package core_test

import (
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// TestOverlapIsNamed: calling into a thread from inside one of its callbacks does
// nothing but a log line and a count.
func TestOverlapIsNamed(t *testing.T) {
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.on = func(c *core.Conn, _ core.Fragment) error {
			c.Thread().ServicePending()
			return nil
		}
	})
	p := w.ws()
	p.text("x")
	p.text("y")
	w.k.Drive()
	if n := w.eng.Stats().Misuses; n != 2 {
		t.Errorf("%d misuses counted", n)
	}
	if s := w.log.String(); !strings.Contains(s, core.ErrOverlap.Error()) || !strings.Contains(s, "ServicePending") {
		t.Errorf("log: %s", s)
	}
	if n := (*recs)[0].count("receive"); n != 2 {
		t.Errorf("%d Receive", n)
	}
}

// nasty is a loop whose Change panics, or calls back into core.
type nasty struct {
	*sim.Kernel
	onChange func()
}

type nastyLoop struct {
	loop.Loop
	n *nasty
}

func (n *nasty) Open(i int, s loop.Service) (loop.Loop, error) {
	l, err := n.Kernel.Open(i, s)
	return nastyLoop{l, n}, err
}

func (l nastyLoop) ChangeModePollFD(fd int, prev, next loop.Events) {
	l.Loop.ChangeModePollFD(fd, prev, next)
	if l.n.onChange != nil {
		l.n.onChange()
	}
}

func (l nastyLoop) Close() error { return l.Loop.(loop.Closer).Close() }

// TestPanicInALoopCallbackIsItsOwners: it is not caught, nor blamed on a handler.
func TestPanicInALoopCallbackIsItsOwners(t *testing.T) {
	k := sim.New(sim.Options{})
	n := &nasty{Kernel: k}
	var recs []*recorder
	_, err := core.New(core.Config{Backend: n, VHosts: []core.VHost{{Addr: host, Protocols: []core.Protocol{
		recording("r", &recs, func(r *recorder) { r.on = func(c *core.Conn, _ core.Fragment) error { return c.Pause() } })}}}})
	if err != nil {
		t.Fatal(err)
	}
	p := k.Dial(host)
	p.WriteString(handshake + "\r\n")
	k.Drive()
	n.onChange = func() { panic("the loop's") }
	p.Write(frame(1, true, "x"))
	defer func() {
		if v := recover(); v != "the loop's" {
			t.Errorf("recovered %v", v)
		}
	}()
	k.Drive()
	t.Error("the panic was swallowed")
}
