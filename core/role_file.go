package core

import (
	"errors"
	"fmt"
	"io"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// FileHandler is what a handler of an adopted descriptor must have: a FIFO, a
// serial line, a pipe, anything that can be polled. The optional rest is
// TimerHandler and ClosedHandler. All methods run on the conn's thread, never
// two at a time.
type FileHandler interface {
	// Readable is called when there is something to read: read it with f, at
	// least once, or pause the conn.
	Readable(c *Conn, f *File) error
	// Writable is called once per request, when f can be written to.
	Writable(c *Conn, f *File) error
}

// File reads and writes an adopted descriptor without blocking. It is valid in
// the callback it was given to. Loop thread only.
type File struct {
	c    *Conn
	live bool
}

// Read reads what is there. io.EOF at the end of the stream, after which the conn
// closes; 0 and no error if there is nothing.
func (f *File) Read(p []byte) (int, error) {
	if !f.live {
		return 0, ErrWriterExpired
	}
	l := f.c.link
	n, err := l.wireRead(p)
	switch {
	case err != nil && again(err):
		return 0, nil
	case err != nil:
		return 0, &TransportError{Op: "read", Err: err}
	case n == 0 && len(p) > 0:
		l.flags |= lfEOF
		return 0, io.EOF
	}
	l.th.stats.BytesIn += uint64(n)
	return n, nil
}

// Write writes what fits and returns how much that was; ask for the next
// Writable for the rest. p is the caller's again when it returns. Errors:
// ErrWriterExpired, or a *TransportError.
func (f *File) Write(p []byte) (int, error) {
	if !f.live {
		return 0, ErrWriterExpired
	}
	l := f.c.link
	n, err := l.wireWrite(p, nil)
	l.th.stats.BytesOut += uint64(max(n, 0))
	if err != nil && !again(err) {
		return n, &TransportError{Op: "write", Err: err}
	}
	if n < len(p) {
		l.role.(*fileRole).full = true
	}
	return max(n, 0), nil
}

// fileRole is an adopted descriptor: the handler reads it itself.
type fileRole struct {
	baseRole
	h    FileHandler
	f    File
	full bool // the last write was short: ask the loop for Out
}

func (*fileRole) name() string        { return "file" }
func (r *fileRole) handler(*Conn) any { return r.h }

// AdoptFile gives a descriptor to this thread: it becomes non-blocking, is
// watched by the loop, served by the File handler of the named protocol on vh,
// and closed when the conn ends. An *os.File or net.Conn that has the same descriptor
// would close it as well, also when it is garbage: hand over a duplicate (unix.Dup).
// Regular files cannot be polled on most systems: the loop refuses them. Errors:
// ErrNoVHost, ErrOtherEngine, ErrUnknownProtocol, ErrStopped, ErrRemoved, or what the
// system or the loop said; the descriptor is then the caller's as before. Loop thread
// only.
func (th *Thread) AdoptFile(fd int, vh *VirtualHost, protocol string) (*Conn, error) {
	th.checkVerb("AdoptFile")
	if err := th.eng.owns(vh); err != nil {
		return nil, err
	}
	b := vh.byName[protocol]
	if b == nil || b.proto.File == nil {
		return nil, fmt.Errorf("%w: %q for a file", ErrUnknownProtocol, protocol)
	}
	switch {
	case th.end.phase != endNot:
		return nil, ErrStopped
	case vh.leaving.Load():
		return nil, ErrRemoved
	case !th.eng.started.Load(): // an Init that runs may be who calls
		th.start() // the handler is made here: Init comes before it
	}
	if usable(b) == nil {
		return nil, fmt.Errorf("%w: %q is not initialised", ErrUnknownProtocol, protocol)
	}
	if th.kernel == nil {
		if err := sys.Adopt(fd); err != nil {
			return nil, fmt.Errorf("core: adopting descriptor %d: %w", fd, err)
		}
	}
	r := &fileRole{}
	l := th.newLink(fd, r)
	l.flags |= lfReady
	c := l.own()
	r.f.c = c
	c.setVHost(vh)
	c.bind(b)
	if err := l.watch(loop.In); err != nil {
		c.leave()
		c.state = stDead
		l.flags |= lfKeepFD | lfDead
		th.closeLink(l)
		return nil, err
	}
	r.h = b.proto.File(c)
	c.introduce(r.h)
	c.flags |= cfOpened
	return c, nil
}

func (r *fileRole) ready(l *link) {
	c := l.own()
	if c.state != stOpen {
		return
	}
	r.f.live = true
	c.calling("Readable")
	err := r.h.Readable(c, &r.f)
	c.called()
	r.f.live = false
	switch {
	case l.is(lfEOF) && (err == nil || errors.Is(err, io.EOF)):
		l.doom(io.EOF)
	default:
		if c.after(err) {
			c.offer()
		}
	}
}

func (r *fileRole) writable(c *Conn) {
	r.f.live, r.full = true, false
	c.calling("Writable")
	err := r.h.Writable(c, &r.f)
	c.called()
	r.f.live = false
	if c.after(err) && r.full {
		c.link.flags |= lfWantOut
	}
}

// allowance is 0 until the descriptor is reported writable again.
func (r *fileRole) allowance(c *Conn) int {
	if c.link.is(lfWantOut) {
		return 0
	}
	return maxAllowance
}

func (r *fileRole) eof(l *link) { l.doom(io.EOF) }
