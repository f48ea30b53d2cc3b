package core

import (
	"anyloop/core/loop"
	"anyloop/core/sys"
	"anyloop/core/ws"
)

const (
	// corkSize is the thread's send buffer: the answers of one service of
	// one link leave in one write.
	corkSize = 64 << 10
	// writevFrom is the payload size from which copying into the cork costs
	// more than a second vector.
	writevFrom = 16 << 10
)

// outbuf returns where n more bytes of the link's output go: the cork, or,
// behind what the wire has refused, the link's own rest. The caller appends
// them at once. Only the link in service has output.
func (l *link) outbuf(n int) *[]byte {
	if l.choked() && !l.is(lfTLS) {
		return l.behind()
	}
	th := l.th
	if len(th.cork)+n > corkSize && len(th.cork) > 0 {
		l.flush()
		if l.choked() && !l.is(lfTLS) {
			return l.behind()
		}
	}
	return &th.cork
}

// reserve makes room for n more bytes of the rest, in a used buffer if it is large.
// Only for descriptors: the engine of a stream may be looking at the old one.
func (s *linkStore) reserve(th *Thread, n int) {
	need := len(s.rest) + n
	if need < largeFrom || cap(s.rest) >= need || !onDescriptor(s.wire) {
		return
	}
	if len(s.rest) > 0 {
		need += need / 4 // it grows: copy it seldom
	}
	old := s.base
	if s.base = th.takeLarge(need); s.base == nil {
		s.base = make([]byte, 0, need)
	}
	s.rest = append(s.base, s.rest...)
	th.giveLarge(old)
}

// behind returns the rest, for what comes after all that waits. A reference that
// waits is copied into it: only control frames of a link on its way out, and what
// is written to a stream that holds, come here while one does.
func (l *link) behind() *[]byte {
	s := l.keep()
	if s.ref != nil {
		s.rest = append(s.rest, s.ref...)
		s.ref = nil
	}
	return &s.rest
}

// send writes a payload behind what is corked: by copy if it is small, by
// reference, with no copy of what the wire takes, if it is large.
func (l *link) send(payload []byte) {
	if len(payload) < writevFrom || l.choked() {
		b := l.outbuf(len(payload))
		*b = append(*b, payload...)
		return
	}
	if !l.sendFromInput(payload) {
		l.writeOut(l.th.cork, payload)
	}
	l.th.cork = l.th.cork[:0]
}

// sendFromInput sends what is corked and a payload that still lies in the receive
// buffer, as an echo's does, in one piece: the former is put in front of the latter
// for the time of the write, and what was there put back. A vector of two pieces
// costs the system more.
func (l *link) sendFromInput(payload []byte) bool {
	th := l.th
	n := len(th.cork)
	at := sys.Within(th.rbuf, payload)
	var kept [ws.MaxHeader]byte
	if at < n || n > len(kept) || l.is(lfTLS) || !onDescriptor(l.wire()) {
		return false
	}
	front := th.rbuf[at-n : at]
	copy(kept[:], front)
	copy(front, th.cork)
	l.put(th.rbuf[at-n:at+len(payload)], nil)
	copy(front, kept[:])
	return true
}

// flush hands the cork to the wire.
func (l *link) flush() {
	th := l.th
	if len(th.cork) == 0 {
		return
	}
	l.writeOut(th.cork, nil)
	th.cork = th.cork[:0]
	if cap(th.cork) > 2*corkSize {
		th.cork = make([]byte, 0, corkSize) // one large message must not stay for ever
	}
}

// writeOut sends head and tail.
func (l *link) writeOut(head, tail []byte) {
	if l.is(lfTLS) {
		l.seal(head, tail)
		return
	}
	l.put(head, tail)
}

// put gives head and tail to the wire, in wire format, and keeps what it refuses.
func (l *link) put(head, tail []byte) {
	total := len(head) + len(tail)
	if l.is(lfTxDead) {
		return
	}
	n := 0
	var err error
	if !l.choked() {
		n, err = l.wireWrite(head, tail)
	}
	l.th.stats.BytesOut += uint64(n)
	if n == total {
		return
	}
	if err != nil && !again(err) {
		l.writeFailed(err)
		return
	}
	l.behind()
	s := l.store
	s.reserve(l.th, total-n)
	if n < len(head) {
		s.rest = append(s.rest, head[n:]...)
		n = len(head)
	}
	s.rest = append(s.rest, tail[n-len(head):]...)
	l.th.stats.Chokes++
	l.role.progressed(l)
}

