package core

import (
	"strings"
	"testing"
)

// brokenRole panics where no callback runs.
type brokenRole struct{ *wsRole }

func (brokenRole) input(*link, []byte) int { panic("a mistake of ours") }

// TestPanicOutsideOfCallbacksClosesTheConn: the log said so, but it went on, with the
// next panic in the next turn, for ever.
func TestPanicOutsideOfCallbacksClosesTheConn(t *testing.T) {
	w := newStreamWorld(t)
	w.upgrade()
	l := w.conn.link
	l.role = brokenRole{l.role.(*wsRole)}
	w.feed(textFrame("echo"))
	if w.ended != 1 || w.th.conns != 0 || w.th.stats.Panics != 1 {
		t.Errorf("ended %d times, %d connections, %d panics", w.ended, w.th.conns, w.th.stats.Panics)
	}
	if w.cause == nil || !strings.Contains(w.cause.Error(), "a mistake of ours") {
		t.Errorf("cause %v", w.cause)
	}
}
