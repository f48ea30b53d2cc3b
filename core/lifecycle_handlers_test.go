package core_test

import (
	"fmt"
	"io"
	"time"

	"anyloop/core"
)

// being is one handler value, of any kind, and what it has lived through. Which
// callbacks a conn has is up to its kind; what must hold of them is the same.
type being struct {
	s    *aLife
	kind string
	c    *core.Conn
	on   *place

	opened, closed, failed int
	left                   int // bytes to be written
}

// place is one vhost.
type place struct {
	s        *aLife
	addr     string
	vh       *core.VirtualHost
	inits    int
	destroys int
	alive    int // beings
	removed  bool
	alone    bool // nobody else was on its address when it went, or came since
	disabled bool // its Init fails
	adding   bool // AddVHost has not returned, and may fail
}

func (p *place) protocols() []core.Protocol {
	initialise := func(vh *core.VirtualHost) error {
		p.vh = vh
		if p.inits++; p.inits != 1 || p.destroys != 0 {
			p.s.errorf("%s: Init number %d, after %d Destroy", vh.Name(), p.inits, p.destroys)
		}
		if p.disabled {
			return io.ErrUnexpectedEOF
		}
		p.s.now(vh.Engine().Thread(0), "Init", 8)
		return nil
	}
	too := func(*core.VirtualHost) error {
		if p.disabled {
			return io.ErrUnexpectedEOF
		}
		return nil
	}
	return []core.Protocol{
		{Name: "ws", AnyName: true, Init: initialise, Destroy: p.destroyed, HTTP: core.HTTPFunc(hello),
			WS:            func(c *core.Conn) core.WSHandler { return wsBeing{p.born("ws", c)} },
			WaitCancelled: func(th *core.Thread, _ *core.VirtualHost) { p.s.now(th, "WaitCancelled", 8) }},
		{Name: "raw", Init: too, Raw: func(c *core.Conn) core.RawHandler { return rawBeing{p.born("raw", c)} }},
		{Name: "file", Init: too, File: func(c *core.Conn) core.FileHandler {
			b := p.born("file", c)
			b.opened++
			return fileBeing{b}
		}},
	}
}

func (p *place) destroyed(vh *core.VirtualHost) {
	s := p.s
	s.note("Destroy of %s", vh.Name())
	if p.destroys++; p.destroys != 1 || p.inits != 1 || p.disabled {
		s.errorf("%s: Destroy number %d, after %d Init", vh.Name(), p.destroys, p.inits)
	}
	if p.alive != 0 {
		s.errorf("%s: Destroy before %d Closed", vh.Name(), p.alive)
	}
	if !p.removed && !p.adding && !s.stopping {
		s.errorf("%s: Destroy without Remove", vh.Name())
	}
	if p.alone || s.stopping && !p.removed {
		if s.listens(p.addr) {
			s.errorf("%s: Destroy while %s is listened on", vh.Name(), p.addr)
		}
	}
	s.now(vh.Engine().Thread(0), "Destroy", 8)
}

func (p *place) born(kind string, c *core.Conn) *being {
	s := p.s
	b := &being{s: s, kind: kind, c: c, on: p}
	s.beings = append(s.beings, b)
	s.of[c.Thread().Index()] = append(s.of[c.Thread().Index()], b)
	p.alive++
	if p.inits != 1 || p.destroys != 0 || p.disabled {
		s.errorf("%s: a handler is made after %d Init and %d Destroy", p.vh.Name(), p.inits, p.destroys)
	}
	s.now(c.Thread(), kind+" made", 12)
	return b
}

func (b *being) String() string {
	return fmt.Sprintf("%s conn %d (%d opened, %d failed, %d closed)", b.kind, b.c.ID(), b.opened, b.failed, b.closed)
}

// in checks that a callback may come, and does something.
func (b *being) in(c *core.Conn, what string) error {
	s := b.s
	if c != b.c || b.opened != 1 || b.failed+b.closed != 0 || b.on.destroys != 0 {
		s.errorf("%s: %s", b, what)
	}
	s.now(c.Thread(), b.kind+" "+what, 5)
	switch s.r.IntN(40) {
	case 0:
		return core.ErrDrop
	case 1:
		return &core.CloseError{Code: 1008}
	case 2:
		return io.ErrUnexpectedEOF
	}
	return nil
}

func (b *being) open(c *core.Conn, what string) error {
	b.opened++
	return b.in(c, what)
}

func (b *being) Timer(c *core.Conn) error { return b.in(c, "Timer") }

func (b *being) Closed(c *core.Conn, err error) {
	if b.opened != 1 || b.failed+b.closed != 0 {
		b.s.errorf("%s: Closed with %v", b, err)
	}
	b.s.now(c.Thread(), b.kind+" Closed", 5)
	b.closed++
	b.on.alive--
}

type wsBeing struct{ *being }

func (b wsBeing) Opened(c *core.Conn, _ *core.Request) error     { return b.open(c, "Opened") }
func (b wsBeing) Connected(c *core.Conn, _ *core.Response) error { return b.open(c, "Connected") }
func (b wsBeing) ConnectFailed(c *core.Conn, err error) {
	if b.opened+b.failed+b.closed != 0 {
		b.s.errorf("%s: ConnectFailed with %v", b, err)
	}
	b.s.now(c.Thread(), "ConnectFailed", 5)
	b.failed++
	b.on.alive--
}

func (b wsBeing) Receive(c *core.Conn, f core.Fragment) error {
	if b.s.r.IntN(2) == 0 {
		c.RequestWritable()
	}
	return b.in(c, "Receive")
}

func (b wsBeing) Writable(c *core.Conn, w *core.WSWriter) error {
	if err := w.Text(letters[:b.s.r.IntN(len(letters))]); err != nil {
		b.s.errorf("%s: Text: %v", b, err)
	}
	return b.in(c, "Writable")
}

func (b wsBeing) PeerClose(c *core.Conn, _ int, _ string) error { return b.in(c, "PeerClose") }

var letters = make([]byte, 3000)

type rawBeing struct{ *being }

func (b rawBeing) Opened(c *core.Conn) error { return b.open(c, "Opened") }
func (b rawBeing) Receive(c *core.Conn, p []byte) error {
	if b.left += len(p); b.s.r.IntN(2) == 0 {
		c.RequestWritable()
	}
	return b.in(c, "Receive")
}

func (b rawBeing) Writable(c *core.Conn, w *core.RawWriter) error {
	n, err := w.Write(make([]byte, b.left))
	if b.left -= n; err != nil {
		return err
	}
	if b.s.r.IntN(8) == 0 {
		w.CloseWrite()
	}
	return b.in(c, "Writable")
}

func (b rawBeing) PeerEnd(c *core.Conn) error {
	if b.s.r.IntN(2) == 0 {
		return io.EOF
	}
	b.s.eng.Thread(c.Thread().Index()).AfterFunc(time.Second, func() { c.Close(1000, "") })
	return b.in(c, "PeerEnd")
}

type fileBeing struct{ *being }

func (b fileBeing) Readable(c *core.Conn, f *core.File) error {
	var p [100]byte
	n, err := f.Read(p[:])
	if err != nil {
		return err
	}
	if b.left += n; b.s.r.IntN(2) == 0 {
		c.RequestWritable()
	}
	return b.in(c, "Readable")
}

func (b fileBeing) Writable(c *core.Conn, f *core.File) error {
	n, err := f.Write(make([]byte, b.left))
	if b.left -= n; err != nil {
		return err
	}
	return b.in(c, "Writable")
}
