package try

import (
	"errors"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/tap"
)

// Enough is how Closing closes.
var Enough = tap.Close{Code: 4321, Text: "genug – ça suffit"}

// Closing is for core.OnMessage: it closes once anything has come.
func Closing(c *core.Conn, _ core.Message, _ *core.Outbox) error {
	return c.Close(Enough.Code, Enough.Text)
}

// WeClosed checks a conversation of one message that Closing has ended: what our
// handler was told, and both Close frames.
func WeClosed(t testing.TB, h *Ended, r *tap.Record, ours tap.Role) {
	t.Helper()
	var ce *core.CloseError
	if err := h.Wait(t); !errors.As(err, &ce) || ce.Remote || ce.Code != Enough.Code || ce.Text != Enough.Text {
		t.Errorf("our handler was told %v", err)
	}
	we, they := &r.Up, &r.Down
	if ours == tap.Server {
		we, they = they, we
	}
	if we.Close == nil || *we.Close != Enough || they.Close == nil || they.Close.Code != Enough.Code || len(they.Messages) != 1 {
		t.Errorf("on the wire:\n%s", r)
	}
}
