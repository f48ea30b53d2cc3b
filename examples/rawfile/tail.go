package main

import (
	"bytes"
	"errors"
	"io"
	"time"

	"anyloop/core"
)

// tail reads the descriptor and spreads its lines.
type tail struct {
	fd    int
	lag   time.Duration
	file  *core.Conn
	part  []byte // an incomplete line
	pages map[*page]struct{}
}

const (
	readSize = 4096
	maxLine  = 4096     // a longer one is cut
	highMark = 64 << 10 // bytes that wait for one page, at which reading pauses
)

// adopt gives the descriptor to the engine, when the protocol is ready.
func (t *tail) adopt(vh *core.VirtualHost) error {
	c, err := vh.Engine().Thread(0).AdoptFile(t.fd, vh, "tail")
	t.file = c
	return err
}

// Readable reads what is there, once: the loop says it again if there is more.
func (t *tail) Readable(_ *core.Conn, f *core.File) error {
	var buf [readSize]byte
	n, err := f.Read(buf[:])
	if err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	t.part = append(t.part, buf[:n]...)
	for {
		i := bytes.IndexByte(t.part, '\n')
		if i < 0 && len(t.part) < maxLine {
			break
		}
		if i < 0 {
			i = maxLine - 1
		}
		t.spread(t.part[:i+1])
		t.part = t.part[i+1:]
	}
	t.flow()
	return err
}

func (t *tail) Writable(*core.Conn, *core.File) error { return nil }

// spread queues a line for every page; the mark keeps it from being much.
func (t *tail) spread(line []byte) {
	for p := range t.pages {
		if err := p.out.Send(core.Message{Data: bytes.TrimRight(line, "\r\n")}); err != nil {
			p.c.Drop()
		}
	}
}

// flow pauses the reading while a page has too much waiting, and gives that page
// the lag to catch up.
func (t *tail) flow() {
	full := false
	for p := range t.pages {
		over := p.out.Pending() > highMark
		if over && !p.late {
			p.c.SetTimer(t.lag)
		}
		if !over && p.late {
			p.c.SetTimer(-1)
		}
		p.late = over
		full = full || over
	}
	if full {
		t.file.Pause()
	} else {
		t.file.Resume()
	}
}

// page is one WebSocket.
type page struct {
	t    *tail
	c    *core.Conn
	out  *core.Outbox
	late bool
}

func (t *tail) join(c *core.Conn) core.WSHandler {
	p := &page{t: t, c: c, out: core.NewOutbox(c, core.Refuse)}
	t.pages[p] = struct{}{}
	return p
}

func (p *page) Receive(*core.Conn, core.Fragment) error { return nil }

func (p *page) Writable(_ *core.Conn, w *core.WSWriter) error {
	err := p.out.Writable(w)
	if p.late {
		p.t.flow()
	}
	return err
}

// Timer: it has held everybody up for the lag.
func (p *page) Timer(*core.Conn) error { return core.ErrDrop }

func (p *page) Closed(*core.Conn, error) {
	delete(p.t.pages, p)
	p.t.flow()
}
