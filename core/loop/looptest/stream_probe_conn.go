package looptest

import "anyloop/core/loop"

// watchedConn is core's side of a connection, as the engine sees it.
type watchedConn struct{ t *watched }

var _ loop.StreamConn = watchedConn{}

// call is the begin of a call of the engine's. report says that it may come from
// inside a call of core's.
func (c watchedConn) call(name string, report bool) {
	t, w := c.t, c.t.w
	switch {
	case t.closed:
		w.fault("S7", "%s after Closed", name)
	case t.stolen:
		w.fault("S10", "%s after Steal", name)
	case w.inside > 0 && !report:
		w.fault("S8", "%s from inside a call of core's", name)
	}
	if w.inside > 0 {
		t.n.Inside++
	}
}

// Feed implements loop.StreamConn.
func (c watchedConn) Feed(p []byte) {
	t, w := c.t, c.t.w
	w.mu.Lock()
	c.call("Feed", false)
	if t.eof && len(p) > 0 {
		w.fault("S12", "%d bytes fed after EOF", len(p))
	}
	t.n.Fed += len(p)
	if t.paused {
		t.late += len(p)
		t.n.Late = max(t.n.Late, t.late)
	}
	w.mu.Unlock()
	if !w.spoilIn {
		t.sc.Feed(p)
		return
	}
	lent := append([]byte(nil), p...)
	t.sc.Feed(lent)
	overwrite(lent)
}

// Room implements loop.StreamConn.
func (c watchedConn) Room() {
	t, w := c.t, c.t.w
	w.mu.Lock()
	c.call("Room", true)
	t.choked = false
	t.rooms++
	w.mu.Unlock()
	t.sc.Room()
}

// Sent implements loop.StreamConn.
func (c watchedConn) Sent(n int) {
	t, w := c.t, c.t.w
	w.mu.Lock()
	c.call("Sent", true)
	switch {
	case n < 0 || n > len(t.out)-t.sent:
		w.fault("S1", "Sent(%d) with %d of %d bytes sent", n, t.sent, len(t.out))
	default:
		c.intact()
		if t.sent += n; t.sent == len(t.out) {
			t.out = nil
		}
	}
	w.mu.Unlock()
	t.sc.Sent(n)
}

// intact checks that the memory of a Send is as it was.
func (c watchedConn) intact() {
	if t := c.t; t.out != nil && t.w.sum(t.out) != t.sum {
		t.w.fault("S2", "the memory of a Send has changed before all of it was Sent")
		t.sum = t.w.sum(t.out)
	}
}

// EOF implements loop.StreamConn.
func (c watchedConn) EOF() {
	t, w := c.t, c.t.w
	w.mu.Lock()
	c.call("EOF", false)
	if t.eof {
		w.fault("S12", "a second EOF")
	}
	t.eof = true
	t.n.EOFs++
	w.mu.Unlock()
	t.sc.EOF()
}

// Closed implements loop.StreamConn.
func (c watchedConn) Closed(err error) {
	t, w := c.t, c.t.w
	w.mu.Lock()
	c.call("Closed", true)
	c.intact()
	t.closed, t.gone, t.out = true, true, nil
	w.mu.Unlock()
	t.sc.Closed(err)
}

// Steal implements loop.StreamConn.
func (c watchedConn) Steal(fd int, early []byte) error {
	t, w := c.t, c.t.w
	w.mu.Lock()
	c.call("Steal", false)
	w.mu.Unlock()
	if n := t.s.Buffered(); n > 0 {
		w.mu.Lock()
		w.fault("S10", "Steal with %d bytes Buffered", n)
		w.mu.Unlock()
	}
	w.mu.Lock()
	t.stolen, t.gone = true, true
	w.mu.Unlock()
	lent := early
	if w.spoilIn {
		lent = append([]byte(nil), early...)
	}
	err := t.sc.Steal(fd, lent)
	if w.spoilIn {
		overwrite(lent)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	if err != nil {
		t.stolen, t.closed = false, true
	} else {
		t.n.Stolen++
	}
	return err
}
