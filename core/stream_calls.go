package core

import (
	"io"
	"syscall"
)

// streamCall is one call of a stream's engine, as a value, so that
// none of them costs an allocation.
type streamCall struct {
	what string
	op   streamOp
	p    []byte
	fd   int
	err  error
}

type streamOp uint8

const (
	opFeed streamOp = iota
	opRoom
	opEOF
	opClosed
	opSteal
)

// Feed implements loop.StreamConn.
func (w *streamWire) Feed(p []byte) {
	if len(p) > 0 {
		w.enter(&streamCall{what: "Feed", op: opFeed, p: p})
	}
}

// Room implements loop.StreamConn.
func (w *streamWire) Room() {
	if w.gone {
		return
	}
	if w.l.th.inLoop {
		w.note(noteRoom)
		return
	}
	w.enter(&streamCall{what: "Room", op: opRoom})
}

// Sent implements loop.StreamConn.
func (w *streamWire) Sent(n int) {
	if n < 0 || n > w.out-w.sent {
		w.l.th.misuse(errStreamUnfit, "Sent")
		return
	}
	w.sent += n
	w.Room()
}

// EOF implements loop.StreamConn.
func (w *streamWire) EOF() { w.enter(&streamCall{what: "EOF", op: opEOF}) }

// Closed implements loop.StreamConn.
func (w *streamWire) Closed(err error) {
	if w.gone {
		return
	}
	if w.l.th.inLoop {
		w.err = err
		w.note(noteClosed)
		return
	}
	w.enter(&streamCall{what: "Closed", op: opClosed, err: err})
}

// Steal implements loop.StreamConn.
func (w *streamWire) Steal(fd int, early []byte) error {
	call := streamCall{what: "Steal", op: opSteal, fd: fd, p: early, err: ErrConnClosed}
	w.enter(&call)
	return call.err
}

// enter is an entry point: the call is carried out with the link in service,
// unless that is gone already.
func (w *streamWire) enter(call *streamCall) {
	th := w.l.th
	if th.inLoop {
		th.misuse(ErrLoopCallback, call.what)
		return
	}
	if !th.enter(call.what) {
		return
	}
	if !th.ready {
		th.start()
	}
	th.serveStream(w, call)
	th.leave()
	th.outsideTurn()
}

func (th *Thread) serveStream(w *streamWire, call *streamCall) {
	defer th.rescue()
	l := w.l
	if l.is(lfDead) {
		if call.op == opClosed || call.op == opSteal {
			w.closed(nil)
		}
		return
	}
	th.begin(l)
	switch call.op {
	case opFeed:
		l.feed(call.p)
	case opRoom:
		w.room()
	case opEOF:
		if !l.is(lfEOF) {
			l.endOfStream()
		}
	case opClosed:
		w.closed(call.err)
	case opSteal:
		if !w.gone && !l.is(lfDoomed) {
			call.err = w.steal(call.fd, call.p)
		}
		if call.err != nil {
			w.closed(nil)
		}
	}
	l.offerAll()
	th.finishService(l)
}

// note keeps what the engine says for when core is done with it.
func (w *streamWire) note(n streamNote) {
	w.noted |= n
	if w.l.is(lfDead) {
		w.recall() // being closed right now
		return
	}
	w.l.th.queue(w.l.own())
}

// recall handles what was noted.
func (w *streamWire) recall() {
	n := w.noted
	w.noted = 0
	if n&noteRoom != 0 {
		w.room()
	}
	if n&noteClosed != 0 {
		w.closed(w.err)
	}
}

func (w *streamWire) room() {
	l := w.l
	n := w.sent
	w.sent = 0
	w.out -= n
	if l.flags&(lfDoomed|lfDead) != 0 || w.gone {
		return
	}
	switch {
	case w.holder == nil:
		l.drain()
	case n > 0 && l.choked():
		l.taken(n)
	}
	// An orderly end waits until the engine has sent what it took.
	if l.flags&(lfFinish|lfDoomed) == lfFinish && l.phase == phaseFlush && !l.choked() && w.held() == 0 {
		l.finishNow()
	}
}

// closed: the engine has let go of the connection.
func (w *streamWire) closed(err error) {
	l := w.l
	if w.gone {
		return
	}
	w.gone = true
	if l.is(lfDead) {
		l.th.forget(l)
		return
	}
	cut := l.choked()
	l.flags |= lfTxDead
	l.forfeit()
	w.out, w.sent = 0, 0
	switch {
	case err != nil && err != io.EOF:
		l.readFailed(err)
	case cut && !l.left():
		l.doom(errPeerGone)
	case l.is(lfEOF):
		if !l.left() && l.is(lfFinish|lfHangup) {
			l.doom(l.cause())
		}
	default:
		l.endOfStream()
	}
	if l.flags&(lfDoomed|lfDead) != 0 {
		return
	}
	if l.left() {
		l.hangup(errPeerGone) // what it left may still be read, for a while
		return
	}
	l.doom(errPeerGone)
}

// steal makes the link one of a descriptor.
func (w *streamWire) steal(fd int, early []byte) error {
	l := w.l
	w.recall() // what was Sent is not sent again
	switch {
	case l.is(lfDoomed) || w.gone:
		return ErrConnClosed
	case w.out > 0:
		return errStreamHolds
	}
	if l.th.kernel != nil {
		return syscall.ENOTSUP
	}
	if err := l.th.ownSocket(fd, l.own().vh()); err != nil {
		return &TransportError{Op: "steal", Err: err}
	}
	l.fd = int32(fd)
	l.below(nil)
	if err := l.watch(l.wants()); err != nil {
		l.fd = -1
		l.below(w)
		return err
	}
	w.gone = true
	delete(l.th.adrift, l)
	l.early(early)
	return nil
}

// abandon closes a stream whose thread leaves its loop; its handler learns of it
// in the next turn.
func (w *streamWire) abandon() {
	l := w.l
	if w.gone {
		return
	}
	w.close(l)
	w.gone = true // whatever the engine still says comes from another loop
	w.noted = 0
	l.flags |= lfTxDead
	l.doom(errStreamDetach)
}
