package core

import (
	"syscall"

	"anyloop/core/sys"
	"anyloop/core/tlsio"
)

// peerRole is a role that a connection of a peer begins with.
type peerRole interface {
	role
	// accepted starts the first time limit.
	accepted(l *link)
}

// firstRole returns what a connection of the site begins with.
func (th *Thread) firstRole(s *site) peerRole {
	if s.tls {
		return &sniffRole{site: s}
	}
	return th.plainRole(s)
}

// sniffRole looks at the first bytes of a connection where more than one thing is
// spoken:
//
//	waiting --a whole TLS record--> handshake --complete--> (h1 role)
//	waiting --something else------> what TLS.Plain says
//
// It holds nothing for a client that has sent less than its first record: on a
// descriptor of Linux those bytes stay in the kernel, which is asked to report no
// less than the rest.
type sniffRole struct {
	baseRole
	site *site
	low  bool // SO_RCVLOWAT is set
}

// phaseTLS is the limit from accept to the end of the handshake.
const phaseTLS uint8 = 0x40

const (
	// recordHeader is the size of a TLS record's header.
	recordHeader = 5
	// maxRecord is the longest first record that is waited for (RFC 8446 5.1).
	maxRecord = recordHeader + 16<<10
)

func (*sniffRole) name() string { return "sniff" }

func (r *sniffRole) accepted(l *link) {
	if l.wire() == nil && sys.CanPeek {
		l.flags |= lfReady
	}
	l.arm(phaseTLS, l.own().limits().TLSTimeout)
}

// need returns how many bytes decide, having seen p: no more than len(p) if they
// are there.
func (r *sniffRole) need(p []byte) int {
	switch {
	case len(p) == 0:
		return 1
	case !isTLS(p[0]):
		return 1
	case len(p) < recordHeader:
		return recordHeader
	}
	if n := recordHeader + int(p[3])<<8 + int(p[4]); n <= maxRecord {
		return n
	}
	return recordHeader // crypto/tls knows the alert for it
}

// isTLS reports whether a connection that begins with b speaks TLS, well or badly:
// the types of records are below all text, and SSLv2's first byte above it.
func isTLS(b byte) bool { return b < 0x20 || b >= 0x80 }

// ready looks at what waits in the kernel, and takes nothing.
func (r *sniffRole) ready(l *link) {
	if l.is(lfShakeTurn) {
		return
	}
	var head [recordHeader]byte
	n, waiting, err := sys.PeekHead(int(l.fd), head[:])
	switch {
	case err == syscall.EAGAIN || err == syscall.EINTR:
		return
	case err != nil:
		l.readFailed(err)
		return
	case n == 0:
		l.endOfStream()
		return
	}
	if need := r.need(head[:n]); waiting < need && !r.low {
		if r.low = sys.SetReceiveLow(int(l.fd), need) == nil; r.low {
			return // a report that comes with less means the end, or an error: for the handshake to find
		}
	}
	if !r.mayGo(l, head[0]) {
		return
	}
	if r.low {
		sys.SetReceiveLow(int(l.fd), 1)
	}
	l.flags &^= lfReady
	r.become(l, head[0], nil)
	if l.flags&(lfDoomed|lfDead) == 0 && l.mayRead() {
		l.receive()
	}
}

// mayGo reports whether the link may go on to what it is: at once, or, for a
// handshake, when there is room for one.
func (r *sniffRole) mayGo(l *link, first byte) bool {
	return !isTLS(first) || l.th.shakes.mayBegin(l)
}

// input is ready for what is no descriptor, or on other systems: what came waits
// in the tail.
func (r *sniffRole) input(l *link, p []byte) int {
	if len(p) < r.need(p) || l.is(lfShakeTurn) || !r.mayGo(l, p[0]) {
		return 0
	}
	if isTLS(p[0]) {
		r.become(l, p[0], p)
		l.th.queue(l.own()) // which unseals: p lies where plaintext goes
		return len(p)
	}
	r.become(l, p[0], nil)
	if l.flags&(lfDoomed|lfDead) != 0 {
		return len(p)
	}
	return l.role.input(l, p)
}

// again is the turn of a link that waited for a place.
func (r *sniffRole) again(l *link) {
	if l.is(lfReady) {
		if l.mayRead() {
			r.ready(l)
		}
		return
	}
	l.resumeInput()
}

// become makes the link what its first byte says; p is what was read of it.
func (r *sniffRole) become(l *link, first byte, p []byte) {
	vh := r.site.first()
	switch {
	case vh == nil:
		l.doom(ErrStopped)
	case isTLS(first) && r.site.tls:
		r.shake(l, vh, p)
	default:
		r.plain(l, vh)
	}
}

// plain: no TLS is spoken.
func (r *sniffRole) plain(l *link, vh *VirtualHost) {
	policy := PlainServe
	if vh.tls != nil {
		policy = vh.tls.opt.Plain
	}
	var next peerRole
	switch {
	case policy == PlainClose || policy == PlainRaw && vh.raw() == nil:
		l.doom(errPlain)
		return
	case policy == PlainRaw:
		next = newRaw(vh.raw())
	case policy == PlainServe:
		next = l.th.plainRole(r.site)
	default:
		h := l.th.newH1(r.site)
		h.plain = policy
		next = h
	}
	l.role = next
	next.accepted(l)
}

// shake begins the handshake; p is what was read of it.
func (r *sniffRole) shake(l *link, vh *VirtualHost, p []byte) {
	s := tlsio.Server(r.site.base, tlsio.Options{Coroutine: l.th.steady, Lend: vh.tls.opt.LendBuffers, Owner: l})
	l.beginTLS(s, vh.tls.opt.Info, p)
}

// secure: what follows is what would be spoken without TLS.
func (r *sniffRole) secure(l *link) {
	next := l.th.plainRole(r.site)
	l.role = next
	l.disarm()
	next.accepted(l)
}

// eof: it has sent nothing that could be answered.
func (r *sniffRole) eof(l *link) { l.quit(errPeerGone) }

func (r *sniffRole) expire(l *link) {
	l.doom(&LimitError{"TLSTimeout", l.own().limits().TLSTimeout})
}

func (r *sniffRole) stop(l *link) { l.doom(l.th.farewell()) }
