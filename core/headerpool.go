package core

import "anyloop/core/header"

// headerPool bounds the header tables of a thread, and with them what slow
// senders of headers can cost. A conn that finds none free waits, oldest first,
// with its input paused.
type headerPool struct {
	max   int
	out   int // in use
	free  []*header.Table
	queue []*Conn // waiting, from head
	head  int
}

// spareTables is how many idle tables are kept.
const spareTables = 64

func (p *headerPool) init(n int) { p.max = n }

// get returns a table, or nil after putting c on the waiting list.
func (p *headerPool) get(c *Conn, lim *Limits) *header.Table {
	if over(p.out+1, p.max) {
		p.queue = append(p.queue, c)
		c.setPause(pauseHeader, true)
		c.link.th.stats.HeaderWaits++
		return nil
	}
	p.out++
	var t *header.Table
	if n := len(p.free); n > 0 {
		t, p.free = p.free[n-1], p.free[:n-1]
	} else {
		t = &header.Table{}
	}
	t.Init(lim.HeaderBytes, lim.HeaderFields)
	return t
}

// put takes a table back and lets the oldest waiting conn go on.
func (p *headerPool) put(t *header.Table) {
	if t == nil {
		return
	}
	p.out--
	t.Reset()
	if len(p.free) < spareTables {
		p.free = append(p.free, t)
	}
	for p.head < len(p.queue) {
		c := p.queue[p.head]
		p.queue[p.head] = nil
		p.head++
		if p.head == len(p.queue) {
			p.queue, p.head = p.queue[:0], 0
		}
		if c != nil && c.pause&pauseHeader != 0 && c.state < stClosing && !c.link.is(lfDead) {
			c.setPause(pauseHeader, false)
			return
		}
	}
}
