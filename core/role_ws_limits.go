package core

import (
	"encoding/binary"

	"anyloop/core/ws"
)

// Phases of the link's limit.
const (
	phasePing  uint8 = 0x10 + iota // until the next Ping
	phasePong                      // until the peer counts as gone
	phaseIdle                      // until a message is overdue
	phaseClose                     // until the peer's Close is overdue
	phaseSend                      // until our Close could be sent
	phaseFin                       // until the server should have closed TCP
)

// established starts the limits.
func (r *wsRole) established(l *link) {
	now := l.th.now()
	r.valid = now
	if l.own().limits().IdleTimeout > 0 {
		r.seldom().heard = now
	}
	l.phase = 0
	r.rearm(l)
}

// progressed: the kernel takes bytes only as the peer's acknowledges earlier
// ones, which proves that it is there.
func (r *wsRole) progressed(l *link) { r.valid = l.th.now() }

// pausing lets limits on the peer's activity stand still. While we do not read, none of
// its messages is seen; but a pause because it does not take what it is sent is its own
// doing: that it takes more is proof enough that it is there, and the only one.
func (r *wsRole) pausing(c *Conn, paused bool) {
	if r.sub != wsOpen {
		return
	}
	now, rare := c.link.th.now(), r.seldom()
	if paused != rare.isPaused {
		if rare.isPaused = paused; paused {
			rare.paused = now
		} else {
			rare.heard += now - rare.paused
		}
	}
	if held := c.held(); held != rare.isHeld {
		if rare.isHeld = held; held {
			rare.held = now
		} else {
			r.valid = min(r.valid+now-rare.held, now)
		}
	}
	r.rearm(c.link)
}

// rearm starts the earliest of the limits that hold while open.
func (r *wsRole) rearm(l *link) {
	c := l.own()
	switch {
	case r.sub != wsOpen:
		return
	case c.held():
		l.disarm()
		return
	}
	lim := c.limits()
	phase, when := uint8(0), int64(never)
	consider := func(ph uint8, from int64, d int64) {
		if d > 0 && from+d < when {
			phase, when = ph, from+d
		}
	}
	if !r.is(wsPinged) {
		consider(phasePing, r.valid, int64(lim.PingInterval))
	}
	consider(phasePong, r.valid, int64(lim.PongTimeout))
	if lim.IdleTimeout > 0 && c.pause == 0 {
		consider(phaseIdle, r.seldom().heard, int64(lim.IdleTimeout))
	}
	switch {
	case phase == 0:
		l.disarm()
	case phase == phasePing && r.valid == l.th.now():
		l.arm(phase, lim.PingInterval) // the usual case keeps to the cheap lists
	default:
		l.armAt(phase, when)
	}
}

func (r *wsRole) expire(l *link) {
	c := l.own()
	lim := c.limits()
	switch l.phase {
	case phasePing:
		// The proof may have come since by bytes the wire took.
		if late := l.th.now() - r.valid - int64(lim.PingInterval); late >= 0 {
			// A loop that was held up asks late. The peer cannot help that:
			// it has as much time for its answer as ever.
			r.valid += late
			r.ping(l)
		}
		r.rearm(l)
	case phasePong:
		if r.valid+int64(lim.PongTimeout) > l.th.now() {
			r.rearm(l)
			return
		}
		c.because(&LimitError{"PongTimeout", lim.PongTimeout})
		c.state = stClosing
		l.doom(c.cause())
	case phaseIdle:
		l.phase = 0
		c.closing(&LimitError{"IdleTimeout", lim.IdleTimeout})
	case phaseClose, phaseSend:
		l.doom(c.cause())
	case phaseFin:
		l.phase = 0
		l.finish(c.cause(), false)
	}
}

// ping asks for a proof of life: 8 bytes, our time.
func (r *wsRole) ping(l *link) {
	r.bits |= wsPinged
	if r.set(wsPingDue, l.choked()); r.is(wsPingDue) {
		return
	}
	var b [8]byte
	binary.BigEndian.PutUint64(b[:], uint64(l.th.now()))
	r.frame(l, ws.Ping, true, b[:])
}

// proven: the peer is there.
func (r *wsRole) proven(l *link) {
	r.valid = l.th.now()
	r.bits &^= wsPinged | wsPingDue
	r.rearm(l)
}

// ConfirmValid counts as a Pong: for applications whose own messages prove that
// traffic flows both ways. Loop thread only.
func (c *Conn) ConfirmValid() {
	if r, ok := c.link.role.(*wsRole); ok && c.state == stOpen {
		r.proven(c.link)
	}
}
