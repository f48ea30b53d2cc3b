// Package mirror is a shared drawing board as a WebSocket protocol: what one
// member sends, all members of the same board get, the sender too. It shows how
// to share messages with flat memory: a board is a ring of 32 messages in which
// every member has its own place. When the ring is nearly full because somebody
// does not keep up, everybody's input is paused, so the senders feel it; whoever
// holds the ring up for too long is dropped, and the rest flows on.
//
// It speaks libwebsockets' lws-mirror-protocol.
package mirror

import (
	"fmt"
	"sync"
	"time"

	"anyloop/core"
)

const (
	ringSize   = 32
	lowRoom    = 4                // free slots at which input pauses
	highRoom   = ringSize * 2 / 3 // free slots above which it flows again
	maxMessage = 4096             // bytes
	maxBoards  = 3
	maxName    = 29
)

// Lag is how long a member may hold the ring up.
const Lag = 3 * time.Second

// Boards are the boards of one vhost, by the name in "?mirror=name". Members may
// live on several service threads: the lock holds the rings together, and a
// member of another thread is reached by a post.
type Boards struct {
	mu     sync.Mutex
	byName map[string]*board
}

// Protocol returns the protocol with a set of boards of its own.
func Protocol(name string) core.Protocol {
	b := &Boards{byName: map[string]*board{}}
	return core.Protocol{
		Name:     name,
		FilterWS: b.filter,
		WS:       func(c *core.Conn) core.WSHandler { return &member{boards: b, c: c} },
	}
}

func boardName(r *core.Request) string {
	n, _ := r.Arg("mirror")
	return n
}

// filter refuses names that are too long and boards that are too many.
func (b *Boards) filter(_ *core.Conn, r *core.Request) error {
	n := boardName(r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(n) > maxName {
		return &core.HTTPError{Status: 400, Text: "mirror name too long"}
	}
	if b.byName[n] == nil && len(b.byName) >= maxBoards {
		return &core.HTTPError{Status: 503, Text: fmt.Sprintf("at most %d mirrors", maxBoards)}
	}
	return nil
}

// board is one ring and its members. Messages are numbered from 0 for ever;
// number n lies in slot n mod ringSize.
type board struct {
	name    string
	slots   [ringSize]core.Message
	head    uint64 // number of the next message
	members map[*member]struct{}
	paused  bool
}

// oldest returns the number of the oldest message that somebody still needs.
func (b *board) oldest() uint64 {
	o := b.head
	for m := range b.members {
		o = min(o, m.next)
	}
	return o
}

func (b *board) room() int { return ringSize - int(b.head-b.oldest()) }

// on runs a verb of m's conn on its own thread.
func (m *member) on(here *core.Thread, verb func(c *core.Conn)) {
	if m.c.Thread() == here {
		verb(m.c)
		return
	}
	m.c.Post(verb) // fails only when the engine is at its end
}

func ask(c *core.Conn) { c.RequestWritable() }

// put adds a message and asks every member for its writer.
func (b *board) put(here *core.Thread, msg core.Message) {
	slot := &b.slots[b.head%ringSize]
	slot.Data = append(slot.Data[:0], msg.Data...)
	slot.Binary = msg.Binary
	b.head++
	for m := range b.members {
		m.on(here, ask)
	}
	if b.room() < lowRoom && !b.paused {
		b.pause(here)
	}
}

// pause stops everybody's input and gives those who hold the ring up Lag to
// catch up.
func (b *board) pause(here *core.Thread) {
	b.paused = true
	o := b.oldest()
	for m := range b.members {
		m.on(here, func(c *core.Conn) { c.Pause() })
		if m.next == o {
			m.blame(here)
		}
	}
}

// blame gives m Lag to catch up.
func (m *member) blame(here *core.Thread) {
	m.lagging = true
	m.on(here, func(c *core.Conn) { c.SetTimer(Lag) })
}

// relax lets input flow again when there is room.
func (b *board) relax(here *core.Thread) {
	if !b.paused || b.room() <= highRoom {
		return
	}
	b.paused = false
	for m := range b.members {
		m.on(here, func(c *core.Conn) { c.Resume() })
		m.caughtUp(here)
	}
}

// member is one WebSocket on a board.
type member struct {
	boards  *Boards
	board   *board
	c       *core.Conn
	next    uint64 // number of the message it gets next
	buf     []byte // pieces of a message that came in several
	lagging bool
}

func (m *member) Opened(c *core.Conn, r *core.Request) error {
	n := boardName(r)
	m.boards.mu.Lock()
	defer m.boards.mu.Unlock()
	b := m.boards.byName[n]
	if b == nil {
		b = &board{name: n, members: map[*member]struct{}{}}
		m.boards.byName[n] = b
	}
	m.board, m.next = b, b.head
	b.members[m] = struct{}{}
	if b.paused {
		c.Pause()
	}
	return nil
}

func (m *member) Receive(c *core.Conn, f core.Fragment) error {
	if len(m.buf)+len(f.Data) > maxMessage {
		return &core.CloseError{Code: 1009, Text: "message over 4096 bytes"}
	}
	msg := core.Message{Data: f.Data, Binary: f.Binary}
	if !f.First || !f.Final {
		m.buf = append(m.buf, f.Data...)
		if !f.Final {
			return nil
		}
		msg.Data, m.buf = m.buf, nil
	}
	m.boards.mu.Lock()
	defer m.boards.mu.Unlock()
	m.board.put(c.Thread(), msg)
	return nil
}

func (m *member) Writable(c *core.Conn, w *core.WSWriter) error {
	m.boards.mu.Lock()
	defer m.boards.mu.Unlock()
	b := m.board
	if m.next == b.head {
		return nil
	}
	if err := w.Send(b.slots[m.next%ringSize]); err != nil {
		return err
	}
	m.next++
	if m.lagging && m.next > b.oldest() {
		m.caughtUp(c.Thread())
	}
	b.relax(c.Thread())
	if m.next != b.head {
		return c.RequestWritable()
	}
	return nil
}

// Timer: it has held the ring up for Lag.
func (m *member) Timer(c *core.Conn) error {
	m.boards.mu.Lock()
	defer m.boards.mu.Unlock()
	b := m.board
	if !m.lagging || !b.paused {
		return nil
	}
	if m.next > b.oldest() {
		m.lagging = false
		return nil
	}
	return core.ErrDrop
}

func (m *member) caughtUp(here *core.Thread) {
	if m.lagging {
		m.lagging = false
		m.on(here, func(c *core.Conn) { c.SetTimer(-1) })
	}
}

func (m *member) Closed(c *core.Conn, err error) {
	m.boards.mu.Lock()
	defer m.boards.mu.Unlock()
	b := m.board
	if b == nil {
		return
	}
	delete(b.members, m)
	if len(b.members) == 0 {
		delete(m.boards.byName, b.name)
		return
	}
	if !b.paused {
		return
	}
	// Another member may hold the ring up now.
	o := b.oldest()
	for m := range b.members {
		if m.next == o && m.next != b.head && !m.lagging {
			m.blame(c.Thread())
		}
	}
	b.relax(c.Thread())
}
