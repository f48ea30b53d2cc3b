package core

import (
	"errors"

	"anyloop/core/h1"
)

// refuse answers what is not a valid request and closes.
func (r *h1Role) refuse(l *link, err error) {
	status, text := 400, ""
	var he *h1.Error
	if errors.As(err, &he) {
		status, text = he.Status, he.Text
	}
	c := l.own()
	c.vh().log.Info("bad request", "conn", c.String(), "peer", c.Peer(), "status", status, "err", err)
	c.because(err)
	r.keep = false
	if r.req == nil || r.req.w.headed {
		l.finish(err, true)
		return
	}
	r.respondError(l, status, text)
}

// respondError answers with a page of ours; the handler is not asked.
func (r *h1Role) respondError(l *link, status int, text string) {
	w := &r.req.w
	r.drop = true
	if r.phase != h1Busy {
		r.bodyOn = false
	}
	w.live, w.used, w.headed = true, false, false
	w.Error(status, text)
	w.live = false
	if !r.keep {
		r.failClose(l)
		return
	}
	r.maybeNext(l)
}

// failClose ends the connection behind an error page: the peer may be sending
// still, so linger.
func (r *h1Role) failClose(l *link) {
	r.phase = h1Over
	cause := l.own().cause()
	r.freeRequest(l)
	l.finish(cause, true)
}

// closeConn: a handler returned an error, or Close was called.
func (r *h1Role) closeConn(c *Conn, cause error) {
	l := c.link
	r.keep = false
	if errors.Is(cause, ErrDrop) || l.is(lfTxDead) || r.req == nil {
		if r.req == nil && !errors.Is(cause, ErrDrop) {
			r.phase = h1Over
			l.finish(cause, false)
			return
		}
		l.doom(cause)
		return
	}
	if !r.req.w.headed && r.phase == h1Busy {
		status := 500
		var he *HTTPError
		if errors.As(cause, &he) {
			status = he.Status
		} else {
			c.vh().log.Error("handler failed", "conn", c.String(), "protocol", c.Protocol(), "err", cause)
		}
		r.respondError(l, status, "")
		return
	}
	// Half a response can only be cut off, so that the peer sees it is half.
	r.phase = h1Over
	r.freeRequest(l)
	l.finish(cause, false)
}

// HTTPError is an error that names the status to answer with: in a filter, or
// returned by an HTTP handler before the head is written.
type HTTPError struct {
	Status int
	Text   string
}

func (e *HTTPError) Error() string {
	if e.Text != "" {
		return "core: status " + h1.StatusText(e.Status) + ": " + e.Text
	}
	return "core: status " + h1.StatusText(e.Status)
}

// rearm restarts the limit on body and response.
func (r *h1Role) rearm(l *link) {
	if r.phase != h1Busy || r.req == nil || l.own().pause != 0 {
		return
	}
	if r.req.w.held && !r.bodyOn && !l.choked() {
		l.disarm()
		return
	}
	l.arm(phaseContent, l.own().limits().ContentTimeout)
}

func (r *h1Role) expire(l *link) {
	c := l.own()
	lim := c.limits()
	switch l.phase {
	case phaseHandshake, phaseHeader:
		r.late(l, &LimitError{"HandshakeTimeout", lim.HandshakeTimeout})
	case phaseHeaderIdle:
		r.late(l, &LimitError{"HeaderIdleTimeout", lim.HeaderIdleTimeout})
	case phaseKeepAlive:
		l.phase = 0
		r.phase = h1Over
		l.finish(nil, false)
	case phaseContent:
		if r.req != nil && !r.req.w.ended && !l.choked() && !r.bodyOn {
			c.vh().log.Warn("a handler has not ended its response within ContentTimeout",
				"conn", c.String(), "protocol", c.Protocol(), "path", r.req.Path())
		}
		err := &LimitError{"ContentTimeout", lim.ContentTimeout}
		c.because(err)
		if r.req != nil && !r.req.w.headed && r.bodyOn {
			r.late(l, err)
			return
		}
		l.doom(err)
	}
}

// late answers 408 if a request has begun, and closes (RFC 9110 15.5.9).
func (r *h1Role) late(l *link, err *LimitError) {
	c := l.own()
	c.because(err)
	l.phase = 0
	if r.req == nil {
		r.phase = h1Over
		l.quit(err)
		return
	}
	r.keep = false
	r.respondError(l, 408, "")
}
