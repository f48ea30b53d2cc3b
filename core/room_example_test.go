package core_test

import (
	"errors"
	"fmt"
	"strings"
	"sync"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// guest is in a room: what it says goes to everybody.
type guest struct {
	room *core.Group
	out  *core.Outbox
	core.Assembler
}

func (g *guest) Opened(c *core.Conn, _ *core.Request) error {
	g.out = core.NewOutbox(c, core.DropOldest) // who does not keep up misses something
	return g.room.Add(g.out)                   // until c ends
}

func (g *guest) Receive(c *core.Conn, f core.Fragment) error {
	m, done, err := g.Add(c, f)
	if err != nil || !done {
		return err
	}
	// An error that is returned here closes the connection: of a crowded room, tell.
	if err := g.room.Send(m); errors.Is(err, core.ErrFull) {
		return g.out.Text("too much talk, say it again")
	}
	return nil
}

func (g *guest) Writable(_ *core.Conn, w *core.WSWriter) error { return g.out.Writable(w) }

// A chat room.
func ExampleGroup() {
	k := sim.New(sim.Options{})
	room := core.NewGroup(core.GroupLimits{Messages: 2})
	core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: "host:80", Protocols: []core.Protocol{{
		Name: "chat",
		WS:   func(*core.Conn) core.WSHandler { return &guest{room: room} },
	}}}}})
	ann, bob := k.Dial("host:80"), k.Dial("host:80")
	for _, p := range []*sim.Peer{ann, bob} {
		p.WriteString(handshake + "\r\n")
		k.Drive()
		p.Read()
	}
	ann.Write(frame(1, true, "hello"))
	k.Drive()
	ann.Read()
	fmt.Printf("bob: %q\n", bob.Read())
	ann.Write(append(append(frame(1, true, "1"), frame(1, true, "2")...), frame(1, true, "3")...))
	k.Drive()
	fmt.Printf("ann: %q\n", ann.Read())
	// Output:
	// bob: "\x81\x05hello"
	// ann: "\x81\x1btoo much talk, say it again\x81\x011\x81\x012"
}

// reader is sent something, and says nothing.
type reader struct{ *core.Outbox }

func (r *reader) Receive(*core.Conn, core.Fragment) error       { return nil }
func (r *reader) Writable(_ *core.Conn, w *core.WSWriter) error { return r.Outbox.Writable(w) }

// Messages from another goroutine, of which a bounded number waits.
func ExampleOutbox_SendFrom() {
	k := sim.New(sim.Options{})
	var out *core.Outbox
	core.New(core.Config{Backend: k, Limits: core.Limits{OutboxCount: 2}, VHosts: []core.VHost{{
		Addr: "host:80",
		Protocols: []core.Protocol{{Name: "news", WS: func(c *core.Conn) core.WSHandler {
			r := &reader{core.NewOutbox(c, core.Refuse)}
			out = r.Outbox
			return r
		}}},
	}}})
	p := k.Dial("host:80")
	p.WriteString(handshake + "\r\n")
	k.Drive()
	p.Read()

	var wg sync.WaitGroup
	wg.Go(func() {
		for _, s := range strings.Fields("one two three") {
			fmt.Println(s, out.SendFrom(core.Message{Data: []byte(s)}))
		}
	})
	wg.Wait()
	k.Drive()
	fmt.Printf("%q\n", p.Read())
	// Output:
	// one <nil>
	// two <nil>
	// three core: the queue is full
	// "\x81\x03one\x81\x03two"
}
