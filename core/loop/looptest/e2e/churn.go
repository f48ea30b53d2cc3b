package e2e

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// visit is one way to come and go. Its error says that the engine has not done what
// it owes such a client.
type visit struct {
	name string
	do   func(c *client.Conn, r *rand.Rand) error
}

var visits = []visit{
	{"nothing is said", func(c *client.Conn, _ *rand.Rand) error { return nil }},
	{"nothing is said, and reset", func(c *client.Conn, _ *rand.Rand) error { abort(c); return nil }},
	{"half a request", func(c *client.Conn, r *rand.Rand) error {
		req := "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\n\r\n"
		io.WriteString(c, req[:1+r.IntN(len(req)-1)])
		return nil
	}},
	{"a request", func(c *client.Conn, r *rand.Rand) error {
		resp, err := c.Ask("GET", fmt.Sprintf("/%d", r.IntN(1000)), "")
		if err == nil && resp.StatusCode != 200 {
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		return err
	}},
	{"requests, not waited for", func(c *client.Conn, r *rand.Rand) error {
		for range 1 + r.IntN(8) {
			io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
		}
		if r.IntN(2) == 0 {
			abort(c)
		}
		return nil
	}},
	{"echoes and a goodbye", func(c *client.Conn, r *rand.Rand) error {
		err := c.Upgrade("")
		for range r.IntN(10) {
			if err == nil {
				err = c.Echo(ws.Binary, make([]byte, r.IntN(1<<r.IntN(17))))
			}
		}
		if err == nil {
			err = c.SendClose(1000, "")
		}
		if err != nil {
			return err
		}
		f, err := c.Next()
		if err == nil && (f.Op != ws.Close || f.Code() != 1000) {
			err = fmt.Errorf("the answer to a goodbye is %v %d", f.Op, f.Code())
		}
		return err
	}},
	{"half a message", func(c *client.Conn, r *rand.Rand) error {
		err := c.Upgrade("")
		b := client.Append(nil, ws.Text, true, letters(200_000))
		c.Write(b[:r.IntN(len(b))])
		if r.IntN(2) == 0 {
			abort(c)
		}
		return err
	}},
	{"a message whose echo is not read", func(c *client.Conn, _ *rand.Rand) error {
		err := c.Upgrade("")
		c.Send(ws.Text, letters(200_000))
		abort(c)
		return err
	}},
	{"no more is said", func(c *client.Conn, _ *rand.Rand) error {
		err := c.Upgrade("")
		c.CloseWrite()
		_, _ = dropped(c)
		return err
	}},
	{"an offence", func(c *client.Conn, _ *rand.Rand) error {
		if err := c.Upgrade(""); err != nil {
			return err
		}
		c.Frame(ws.Opcode(3), true, []byte("reserved"))
		f, err := c.Next()
		if err == nil && (f.Op != ws.Close || f.Code() != int(ws.CloseProtocolError)) {
			err = fmt.Errorf("the answer to an offence is %v %d", f.Op, f.Code())
		}
		return err
	}},
	{"a handler that gives up", func(c *client.Conn, _ *rand.Rand) error {
		if err := c.Upgrade(""); err != nil {
			return err
		}
		c.Text("drop")
		_, err := dropped(c)
		return err
	}},
	{"no HTTP", func(c *client.Conn, r *rand.Rand) error {
		p := append(letters(1+r.IntN(30_000)), "quit\n"...)
		p[0] = 0 // no method begins so
		sent := make(chan error, 1)
		go func() { _, err := c.Write(p); sent <- err }()
		rest, err := gone(c)
		if err == nil && len(rest) != len(p) {
			err = fmt.Errorf("%d bytes came back of %d", len(rest), len(p))
		}
		return errors.Join(err, <-sent)
	}},
}

// abort has the system reset the connection.
func abort(c *client.Conn) {
	raw := c.Raw()
	if tc, ok := raw.(*net.TCPConn); ok {
		tc.SetLinger(0)
	}
	raw.Close()
}

// churn: clients come and go in every way, many at a time, on every thread. Two
// neighbours do not notice, and nobody is left.
func churn(s *scene) error {
	const crowd = 8
	if err := s.up(churning(), core.Limits{LingerTimeout: 50 * time.Millisecond, FinTimeout: 50 * time.Millisecond}); err != nil {
		return err
	}
	quit := make(chan struct{})
	neighbours := make(chan error, 2)
	for range cap(neighbours) {
		c := s.ws()
		go func() { neighbours <- chat(c, s.host.Bound, quit) }()
	}
	ended := make(chan error, crowd)
	for i := range crowd {
		go func() {
			r := rand.New(rand.NewPCG(uint64(i), 1)) // the same lives each time, in another order
			var err error
			for n := range visits {
				err = errors.Join(err, s.visit(visits[(n+i)%len(visits)], r))
			}
			ended <- err
		}()
	}
	for range crowd {
		s.no(<-ended) // each visit has its bound
	}
	s.until("only the neighbours are left", func() bool {
		s.laps()
		return s.eng.Stats().Conns == cap(neighbours)
	})
	close(quit)
	for range cap(neighbours) {
		s.no(take(s, neighbours, "a neighbour ends"))
	}
	return nil
}

// churning echoes WebSocket messages, answers requests, and echoes what is neither.
func churning() core.VHost {
	vh := core.VHost{RawFallback: "raw", Protocols: append(web().Protocols, rawEchoes())}
	echo := core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error {
		if string(m.Data) == "drop" {
			return core.ErrDrop
		}
		return out.Send(m)
	})
	vh.Protocols = append(vh.Protocols, core.Protocol{Name: "t", WS: echo})
	return vh
}

// visit connects, does what it is told, and closes. Any goroutine.
func (s *scene) visit(v visit, r *rand.Rand) error {
	c, err := s.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	if err := v.do(c, r); err != nil {
		return fmt.Errorf("%s: %w", v.name, err)
	}
	return nil
}

// chat has messages echoed until quit is closed.
func chat(c *client.Conn, bound time.Duration, quit <-chan struct{}) error {
	for n := 0; ; n++ {
		select {
		case <-quit:
			return nil
		default:
		}
		c.SetDeadline(time.Now().Add(bound))
		if err := c.Echo(ws.Text, fmt.Appendf(nil, "message %d", n)); err != nil {
			return fmt.Errorf("a neighbour: %w", err)
		}
	}
}
