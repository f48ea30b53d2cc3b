package core

// Pause stops input: no input callback comes after the running one returns, not
// even for what is received already, until Resume. What the peer sends meanwhile
// stays in the operating system, and then with the peer. Our limits on the
// peer's activity stand still. Pausing twice is pausing once. Loop thread only.
func (c *Conn) Pause() error {
	c.link.th.checkVerb("Pause")
	if !c.Open() {
		return ErrConnClosed
	}
	c.setPause(pauseUser, true)
	return nil
}

// Resume lets input flow again, what was received earlier first. Loop thread only.
func (c *Conn) Resume() error {
	c.link.th.checkVerb("Resume")
	if !c.Open() {
		return ErrConnClosed
	}
	c.setPause(pauseUser, false)
	return nil
}

// Paused reports whether the handler itself has paused the conn. Loop thread only.
func (c *Conn) Paused() bool { return c.pause&pauseUser != 0 }

// held reports whether we do not read for other reasons than that the peer does not,
// either.
func (c *Conn) held() bool { return c.pause&^pauseOutbox != 0 }

// setPause sets or clears reasons; only the change of all-clear matters.
func (c *Conn) setPause(why pauseReason, on bool) {
	before := c.pause
	if on {
		c.pause |= why
	} else {
		c.pause &^= why
	}
	l := c.link
	if (before == 0) == (c.pause == 0) {
		if (before&^pauseOutbox == 0) != (c.pause&^pauseOutbox == 0) {
			l.role.pausing(c, true) // which now has another reason
		}
		return
	}
	l.role.pausing(c, c.pause != 0)
	if c.pause == 0 && c == l.own() && (l.is(lfAgain|lfHangup) || l.left() || l.is(lfEOF)) {
		l.th.queue(c)
	}
	if l.th.cur != l {
		l.settle()
	}
}
