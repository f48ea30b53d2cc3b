package e2e

import (
	"errors"
	"io"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// panics: a panic in a callback ends its conn, told as 1011 or 500, and nobody
// else's.
func panics(s *scene) error {
	vh := echoing()
	vh.Protocols[0].HTTP = core.HTTPFunc(func(*core.Conn, *core.Request, *core.HTTPWriter) error { panic("in a request") })
	echo := vh.Protocols[0].WS
	vh.Protocols[0].WS = func(c *core.Conn) core.WSHandler {
		h := echo(c)
		return &wsCalls{
			receive: func(c *core.Conn, f core.Fragment) error {
				if string(f.Data) == "panic" {
					panic("in Receive")
				}
				return h.Receive(c, f)
			},
			writable: h.Writable,
		}
	}
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	bystander := s.ws()
	c := s.ws()
	s.must(c.Text("panic"))
	s.farewell(c, "a panic", 1011, "")
	s.must(bystander.Echo(ws.Text, []byte("still here")))
	r, err := s.conn().Ask("GET", "/", "")
	s.must(err)
	if r.StatusCode != 500 {
		s.t.Errorf("status %d after a panic", r.StatusCode)
	}
	s.must(bystander.Echo(ws.Text, []byte("and still")))
	s.laps()
	if n := s.eng.Stats().Panics; n != 2 {
		s.t.Errorf("%d panics are counted", n)
	}
	return nil
}

// full opens as many connections as MaxConns 2 per thread lets in.
func (s *scene) full() ([]*client.Conn, error) {
	if err := s.up(echoing(), core.Limits{MaxConns: 2}); err != nil {
		return nil, err
	}
	var all []*client.Conn
	for range 2 * s.threads {
		all = append(all, s.ws())
	}
	return all, nil
}

// capacity: a client beyond MaxConns waits in the backlog, and is served when
// one of the others has gone.
func capacity(s *scene) error {
	all, err := s.full()
	if err != nil {
		return err
	}
	extra := s.conn()
	asked := s.later(func() error { return extra.AskUpgrade("") }) // over TLS it waits for the server
	s.laps()
	for _, c := range all {
		s.must(c.Echo(ws.Text, []byte("in")))
	}
	if st := s.eng.Stats(); st.Conns != len(all) || st.Accepted != uint64(len(all)) {
		s.t.Errorf("%d of %d connections are in, %d were accepted", st.Conns, len(all), st.Accepted)
	}
	all[0].Close()
	s.must(take(s, asked, "the client that waited has asked"))
	s.must(extra.ReadUpgrade())
	s.must(extra.Echo(ws.Text, []byte("at last")))
	return nil
}

// capacityInstead: a client beyond MaxConns is closed, and may try again.
func capacityInstead(s *scene) error {
	all, err := s.full()
	if err != nil {
		return err
	}
	extra := s.conn()
	extra.AskUpgrade("") // may find it closed
	if rest, err := dropped(extra); rest != "" || err != nil {
		s.t.Errorf("a connection beyond the limit: %q %v", rest, err)
	}
	for _, c := range all {
		s.must(c.Echo(ws.Text, []byte("in")))
	}
	all[0].Close()
	s.until("there is room again", func() bool {
		c, err := s.dial()
		return err == nil && c.Upgrade("") == nil && c.Echo(ws.Text, []byte("at last")) == nil
	})
	return nil
}

// addVHost: at run time, from the last service thread; the vhost goes without its
// neighbour noticing.
func addVHost(s *scene) error {
	gone := make(chan struct{})
	more := echoing()
	more.Name, more.Addr = "more", s.host.Listen
	more.Protocols[0].Destroy = func(*core.VirtualHost) { close(gone) }
	if err := s.make(echoing(), core.Limits{}); err != nil {
		return err
	}
	s.guard.vhost(&more)
	s.secure(&more)
	var added *core.VirtualHost
	var err error
	s.turn()
	s.on(s.threads-1, func() { added, err = s.eng.AddVHost(more) })
	if err != nil {
		return err
	}
	s.addr = s.where("test")
	first := s.ws()
	first0 := s.addr
	s.addr = s.where("more")
	if s.addr == first0 {
		s.t.Fatalf("both vhosts are at %s", s.addr)
	}
	second := s.ws()
	s.must(second.Echo(ws.Text, []byte("two")))
	s.on(0, added.Remove)
	s.farewell(second, "a vhost's removal", int(ws.CloseGoingAway), "")
	s.wait(gone, "Destroy of the vhost that is removed")
	s.until("its address is closed", func() bool {
		c, err := s.dial()
		if err == nil {
			err = c.Upgrade("")
		}
		return err != nil
	})
	s.must(first.Echo(ws.Text, []byte("one")))
	return nil
}

// detach: the engine leaves its loop, which is as it was found, and goes on in
// another with its connections.
func detach(s *scene) error {
	if !s.host.Backend.Info().Foreign {
		return &notApplicable{"the loop is the engine's own"}
	}
	if err := s.up(echoing(), core.Limits{}); err != nil {
		return err
	}
	c := s.ws()
	s.must(c.Echo(ws.Text, []byte("before")))
	for range 3 {
		for i := range s.threads { // each by itself: goroutines of their own may turn them
			s.on(i, s.eng.Thread(i).Detach)
		}
		s.returned()
		s.must(c.Text("meanwhile"))
		s.host = s.newHost(s.t, s.threads).or()
		if err := s.eng.Attach(s.host.Backend); err != nil {
			return err
		}
		s.turn()
		s.must(c.Want(ws.Text, []byte("meanwhile")))
		d := s.ws()
		s.must(d.Echo(ws.Text, []byte("after")))
	}
	return nil
}

// cancelled: the end of the context given to Run stops the engine in good order.
func cancelled(s *scene) error {
	if err := s.up(echoing(), core.Limits{}); err != nil {
		return err
	}
	c := s.ws()
	s.cancel()
	s.farewell(c, "a cancelled Run", int(ws.CloseGoingAway), "")
	s.done()
	return nil
}

// shutdown: Stop says 1001 to WebSockets, lets a running answer finish, closes
// the rest, and waits for the peers' goodbyes.
func shutdown(s *scene) error {
	asked := make(chan *core.Conn, 1)
	vh := echoing()
	vh.Protocols[0].HTTP = late(asked).Protocols[0].HTTP
	if err := s.up(vh, core.Limits{}); err != nil {
		return err
	}
	var all []*client.Conn
	for range 4 * s.threads {
		all = append(all, s.ws())
	}
	busy := s.conn()
	_, err := io.WriteString(busy, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	s.must(err)
	answer := take(s, asked, "the request arrives")
	s.eng.Stop(0)
	for _, c := range all {
		f, err := c.Next()
		if err != nil || f.Op != ws.Close || f.Code() != int(ws.CloseGoingAway) {
			s.t.Errorf("at Stop: %+v %v", f, err)
		}
	}
	select {
	case <-s.eng.Done():
		s.t.Errorf("Done before the peers have answered")
	default:
	}
	s.with(answer, func(c *core.Conn) { s.no(c.RequestWritable()) })
	s.body(busy, "GET", 200, string(letters(100_000)))
	for _, c := range all {
		s.must(c.SendClose(ws.CloseGoingAway, ""))
		if rest, err := gone(c); rest != "" || err != nil {
			s.t.Errorf("after the goodbye: %q %v", rest, err)
		}
		c.Close()
	}
	s.done()
	if c, err := s.dial(); err == nil {
		s.t.Errorf("%s still accepts", c.RemoteAddr())
	}
	if err := s.eng.Post(func() {}); !errors.Is(err, core.ErrStopped) {
		s.t.Errorf("Post after the end: %v", err)
	}
	return nil
}
