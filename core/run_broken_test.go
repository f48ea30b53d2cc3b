package core_test

import (
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// TestNoTimerAfterTheEnd: what becomes ripe in the turn that ends the engine does not
// run, nor does it keep a loop awake that goes on for others.
func TestNoTimerAfterTheEnd(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{})
	th := w.eng.Thread(0)
	w.k.Drive()
	th.AfterFunc(time.Minute, func() { t.Error("a timer has run after the end") })
	w.end = true
	w.eng.Stop(-1)
	if !w.gone() {
		t.Fatal("the engine has not ended")
	}
	w.k.Skip(2 * time.Minute)
	if d := th.AdjustTimeout(time.Hour); d != time.Hour {
		t.Errorf("the loop may sleep for %v", d)
	}
	if when, ok := th.NextDeadline(); ok {
		t.Errorf("the next deadline is %v", when)
	}
	th.ServicePending()
	th.AfterFunc(0, func() { t.Error("a timer of after the end has run") })
	th.ServicePending()
}

// brittle is a loop with a callback that panics when it is told to.
type brittle struct {
	*sim.Kernel
	add, change, del bool
}

type brittleLoop struct {
	loop.Loop
	b *brittle
}

func (b *brittle) Open(i int, s loop.Service) (loop.Loop, error) {
	l, err := b.Kernel.Open(i, s)
	return brittleLoop{l, b}, err
}

func (l brittleLoop) breaks(now *bool) {
	if *now {
		*now = false
		panic("the loop's")
	}
}

func (l brittleLoop) AddPollFD(fd int, ev loop.Events) error {
	l.breaks(&l.b.add)
	return l.Loop.AddPollFD(fd, ev)
}

func (l brittleLoop) ChangeModePollFD(fd int, prev, next loop.Events) {
	l.Loop.ChangeModePollFD(fd, prev, next)
	l.breaks(&l.b.change)
}

func (l brittleLoop) DelPollFD(fd int) {
	l.Loop.DelPollFD(fd)
	l.breaks(&l.b.del)
}

func (l brittleLoop) Close() error { return l.Loop.(loop.Closer).Close() }

// TestTheEngineOutlivesAPanicInALoopCallback: its owner hears of it, and may go on.
func TestTheEngineOutlivesAPanicInALoopCallback(t *testing.T) {
	k := &brittle{Kernel: sim.New(sim.Options{})}
	recs := &[]*recorder{}
	eng, err := core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: host, Protocols: []core.Protocol{
		recording("r", recs, func(r *recorder) {
			r.on = func(c *core.Conn, f core.Fragment) error {
				if string(f.Data) == "pause" {
					return c.Pause()
				}
				return nil
			}
		})}}}})
	if err != nil {
		t.Fatal(err)
	}
	drive := func() (v any) {
		defer func() { v = recover() }()
		k.Drive()
		return nil
	}
	open := func() *sim.Peer {
		p := k.Dial(host)
		p.WriteString(handshake + "\r\n")
		return p
	}
	breaks := func(what string, which *bool) {
		t.Helper()
		*which = true
		if v := drive(); v != "the loop's" {
			t.Errorf("%s panics, and its owner hears %v", what, v)
		}
		if v := drive(); v != nil {
			t.Errorf("after %s: %v", what, v)
		}
	}
	other := open()
	drive()
	lost := open()
	breaks("Add", &k.add)
	if !lost.Gone() {
		t.Error("a connection that is not watched stays open")
	}
	p := open()
	drive()
	p.Write(frame(1, true, "pause"))
	breaks("Change", &k.change)
	other.Close()
	breaks("Del", &k.del)
	p = open()
	drive()
	p.Write(frame(1, true, "x"))
	drive()
	for i, n := range []int{0, 1, 1} {
		if len(*recs) != 3 || (*recs)[i].count("receive") != n {
			t.Fatalf("of %d conns, conn %d has not had %d messages", len(*recs), i, n)
		}
	}
	eng.Stop(-1)
	drive()
	select {
	case <-eng.Done():
	default:
		t.Error("the engine has not ended")
	}
	if st := eng.Stats(); st.Misuses != 0 || st.Panics != 0 || k.Files() != 0 {
		t.Errorf("left over: %d descriptors, %+v", k.Files(), st)
	}
}

// TestAHandlerEndsTheGoroutine: the engine ends, with what Closed has to say, and Run
// tells why. On a goroutine of the application's, that goes, and another may turn on.
func TestAHandlerEndsTheGoroutine(t *testing.T) {
	exits := func(*core.Conn, *core.Request, *core.HTTPWriter) error { runtime.Goexit(); return nil }
	connect := func(t *testing.T, eng *core.Engine) net.Conn {
		c, err := net.Dial("tcp", eng.VHost("default").Addr())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		io.WriteString(c, "GET / HTTP/1.1\r\nHost: host\r\n\r\n")
		return c
	}
	destroyed := make(chan struct{})
	eng := ownLoops(t, 2, core.Protocol{Name: "h", HTTP: core.HTTPFunc(exits), Destroy: func(*core.VirtualHost) { close(destroyed); runtime.Goexit() }})
	ran := turning(eng)
	connect(t, eng)
	if err := comes(t, ran, "Run returns"); err == nil || !strings.Contains(err.Error(), "Goexit") {
		t.Errorf("Run: %v", err)
	}
	comes(t, eng.Done(), "the engine ends")
	comes(t, destroyed, "Destroy is called")

	eng = ownLoops(t, 1, core.Protocol{Name: "h", HTTP: core.HTTPFunc(exits)})
	gone := make(chan struct{})
	go func() {
		defer close(gone)
		err := eng.Thread(0).Run()
		t.Errorf("Thread.Run returns %v", err)
	}()
	c := connect(t, eng)
	comes(t, gone, "the goroutine ends")
	ran = returns(eng.Thread(0).Run)
	answer := make(chan string, 1)
	go func() { b, _ := io.ReadAll(c); answer <- string(b) }()
	if s := comes(t, answer, "the connection ends"); !strings.Contains(s, " 500 ") {
		t.Errorf("the peer has read %q", s)
	}
	ends(t, eng, ran)
}
