package core

import (
	"syscall"

	"anyloop/core/loop"
)

// wire is what lies under a link: a socket or other descriptor of the operating
// system, a simulator's, or a connection whose socket another engine owns.
// Nothing above it makes system calls. A link without one (nil) is a descriptor
// of the operating system, which keeps that path free of indirection.
type wire interface {
	// read fills p with what is there. (0, nil) is the end of the stream,
	// EAGAIN means nothing yet. A wire that is fed by its engine (link.feed)
	// always answers EAGAIN.
	read(l *link, p []byte) (int, error)
	// write takes a prefix of head followed by tail. Taking less than all
	// means: link.drained will be called when there is room again (for a
	// descriptor: when it is writable).
	write(l *link, head, tail []byte) (int, error)
	// peek reports whether bytes wait: >0, 0 at the end of the stream, EAGAIN.
	peek(l *link) (int, error)
	sockError(l *link) error
	// hungUp asks the system itself whether both directions are over.
	hungUp(l *link) bool
	closeWrite(l *link) error
	close(l *link) error
}

// onDescriptor reports whether w is a descriptor, of the operating system or of a
// simulated one: what is written to it is not looked at later.
func onDescriptor(w wire) bool {
	if w == nil {
		return true
	}
	_, sim := w.(kernelWire)
	return sim
}

// kernelWire is the descriptors of a simulated kernel.
type kernelWire struct{ k loop.Kernel }

func (w kernelWire) read(l *link, p []byte) (int, error) {
	l.th.io.Reads++
	n, err := w.k.Read(int(l.fd), p)
	return n, err
}

func (w kernelWire) write(l *link, head, tail []byte) (int, error) {
	if len(head) > 0 && len(tail) > 0 {
		l.th.io.Writevs++
	} else {
		l.th.io.Writes++
	}
	return w.k.Write(int(l.fd), head, tail)
}

func (w kernelWire) peek(l *link) (int, error) { return w.k.Peek(int(l.fd)) }
func (w kernelWire) sockError(l *link) error   { return w.k.SockError(int(l.fd)) }
func (w kernelWire) hungUp(l *link) bool       { return w.k.HungUp(int(l.fd)) }
func (w kernelWire) closeWrite(l *link) error  { return w.k.CloseWrite(int(l.fd)) }
func (w kernelWire) close(l *link) error       { return w.k.Close(int(l.fd)) }

// sysWire is a descriptor of the operating system, for wires that lie on one. A
// link that lies on one itself has no wire.
type sysWire struct{}

func (sysWire) read(l *link, p []byte) (int, error)           { return l.sysRead(p) }
func (sysWire) write(l *link, head, tail []byte) (int, error) { return l.sysWrite(head, tail) }
func (sysWire) peek(l *link) (int, error)                     { return l.sysPeek() }
func (sysWire) sockError(l *link) error                       { return l.sysError() }
func (sysWire) hungUp(l *link) bool                           { return l.th.io.HungUp(int(l.fd)) }
func (sysWire) closeWrite(l *link) error                      { return l.th.io.CloseWrite(int(l.fd)) }
func (sysWire) close(l *link) error                           { return l.th.io.Close(int(l.fd)) }

func (l *link) wireRead(p []byte) (int, error) {
	if w := l.wire(); w != nil {
		return w.read(l, p)
	}
	return l.sysRead(p)
}

func (l *link) sysRead(p []byte) (int, error) {
	n, e := l.th.io.Read(int(l.fd), p)
	if e != 0 {
		return 0, e
	}
	return n, nil
}

func (l *link) wireWrite(head, tail []byte) (int, error) {
	if w := l.wire(); w != nil {
		return w.write(l, head, tail)
	}
	return l.sysWrite(head, tail)
}

func (l *link) sysWrite(head, tail []byte) (int, error) {
	n, e := l.th.io.Write(int(l.fd), head, tail)
	if e != 0 {
		return n, e
	}
	return n, nil
}

func (l *link) wirePeek() (int, error) {
	if w := l.wire(); w != nil {
		return w.peek(l)
	}
	return l.sysPeek()
}

func (l *link) sysPeek() (int, error) {
	n, e := l.th.io.Peek(int(l.fd))
	if e != 0 {
		return 0, e
	}
	return n, nil
}

func (l *link) wireError() error {
	if w := l.wire(); w != nil {
		return w.sockError(l)
	}
	return l.sysError()
}

func (l *link) sysError() error {
	if e := l.th.io.SockError(int(l.fd)); e != 0 {
		return e
	}
	return nil
}

func (l *link) wireHungUp() bool {
	if w := l.wire(); w != nil {
		return w.hungUp(l)
	}
	return l.th.io.HungUp(int(l.fd))
}

func (l *link) wireCloseWrite() error {
	if w := l.wire(); w != nil {
		return w.closeWrite(l)
	}
	return l.th.io.CloseWrite(int(l.fd))
}

func (l *link) wireClose() error {
	if w := l.wire(); w != nil {
		return w.close(l)
	}
	return l.th.io.Close(int(l.fd))
}

// again reports whether err only says "not now".
func again(err error) bool {
	return err == syscall.EAGAIN || err == syscall.EINTR
}
