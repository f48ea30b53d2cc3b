package e2e

import (
	"bytes"
	"errors"
	"fmt"
	"syscall"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
)

// dialled is a client of the engine's own. It sends its messages one by one,
// compares what comes back, and closes.
type dialled struct {
	out  *core.Outbox
	send [][]byte
	buf  []byte
	end  chan error // exactly one: nil after an echo of everything
}

func newDialled(largest int) *dialled {
	d := &dialled{end: make(chan error, 4)}
	for _, n := range []int{0, 1, 200, 20_000, largest} {
		p := make([]byte, n)
		for i := range p {
			p[i] = byte(i*i + i>>7)
		}
		d.send = append(d.send, p)
	}
	return d
}

func (d *dialled) handler(c *core.Conn) core.WSHandler {
	d.out = core.NewOutbox(c, core.Refuse)
	return d
}

func (d *dialled) next() error { return d.out.Send(core.Message{Data: d.send[0], Binary: true}) }

func (d *dialled) Connected(c *core.Conn, r *core.Response) error {
	if info, ok := c.Deflate(); !ok || info.ServerNoTakeover || info.ClientNoTakeover {
		return fmt.Errorf("agreed on %+v, %v", info, ok)
	}
	return d.next()
}

func (d *dialled) ConnectFailed(_ *core.Conn, err error) { d.end <- err }

func (d *dialled) Receive(c *core.Conn, f core.Fragment) error {
	d.buf = append(d.buf, f.Data...)
	if !f.Final {
		return nil
	}
	if !f.Binary || !bytes.Equal(d.buf, d.send[0]) {
		return fmt.Errorf("%d bytes came back of %d", len(d.buf), len(d.send[0]))
	}
	d.buf = d.buf[:0]
	if d.send = d.send[1:]; len(d.send) == 0 {
		return c.Close(1000, "bye")
	}
	return d.next()
}

func (d *dialled) Writable(_ *core.Conn, w *core.WSWriter) error { return d.out.Writable(w) }

func (d *dialled) Closed(_ *core.Conn, err error) {
	var ce *core.CloseError
	if len(d.send) == 0 && errors.As(err, &ce) && ce.Code == 1000 && !ce.Remote {
		err = nil
	}
	d.end <- err
}

// dialling: clients of the engine's own on each service thread, several at a time,
// to the engine's own listener, with compression; and those that fail.
func dialling(s *scene) error {
	vh := echoing()
	vh.Deflate = &core.Deflate{Takeover: true, Threshold: -1}
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	var all []*dialled
	for round := range 3 {
		for i := range s.threads {
			largest := 70_000
			if round+i == 0 {
				largest = 1 << 20
			}
			d := newDialled(largest)
			all = append(all, d)
			s.call(i, core.Dial{URL: s.scheme() + "://test/", Addr: s.addr, WS: d.handler}, false)
		}
	}
	for _, d := range all {
		s.ends(d, func(err error) bool { return err == nil })
	}
	nobody, free, err := client.Refusing()
	s.must(err)
	defer free()
	refused, dropped := newDialled(1), newDialled(1)
	s.call(0, core.Dial{URL: s.scheme() + "://" + nobody + "/", WS: refused.handler}, false)
	s.call(0, core.Dial{URL: s.scheme() + "://test/", Addr: s.addr, WS: dropped.handler}, true)
	s.ends(refused, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) })
	s.ends(dropped, func(err error) bool { return errors.Is(err, core.ErrDrop) })
	return nil
}

// call dials on a service thread, and drops the conn at once if it is told to.
func (s *scene) call(thread int, d core.Dial, drop bool) {
	s.t.Helper()
	d.WS = s.guard.ws(d.WS)
	s.on(thread, func() {
		c, err := s.eng.Thread(thread).Dial(s.eng.VHost("test"), d)
		s.no(err)
		if err == nil && drop {
			s.no(c.Drop())
		}
	})
}

// ends waits for the one end of a client.
func (s *scene) ends(d *dialled, want func(error) bool) {
	s.t.Helper()
	over := make(chan struct{})
	var got error
	go func() { got = <-d.end; close(over) }()
	s.wait(over, "a client ends")
	if !want(got) || len(d.end) > 0 {
		s.t.Errorf("a client ended with %v, and %d times more", got, len(d.end))
	}
}
