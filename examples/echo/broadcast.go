package main

import (
	"bytes"
	"strconv"

	"anyloop/core"
)

// broadcasting makes handlers that echo, but answer the text message "B<n>", n in
// decimal, with a text message of n bytes 'x' to every connection that is open, the
// sender's too. The group does the sending; a peer that does not keep up is dropped
// messages within its own outbox, and delays nobody.
func broadcasting(limit int) func(*core.Conn) core.WSHandler {
	all := core.NewGroup(core.GroupLimits{})
	return func(c *core.Conn) core.WSHandler {
		return &member{out: core.NewOutbox(c, core.PauseSource), all: all, limit: limit}
	}
}

// member is one connection of all.
type member struct {
	out    *core.Outbox
	all    *core.Group
	pieces core.Assembler
	limit  int
}

func (m *member) Opened(*core.Conn, *core.Request) error { return m.all.Add(m.out) }

func (m *member) Receive(c *core.Conn, f core.Fragment) error {
	msg, done, err := m.pieces.Add(c, f)
	if err != nil || !done {
		return err
	}
	if n, ok := order(msg, m.limit); ok {
		return m.all.Send(core.Message{Data: bytes.Repeat([]byte{'x'}, n)})
	}
	return m.out.Send(msg)
}

func (m *member) Writable(_ *core.Conn, w *core.WSWriter) error { return m.out.Writable(w) }

// order reads "B<n>", n up to limit.
func order(m core.Message, limit int) (n int, ok bool) {
	if m.Binary || len(m.Data) < 2 || len(m.Data) > 12 || m.Data[0] != 'B' {
		return 0, false
	}
	u, err := strconv.ParseUint(string(m.Data[1:]), 10, 31)
	return int(u), err == nil && int(u) <= limit
}
