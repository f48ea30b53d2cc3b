package core_test

import (
	"errors"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

// refusing is a simulated kernel whose loops refuse descriptors while add is set.
type refusing struct {
	*sim.Kernel
	add error
}

func (k *refusing) Open(n int, s loop.Service) (loop.Loop, error) {
	l, err := k.Kernel.Open(n, s)
	return &refusingLoop{l, k}, err
}

type refusingLoop struct {
	loop.Loop
	k *refusing
}

func (l *refusingLoop) AddPollFD(fd int, ev loop.Events) error {
	if l.k.add != nil {
		return l.k.add
	}
	return l.Loop.AddPollFD(fd, ev)
}

func (l *refusingLoop) Close() error { return l.Loop.(loop.Closer).Close() }

// What a callback has written goes to its own peer, also if the loop refuses a
// descriptor that the callback then gives to core.
func TestARefusedAddLosesNoOutput(t *testing.T) {
	errFull := errors.New("no room")
	for name, give := range map[string]func(k *sim.Kernel, th *core.Thread, vh *core.VirtualHost) error{
		"socket": func(k *sim.Kernel, th *core.Thread, vh *core.VirtualHost) error {
			fd, _ := k.Pipe()
			defer k.Close(fd)
			_, err := th.AdoptSocket(fd, vh, "p", nil)
			return err
		},
		"file": func(k *sim.Kernel, th *core.Thread, vh *core.VirtualHost) error {
			fd, _ := k.Pipe()
			defer k.Close(fd)
			_, err := th.AdoptFile(fd, vh, "f")
			return err
		},
		"vhost": func(_ *sim.Kernel, th *core.Thread, _ *core.VirtualHost) error {
			more := httpVHost()
			more.Name, more.Addr = "more", "more:80"
			_, err := th.Engine().AddVHost(more)
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			k := &refusing{Kernel: sim.New(sim.Options{})}
			echo := core.OnMessage(func(c *core.Conn, m core.Message, out *core.Outbox) error {
				if err := out.Send(m); err != nil {
					return err
				}
				k.add = errFull
				if err := give(k.Kernel, c.Thread(), c.VHost()); !errors.Is(err, errFull) {
					t.Errorf("got %v", err)
				}
				k.add = nil
				return nil
			})
			eng, err := core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: host, Protocols: []core.Protocol{
				{Name: "e", WS: echo}, {Name: "f", File: func(*core.Conn) core.FileHandler { return &sink{} }}}}}})
			if err != nil {
				t.Fatal(err)
			}
			w := &world{t: t, k: k.Kernel, eng: eng}
			t.Cleanup(w.stop)
			p := w.ws()
			p.text("mine")
			p.want(`text "mine"`)
		})
	}
}

// A place that was kept for a connection on its way to another thread is free again
// if nothing comes of the connection: who waits for one gets it.
func TestAPlaceThatNobodyTakesIsGivenBack(t *testing.T) {
	a := httpVHost()
	a.Name, a.Addr = "a", "a:80"
	w := newWorld(t, sim.Options{}, core.Config{
		Threads: 2, Limits: core.Limits{MaxConns: 1}, VHosts: []core.VHost{a, httpVHost()},
		FilterConn: func(vh *core.VirtualHost, _ string) bool {
			if vh.Name() == "a" {
				vh.Remove()
			}
			return true
		},
	})
	first := w.ws() // on thread 0
	lost := w.k.Dial("a:80")
	p := w.dial() // finds no place, in the same turn
	p.WriteString("GET /second HTTP/1.1\r\nHost: host\r\n\r\n")
	if got := p.answer(); !strings.Contains(got, "GET /second") {
		t.Errorf("who waited was told %q", got)
	}
	if !lost.Gone() || w.eng.Stats().AcceptPauses == 0 {
		t.Errorf("the other is gone: %v; %+v", lost.Gone(), w.eng.Stats())
	}
	first.text("here")
	first.want(`text "here"`)
}