// sendShared sends immutable bytes behind what is corked, from where they are.
// What the wire refuses of them stays there, and the link keeps a reference.
func (l *link) sendShared(p []byte) {
	th := l.th
	switch {
	case l.is(lfTxDead):
		return
	case l.is(lfTLS): // each receiver has its own keys
		l.seal(th.cork, p)
		th.cork = th.cork[:0]
		return
	case l.choked():
		l.behind()
		l.store.ref = p
		return
	}
	head := th.cork
	n, err := l.wireWrite(head, p)
	th.cork = th.cork[:0]
	th.stats.BytesOut += uint64(n)
	th.stats.SharedOut += uint64(max(0, n-len(head)))
	if n == len(head)+len(p) {
		return
	}
	if err != nil && !again(err) {
		l.writeFailed(err)
		return
	}
	s := l.keep()
	if n < len(head) {
		s.rest = append(s.rest, head[n:]...)
		n = len(head)
	}
	s.ref = p[n-len(head):]
	th.stats.Chokes++
	l.role.progressed(l)
}

// drain offers the rest to the wire again.
func (l *link) drain() {
	if !l.choked() {
		return
	}
	n, err := l.wireWrite(l.store.rest, l.store.ref)
	if err != nil && !again(err) {
		l.th.stats.BytesOut += uint64(n)
		l.writeFailed(err)
		return
	}
	l.taken(n)
}

// taken: n bytes of the rest are the wire's.
func (l *link) taken(n int) {
	s := l.store
	l.th.stats.BytesOut += uint64(n)
	if n > 0 {
		l.role.progressed(l)
	}
	if n < len(s.rest) {
		s.rest = s.rest[n:]
		return
	}
	n -= len(s.rest)
	s.rest = nil
	l.th.giveLarge(s.base)
	s.base = nil
	l.th.stats.SharedOut += uint64(n)
	if n < len(s.ref) {
		s.ref = s.ref[n:]
		return
	}
	s.ref = nil
	l.shrink()
	if l.is(lfTLS) {
		l.tls().listened(l)
	}
	l.role.drained(l)
	if l.is(lfFinish) && l.held() == 0 {
		l.finishNow()
	}
}

// held returns what the wire has taken and not sent: only engines of streams do
// that.
func (l *link) held() int {
	if w := l.stream(); w != nil {
		return w.held()
	}
	return 0
}

// forfeit drops what waits: nobody will take it.
func (l *link) forfeit() {
	if l.store != nil {
		l.store.rest, l.store.base, l.store.ref = nil, nil, nil
	}
}

// writeFailed: the wire takes no more. What the peer sent before may still be
// read, so the link ends when that is done.
func (l *link) writeFailed(err error) {
	l.flags |= lfTxDead
	l.forfeit()
	cause := &TransportError{Op: "write", Err: err}
	if l.is(lfEOF | lfNoRead | lfLinger | lfFinish) {
		l.doom(cause)
		return
	}
	l.hangup(cause)
}

// hangup gives what the peer left behind HangupTimeout to be read.
func (l *link) hangup(cause error) {
	if l.is(lfHangup) {
		return
	}
	l.flags |= lfHangup
	if s := l.keep(); s.err == nil {
		s.err = cause
	}
	l.arm(phaseHangup, l.own().limits().HangupTimeout)
}

// quit ends the link now, but for what its wire has taken and not sent: a socket
// of the system sends that by itself when it is closed, an engine's stream does
// not. Over TLS it says so.
func (l *link) quit(cause error) {
	if !l.is(lfTxDead) && (l.held() > 0 || l.owesNotify()) {
		l.finish(cause, false)
		return
	}
	l.doom(cause)
}

// finish ends the link in good order once everything is sent, bounded by
// FlushTimeout.
func (l *link) finish(cause error, linger bool) {
	if l.flags&(lfFinish|lfDoomed|lfDead) != 0 {
		return
	}
	l.flags |= lfFinish
	if s := l.keep(); s.err == nil {
		s.err = cause
	}
	if linger && !l.is(lfEOF) {
		l.flags |= lfLinger
	}
	l.flush()
	if l.is(lfTLS) {
		l.closeNotify()
	}
	if l.choked() || l.held() > 0 {
		if !l.is(lfLinger) {
			l.flags |= lfNoRead
		}
		l.arm(phaseFlush, l.own().limits().FlushTimeout)
		return
	}
	l.finishNow()
}

// finishNow is the end of finish: all is sent.
func (l *link) finishNow() {
	err := l.cause()
	if l.is(lfTxDead|lfEOF) || l.wireCloseWrite() != nil || !l.is(lfLinger) { // closing says the same to one that has sent all
		l.doom(err)
		return
	}
	// The peer may still be sending. Closing with bytes unread resets the
	// connection, and the reset may overtake our answer: read and drop until
	// it stops.
	l.arm(phaseLinger, l.own().limits().LingerTimeout)
}

// poll events that mean "look, the connection may be over".
const hupErr = loop.Hup | loop.Err | loop.Nval
