package looptest

import (
	"io"
	"syscall"
)

// turn moves what can be moved of one connection. Core may answer each report at
// once with any call, so everything is settled before one is made.
func (c *mockConn) turn() bool {
	if c.gone {
		return false
	}
	if c.closing {
		if c.wait > 0 {
			c.wait--
			return true
		}
		c.drop(nil)
		return true
	}
	any := false
	for _, step := range []func() (bool, error){c.sendHeld, c.flush, c.end, c.receive, c.feed} {
		if c.gone || c.closing {
			return any
		}
		if c.m.skips() {
			any = true
			continue
		}
		did, err := step()
		any = any || did
		if err != nil {
			c.fail(err)
			return true
		}
	}
	if c.m.mode.Spurious && !c.gone && !(c.choked && c.m.mode.Overwrites) {
		c.choked = false
		c.sc.Room()
	}
	return any
}

// fail ends a broken connection: what was received before is fed first.
func (c *mockConn) fail(err error) {
	if p := c.in; len(p) > 0 && !c.gone && !c.closing {
		c.in = nil
		c.give(p)
	}
	if err == io.EOF {
		err = nil
	}
	c.drop(err)
}

// flush sends a piece of what was taken.
func (c *mockConn) flush() (bool, error) {
	if c.gone || len(c.out) == 0 {
		return false, nil
	}
	n, err := c.m.net.Write(c.fd, c.out[:min(len(c.out), c.m.piece())], nil)
	if err != nil {
		return false, ignore(err)
	}
	c.out = c.out[n:]
	if len(c.out) == 0 {
		c.out = nil
	}
	if (c.choked && !c.m.mode.Overwrites) || c.out == nil {
		c.choked = false
		c.sc.Room()
	}
	return n > 0, nil
}

// ignore turns "not now" into nothing.
func ignore(err error) error {
	if err == syscall.EAGAIN || err == syscall.EINTR {
		return nil
	}
	return err
}

// sendHeld sends a piece of what is held.
func (c *mockConn) sendHeld() (bool, error) {
	if c.gone || len(c.held) == 0 {
		return false, nil
	}
	c.unchanged()
	n, err := c.m.net.Write(c.fd, c.held[:min(len(c.held), c.m.piece())], nil)
	if err != nil {
		return false, ignore(err)
	}
	c.held, c.copied = c.held[n:], c.copied[n:]
	if n > 0 {
		c.sc.Sent(n)
	}
	return n > 0, nil
}

// end sends the end of the stream behind what was taken.
func (c *mockConn) end() (bool, error) {
	if !c.fin || c.ended || len(c.out) > 0 || len(c.held) > 0 {
		return false, nil
	}
	c.ended = true
	return true, c.m.net.CloseWrite(c.fd)
}

// welcome reports whether input may be fed now.
func (c *mockConn) welcome() bool {
	return !c.paused || c.m.mode.NoPause || c.after < c.m.mode.LateFeeds
}

// receive takes a piece from the socket.
func (c *mockConn) receive() (bool, error) {
	m := c.m
	if c.read || len(c.in) > 0 && !(c.paused && len(c.in) < m.mode.StealAt) {
		return false, nil
	}
	if !c.welcome() && m.mode.StealAt == 0 {
		return false, nil
	}
	n, err := m.net.Read(c.fd, m.buf[:m.piece()])
	switch {
	case err != nil:
		return false, ignore(err)
	case n == 0:
		c.read = true
	default:
		c.in = append(c.in, m.buf[:n]...)
	}
	return true, nil
}

// feed hands on what was received, and its end.
func (c *mockConn) feed() (bool, error) {
	switch {
	case !c.welcome():
		if at := c.m.mode.StealAt; at > 0 && len(c.in) >= at && len(c.out)+len(c.held) == 0 {
			return c.steal()
		}
		return false, nil
	case len(c.in) > 0:
		if c.paused {
			c.after++
		}
		n := min(len(c.in), c.m.piece())
		p := c.in[:n]
		if c.in = c.in[n:]; len(c.in) == 0 {
			c.in = nil
		}
		c.give(p)
		return true, nil
	case c.read && !c.told:
		c.told = true
		if c.m.mode.NoEOF {
			return true, io.EOF
		}
		c.sc.EOF()
		return true, nil
	}
	return false, nil
}

// give feeds p, which is the engine's again afterwards.
func (c *mockConn) give(p []byte) {
	c.sc.Feed(p)
	if !c.m.mode.Fresh {
		overwrite(p)
	}
}

// duplicator is implemented by Sockets whose descriptors core can take over.
type duplicator interface {
	Dup(fd int) (int, error)
}

// steal takes the connection out of the engine.
func (c *mockConn) steal() (bool, error) {
	d, ok := c.m.net.(duplicator)
	if !ok {
		return false, nil
	}
	fd, err := d.Dup(c.fd)
	if err != nil {
		return false, nil // with the next turn again
	}
	early := c.in
	c.in = nil
	c.release()
	if c.sc.Steal(fd, early) != nil {
		c.m.net.Close(fd)
	}
	return true, nil
}
