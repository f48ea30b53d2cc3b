package interop

import (
	"errors"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

// enough is how we close, once anything has come.
var enough = tap.Close{Code: 4321, Text: "genug – ça suffit"}

func closing(c *core.Conn, _ core.Message, _ *core.Outbox) error {
	return c.Close(enough.Code, enough.Text)
}

// TestWeClose: the side that is ours closes, with a code and a text that the peer's
// program gets, and whose answer ours gets.
func TestWeClose(t *testing.T) {
	const said = "closed 4321 genug – ça suffit"
	for _, p := range peers {
		t.Run(p.name+"/server", func(t *testing.T) {
			argv, env := p.argv(t)
			h := new(try.Ended)
			eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "end", WS: try.Ends(h, core.OnMessage(closing))}}})
			tp := tap.New(t, eng.VHost("default").Addr())
			argv[1] = strings.Replace(argv[1], "drive", "told", 1)
			if got := output(t, "", env, append(argv, "client", "ws://"+tp.Addr()+"/")...); strings.TrimSpace(got) != said {
				t.Errorf("it says %q", got)
			}
			weClosed(t, h, tp.Next(t), tap.Server)
		})
		t.Run(p.name+"/client", func(t *testing.T) {
			argv, env := p.argv(t)
			argv[1] = strings.Replace(argv[1], "drive", "told", 1)
			port, wait := serving(t, env, said+"\n", append(argv, "server")...)
			tp := tap.New(t, "127.0.0.1:"+port)
			h := new(try.Ended)
			eng := try.Engine(t, core.VHost{Protocols: []core.Protocol{{Name: "end", WS: try.Ends(h, core.OnMessage(closing))}}})
			try.Connect(t, eng, core.Dial{URL: "ws://" + tp.Addr() + "/"})
			wait()
			weClosed(t, h, tp.Next(t), tap.Client)
		})
	}
}

// weClosed checks a conversation of one message that we closed: what our handler
// was told, and both Close frames.
func weClosed(t *testing.T, h *try.Ended, r *tap.Record, ours tap.Role) {
	t.Helper()
	var ce *core.CloseError
	if err := h.Wait(t); !errors.As(err, &ce) || ce.Remote || ce.Code != enough.Code || ce.Text != enough.Text {
		t.Errorf("our handler was told %v", err)
	}
	we, they := &r.Up, &r.Down
	if ours == tap.Server {
		we, they = they, we
	}
	if we.Close == nil || *we.Close != enough || they.Close == nil || they.Close.Code != enough.Code || len(they.Messages) != 1 {
		t.Errorf("on the wire:\n%s", r)
	}
}
