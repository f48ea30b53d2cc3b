package main

import (
	"strconv"
	"time"

	"anyloop/core"
)

// incrementTick is the time between two numbers.
const incrementTick = 50 * time.Millisecond

// increment sends a number that grows, for each connection its own: libwebsockets'
// dumb-increment-protocol. "reset\n" starts it anew, "closeme\n" closes with
// code 1001 and text "seeya".
type increment struct {
	n   uint64
	buf []byte
	cmd []byte
}

func newIncrement(*core.Conn) core.WSHandler { return &increment{} }

func (h *increment) Opened(c *core.Conn, _ *core.Request) error { return c.SetTimer(incrementTick) }

func (h *increment) Timer(c *core.Conn) error {
	if err := c.SetTimer(incrementTick); err != nil {
		return err
	}
	return c.RequestWritable()
}

func (h *increment) Writable(c *core.Conn, w *core.WSWriter) error {
	h.buf = strconv.AppendUint(h.buf[:0], h.n, 10)
	h.n++
	return w.Text(h.buf)
}

func (h *increment) Receive(c *core.Conn, f core.Fragment) error {
	if len(h.cmd)+len(f.Data) > 64 {
		return &core.CloseError{Code: 1009, Text: "no such command"}
	}
	h.cmd = append(h.cmd, f.Data...)
	if !f.Final {
		return nil
	}
	cmd := string(h.cmd)
	h.cmd = h.cmd[:0]
	switch cmd {
	case "reset\n", "reset":
		h.n = 0
		return c.RequestWritable()
	case "closeme\n", "closeme":
		return &core.CloseError{Code: 1001, Text: "seeya"}
	}
	return nil
}
