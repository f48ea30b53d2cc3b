package core

import (
	"syscall"

	"anyloop/core/loop"
)

// rbufSize is the thread's receive buffer: the most that one read returns.
const rbufSize = 64 << 10

// readsPerTurn bounds the reads of one link in one turn. A second one follows
// only if the first filled the buffer.
const readsPerTurn = 2

// service handles readiness of one link. Readiness is a hint: only what a
// system call answers ends a connection.
func (l *link) service(ev loop.Events) {
	if ev&(loop.Out|hupErr) != 0 {
		if l.is(lfWantOut) {
			l.flags &^= lfWantOut
			l.own().flags |= cfUnchoke
		}
		l.drain()
	}
	if ev&(loop.In|hupErr) == 0 || l.flags&(lfDoomed|lfDead) != 0 {
		return
	}
	switch {
	case l.mayRead():
		if l.is(lfReady) {
			l.role.ready(l)
			return
		}
		l.receive()
	case ev&hupErr != 0:
		l.confirmHangup()
	}
}

// receive reads what is there, a bounded number of times, and hands it up.
func (l *link) receive() {
	if l.flags&(lfTLS|lfInto) != 0 {
		if l.is(lfTLS) {
			l.receiveTLS()
			return
		}
		if l.receiveInto() {
			return
		}
	}
	th := l.th
	for range readsPerTurn {
		k := l.frontTail()
		n := l.readSome(th.rbuf[k:])
		if n == 0 {
			return
		}
		if l.is(lfLinger) {
			continue
		}
		full := k+n == len(th.rbuf)
		l.consume(th.rbuf[:k+n], k > 0)
		if !full && l.flags&lfHangup == 0 || !l.mayRead() || l.flags&(lfTLS|lfInto) != 0 {
			return
		}
	}
}

// readSome reads once and returns how many bytes came. 0 is nothing now, or never
// again, which has been seen to.
func (l *link) readSome(p []byte) int {
	n, err := l.wireRead(p)
	switch {
	case err != nil && again(err):
	case err != nil:
		l.readFailed(err)
	case n == 0:
		l.endOfStream()
	default:
		l.th.stats.BytesIn += uint64(n)
		return n
	}
	return 0
}

// frontTail copies the tail to the front of the receive buffer.
func (l *link) frontTail() int {
	t := l.tail()
	if len(t) == 0 {
		return 0
	}
	th := l.th
	if len(t) > len(th.rbuf)/2 {
		th.rbuf = make([]byte, 2*len(t)) // limits above the default let tails be long
	}
	return copy(th.rbuf, t)
}

// feed is receive for a wire whose engine hands over the bytes; p is lent until
// it returns.
func (l *link) feed(p []byte) {
	if l.flags&(lfDoomed|lfDead|lfEOF) != 0 {
		return
	}
	l.th.stats.BytesIn += uint64(len(p))
	if l.is(lfLinger) {
		return
	}
	if l.is(lfTLS) {
		l.feedTLS(p)
		return
	}
	t := l.tail()
	if t == nil && l.mayRead() {
		l.consume(p, false)
		return
	}
	s := l.keep()
	s.tail = append(s.tail, p...) // late bytes after a pause, or behind an incomplete piece
	if l.mayRead() {
		l.resumeInput()
	}
}

// consume lets the role have p, and keeps what it leaves. kept says that p
// begins with the tail.
func (l *link) consume(p []byte, kept bool) {
	l.flags &^= lfAgain
	n := l.role.input(l, p)
	if n >= len(p) || l.flags&(lfDoomed|lfDead) != 0 {
		if kept {
			l.store.tail = nil
			l.shrink()
		}
		return
	}
	left := p[n:]
	s := l.keep()
	if cap(s.tail) >= len(left) && cap(s.tail) <= 2*len(left) {
		s.tail = append(s.tail[:0], left...)
		return
	}
	s.tail = append(make([]byte, 0, len(left)), left...)
}

// resumeInput consumes what was left over while the role would not take it.
func (l *link) resumeInput() {
	t := l.tail()
	l.flags &^= lfAgain
	if len(t) == 0 && !l.is(lfHolds) {
		l.tellEOF()
		return
	}
	if len(t) > 0 {
		l.store.tail = nil
	}
	n := l.role.input(l, t)
	if n < len(t) && l.flags&(lfDoomed|lfDead) == 0 {
		l.keep().tail = t[n:]
	}
	l.shrink()
	if !l.is(lfAgain) && l.own().pause == 0 && !l.waiting() {
		l.tellEOF()
	}
}

// waiting reports whether input is left that the role takes when it has done with
// what came before, or in its next turn: a pipelined request.
func (l *link) waiting() bool {
	return l.left() && (l.is(lfNoRead) || l.own().flags&cfQueued != 0)
}

// tellEOF tells the role of an end of stream that was read earlier, behind the
// bytes that came before it.
func (l *link) tellEOF() {
	if l.is(lfEOF) && l.flags&(lfFinish|lfDoomed|lfDead) == 0 && !l.sealed() {
		l.role.eof(l)
	}
}

// endOfStream: a read returned 0.
func (l *link) endOfStream() {
	l.flags |= lfEOF
	if l.is(lfShaking) {
		l.cutShort(l.tls())
		return
	}
	if l.is(lfFinish) && !l.is(lfHangup) && (l.choked() || l.held() > 0) {
		return // it may still want the rest; finishNow ends
	}
	if l.is(lfFinish | lfHangup) {
		l.doom(l.cause())
		return
	}
	if l.sealed() || l.is(lfAgain) || l.own().pause != 0 && !l.is(lfHandshake) || l.waiting() {
		return // resumeInput reports it behind the bytes
	}
	l.role.eof(l)
}

func (l *link) readFailed(err error) {
	if l.is(lfHangup) || l.is(lfFinish) {
		l.doom(l.cause())
		return
	}
	if err == error(syscall.ECONNRESET) {
		l.doom(errReset)
		return
	}
	l.doom(&TransportError{Op: "read", Err: err})
}

// confirmHangup: the loop says hang-up or error on a link that may not read. The
// system is asked whether that is so: a report is only a hint. If it is, neither
// can be masked, so the loop must stop watching; what the peer left unread stays
// readable for HangupTimeout.
func (l *link) confirmHangup() {
	if err := l.wireError(); err != nil {
		l.doom(&TransportError{Op: "poll", Err: err})
		return
	}
	if !l.wireHungUp() {
		return
	}
	if n, _ := l.wirePeek(); n > 0 || l.left() {
		l.unwatch()
		l.hangup(errPeerGone)
		return
	}
	l.doom(errPeerGone)
}
