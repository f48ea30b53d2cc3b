package interop

import (
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

// TestWeClose: the side that is ours closes, with a code and a text that the peer's
// program gets, and whose answer ours gets.
func TestWeClose(t *testing.T) {
	const said = "closed 4321 genug – ça suffit"
	for _, p := range peers {
		t.Run(p.name+"/server", func(t *testing.T) {
			argv, env := p.argv(t)
			h := new(try.Ended)
			eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "end", WS: try.Ends(h, core.OnMessage(try.Closing))}}})
			tp := tap.New(t, eng.VHost("default").Addr())
			argv[1] = strings.Replace(argv[1], "drive", "told", 1)
			if got := output(t, "", env, append(argv, "client", "ws://"+tp.Addr()+"/")...); strings.TrimSpace(got) != said {
				t.Errorf("it says %q", got)
			}
			try.WeClosed(t, h, tp.Next(t), tap.Server)
		})
		t.Run(p.name+"/client", func(t *testing.T) {
			argv, env := p.argv(t)
			argv[1] = strings.Replace(argv[1], "drive", "told", 1)
			port, wait := serving(t, env, said+"\n", append(argv, "server")...)
			tp := tap.New(t, "127.0.0.1:"+port)
			h := new(try.Ended)
			eng := try.Engine(t, core.VHost{Protocols: []core.Protocol{{Name: "end", WS: try.Ends(h, core.OnMessage(try.Closing))}}})
			try.Connect(t, eng, core.Dial{URL: "ws://" + tp.Addr() + "/"})
			wait()
			try.WeClosed(t, h, tp.Next(t), tap.Client)
		})
	}
}
