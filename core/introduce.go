package core

import (
	"context"
	"fmt"
	"log/slog"
)

// introduce lists, at level debug, which optional methods a new handler has, so
// that a misspelt one is seen to be missing.
func (c *Conn) introduce(h any) {
	log := c.vh().log
	if !log.Enabled(context.Background(), slog.LevelDebug) {
		return
	}
	var has []string
	note := func(ok bool, name string) {
		if ok {
			has = append(has, name)
		}
	}
	_, ok := h.(WSOpener)
	_, raw := h.(RawOpener)
	note(ok || raw, "Opened")
	_, ok = h.(WSPonger)
	note(ok, "Pong")
	_, ok = h.(PeerCloser)
	note(ok, "PeerClose")
	_, ok = h.(PeerEnder)
	note(ok, "PeerEnd")
	_, ok = h.(BodyHandler)
	note(ok, "Body")
	_, ok = h.(TimerHandler)
	note(ok, "Timer")
	_, ok = h.(ClosedHandler)
	note(ok, "Closed")
	log.Debug("handler made", "conn", c.String(), "type", fmt.Sprintf("%T", h), "has", has)
}
