package e2e

import (
	"bytes"
	"fmt"
	"slices"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// threads: 4 connections per thread at a time, echoing; every thread serves some.
func threads(s *scene) error {
	if err := s.up(echoing(), core.Limits{}); err != nil {
		return err
	}
	if n := s.eng.Threads(); n != s.threads {
		s.t.Fatalf("%d service threads granted of %d", n, s.threads)
	}
	n := 4 * s.threads
	up := make(chan struct{}, n)
	hold := make(chan struct{})
	go func() {
		for range n {
			<-up
		}
		close(hold)
	}()
	s.each(n, func(i int, c *client.Conn) error {
		err := c.Echo(ws.Text, []byte("first"))
		up <- struct{}{}
		<-hold
		if err == nil {
			err = c.Echo(ws.Text, []byte("second"))
		}
		return err
	})
	if s.t.Failed() {
		return nil
	}
	per := s.guard.threads()
	// An engine that owns the sockets spreads them by its own rule.
	if s.eng.Backend().Tier != loop.Bytes {
		for i := range s.threads {
			if per[i] != n/s.threads {
				s.t.Errorf("thread %d serves %d of %d connections", i, per[i], n)
			}
		}
	} else if len(per) == 0 {
		s.t.Errorf("nobody serves the connections")
	}
	return nil
}

// wsEcho: every length at which a frame's header changes, and large ones; then
// 16 messages in flight.
func wsEcho(s *scene) error {
	if err := s.up(echoing(), core.Limits{}); err != nil {
		return err
	}
	s.each(2*s.threads, func(i int, c *client.Conn) error {
		for _, n := range []int{0, 1, 125, 126, 65535, 65536, 1 << 20} {
			if err := c.Echo(ws.Text, letters(n)); err != nil {
				return failed("text of %d bytes: %w", n, err)
			}
			if err := c.Echo(ws.Binary, pattern(i, n)); err != nil {
				return failed("binary of %d bytes: %w", n, err)
			}
		}
		for _, n := range []int{64, 4000, 40000} {
			if err := inFlight(c, n); err != nil {
				return failed("16 of %d bytes in flight: %w", n, err)
			}
		}
		return nil
	})
	return nil
}

// inFlight keeps 16 messages on their way, 64 in all.
func inFlight(c *client.Conn, n int) error {
	const window, total = 16, 64
	credit := make(chan struct{}, total)
	for range window {
		credit <- struct{}{}
	}
	wrote := make(chan error, 1)
	go func() {
		for i := range total {
			if _, ok := <-credit; !ok {
				break
			}
			if err := c.Send(ws.Binary, pattern(i, n)); err != nil {
				wrote <- err
				return
			}
		}
		wrote <- nil
	}()
	var err error
	for i := 0; i < total && err == nil; i++ {
		err = c.Want(ws.Binary, pattern(i, n))
		credit <- struct{}{}
	}
	if err != nil {
		c.Close()
	}
	close(credit)
	if e := <-wrote; err == nil {
		err = e
	}
	return err
}

func letters(n int) []byte {
	return bytes.Repeat([]byte("letters, "), n/9+1)[:n]
}

// period is a prime, so that the bytes of a stream tell their place in it to all
// that cut it at powers of two.
const period = 65521

var periods = func() []byte {
	p := make([]byte, 2*period)
	for i := range p {
		p[i] = byte(i%period) ^ byte(i%period>>8)
	}
	return p
}()

// place returns n bytes of the endless pattern from a place on, at most period.
// They are shared: not to be changed.
func place(at, n int) []byte { return periods[at%period:][:n] }

// pattern returns n bytes of the endless pattern from a place on.
func pattern(at, n int) []byte {
	p := make([]byte, 0, n)
	for len(p) < n {
		p = append(p, place(at+len(p), min(n-len(p), period))...)
	}
	return p
}

// wsFragments: the client's message comes in fragments with Pings between and a
// character cut in two; the server's goes in fragments with a Ping between.
func wsFragments(s *scene) error {
	pongs := make(chan string, 4)
	vh := serving(func(c *core.Conn) core.WSHandler { return newParts(pongs) })
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	for _, piece := range []int{1, 3, 1 << 20} {
		c := s.ws()
		var b []byte
		b = client.Append(b, ws.Text, false, []byte("Gr\xc3"))
		b = client.Append(b, ws.Ping, true, []byte("a"))
		b = client.Append(b, ws.Continuation, false, nil)
		b = client.Append(b, ws.Continuation, false, []byte("\xbc\xc3\x9f"))
		b = client.Append(b, ws.Ping, true, letters(125))
		b = client.Append(b, ws.Continuation, true, []byte("e"))
		for chunk := range slices.Chunk(b, piece) {
			_, err := c.Write(chunk)
			s.must(err)
		}
		want := []client.Frame{
			{Op: ws.Pong, Fin: true, Payload: []byte("a")},
			{Op: ws.Pong, Fin: true, Payload: letters(125)},
			{Op: ws.Text, Payload: []byte("G")},
			{Op: ws.Ping, Fin: true, Payload: []byte("between")},
			{Op: ws.Continuation, Payload: []byte("rü")},
			{Op: ws.Continuation, Fin: true, Payload: []byte("ße")},
		}
		for i, w := range want {
			f, err := c.Next()
			if err != nil || f.Op != w.Op || f.Fin != w.Fin || !bytes.Equal(f.Payload, w.Payload) {
				s.t.Fatalf("in pieces of %d, frame %d: %+v, %v", piece, i, f, err)
			}
		}
		s.must(c.Send(ws.Pong, []byte("between")))
		if p := take(s, pongs, "a Pong reaches the handler"); p != "between" {
			s.t.Errorf("a Pong with %q", p)
		}
		s.must(c.Echo(ws.Text, nil)) // an empty message is three empty fragments
	}
	return nil
}

// newParts makes a handler that sends a message back in three fragments, one per
// Writable, with a Ping after the first.
func newParts(pongs chan<- string) *wsCalls {
	var text []rune
	step := 0
	part := func(i int) []byte { return []byte(string(text[i*len(text)/3 : (i+1)*len(text)/3])) }
	var all []byte
	return &wsCalls{
		receive: func(c *core.Conn, f core.Fragment) error {
			all = append(all, f.Data...)
			if !f.Final {
				return nil
			}
			text, step, all = []rune(string(all)), 0, nil
			return c.RequestWritable()
		},
		writable: func(c *core.Conn, w *core.WSWriter) error {
			defer func() { step++ }()
			switch step {
			case 0:
				return firstOf(c.RequestWritable(), w.Part(part(0), false, true, false))
			case 1:
				if len(text) == 0 {
					return c.RequestWritable() // a Writable that writes nothing
				}
				return firstOf(c.RequestWritable(), w.Ping([]byte("between")))
			case 2:
				return firstOf(c.RequestWritable(), w.Part(part(1), false, false, false))
			case 3:
				return w.Part(part(2), false, false, true)
			}
			return fmt.Errorf("step %d", step)
		},
		pong: func(_ *core.Conn, p []byte) error { pongs <- string(p); return nil },
	}
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
