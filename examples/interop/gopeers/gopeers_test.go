// Package gopeers tests core against the WebSocket libraries that Go programs use:
// gorilla/websocket, coder/websocket and gobwas/ws, each in both roles, with and
// without permessage-deflate. What was agreed upon, what was compressed and what
// came back is read off the wire between the two (see package tap).
package gopeers

import (
	"errors"
	"net"
	"net/http"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

// bound is a limit on a hang, far above what anything takes.
const bound = try.Bound

// lib is one library in both roles. drive sends all messages and compares what
// comes back, then closes with goodbye. takeover is what it is asked for, if
// deflate is on; many have none.
type lib struct {
	name   string
	client func(t *testing.T, url string, m mode) error
	server func(t *testing.T, m mode) http.Handler
	// answer is what our server answers it, and what it answers our client.
	toIt, toUs map[string]string
	noSplit    bool // it makes frames as it likes
	noPing     bool // it sends none in these tests
}

const goodbye = "goodbye"

type mode struct {
	name     string
	deflate  *core.Deflate
	takeover bool
}

var modes = []mode{
	{"off", nil, false},
	{"no takeover", &core.Deflate{}, false},
	{"takeover 15", &core.Deflate{Takeover: true, WindowBits: 15, PeerWindowBits: 15}, true},
	{"takeover 9", &core.Deflate{Takeover: true, WindowBits: 9, PeerWindowBits: 9}, true},
}

var libs = []lib{gorilla, coder, gobwas}

var table tap.Table

func echo(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }

// TestOurServer: the libraries' clients talk to an echo of ours.
func TestOurServer(t *testing.T) {
	for _, l := range libs {
		for _, m := range modes {
			t.Run(l.name+"/"+m.name, func(t *testing.T) {
				eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", Deflate: m.deflate,
					Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(echo)}}})
				p := tap.New(t, eng.VHost("default").Addr())
				if err := l.client(t, "ws://"+p.Addr()+"/", m); err != nil {
					t.Fatal(err)
				}
				r := p.Next(t)
				table.Add(l.name, tap.Server, m.name, r)
				r.Check(t, tap.Want{Answer: l.toIt[m.name], Ours: tap.Server, NoSplit: l.noSplit, NoPing: l.noPing, Close: tap.Close{Code: 1000, Text: goodbye}})
			})
		}
	}
	table.Print(t)
}

// TestOurClient: an echo of ours connects to the libraries' servers, which drive.
func TestOurClient(t *testing.T) {
	for _, l := range libs {
		for _, m := range modes {
			t.Run(l.name+"/"+m.name, func(t *testing.T) {
				ln, err := net.Listen("tcp", "127.0.0.1:0")
				if err != nil {
					t.Fatal(err)
				}
				srv := &http.Server{Handler: l.server(t, m)}
				go srv.Serve(ln)
				defer srv.Close()
				p := tap.New(t, ln.Addr().String())
				h := new(try.Ended)
				eng := try.Engine(t, core.VHost{Deflate: m.deflate,
					Protocols: []core.Protocol{{Name: "echo", WS: try.Ends(h, core.OnMessage(echo))}}})
				try.Connect(t, eng, core.Dial{URL: "ws://" + p.Addr() + "/"})
				var ce *core.CloseError
				if err := h.Wait(t); !errors.As(err, &ce) || !ce.Remote || ce.Code != 1000 || ce.Text != goodbye {
					t.Errorf("closed with %v", err)
				}
				r := p.Next(t)
				table.Add(l.name, tap.Client, m.name, r)
				r.Check(t, tap.Want{Answer: l.toUs[m.name], Ours: tap.Client, ServerDrives: true, NoSplit: l.noSplit, NoPing: l.noPing, Close: tap.Close{Code: 1000, Text: goodbye}})
			})
		}
	}
	table.Print(t)
}
