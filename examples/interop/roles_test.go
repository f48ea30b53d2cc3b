package interop

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"testing"

	"anyloop/examples/internal/tap"
)

// pairing is one way in which a program that drives meets an echo of ours.
type pairing struct {
	name           string
	ours           []string // flags of the echo
	node, python   string   // options of theirs, as JSON
	server, client [2]string
}

// The answers: what our server says to node's and to Python's client, and what
// their servers say to ours.
var pairings = []pairing{
	{name: "off", node: `false`, python: `null`},
	{name: "no takeover", ours: []string{"-deflate"},
		node:   `{"threshold": 0}`,
		python: `{"server_no_context_takeover": true, "client_no_context_takeover": true}`,
		server: [2]string{
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
		},
		client: [2]string{
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12",
		}},
	{name: "takeover 15", ours: []string{"-deflate", "-takeover", "-window", "15"},
		node:   `{"threshold": 0}`,
		python: `{"client_max_window_bits": true}`,
		server: [2]string{"permessage-deflate", "permessage-deflate"},
		client: [2]string{"permessage-deflate", "permessage-deflate"}},
	{name: "takeover 12", ours: []string{"-deflate", "-takeover"},
		node:   `{"threshold": 0}`,
		python: `{"client_max_window_bits": true}`,
		server: [2]string{
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
		},
		client: [2]string{
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
			"permessage-deflate; server_max_window_bits=12; client_max_window_bits=12",
		}},
	// Of a peer 9 is asked at least: its zlib cannot compress with 8.
	{name: "takeover 8", ours: []string{"-deflate", "-takeover", "-window", "8"},
		node:   `{"threshold": 0}`,
		python: `{"client_max_window_bits": true}`,
		server: [2]string{
			"permessage-deflate; server_max_window_bits=8; client_max_window_bits=9",
			"permessage-deflate; server_max_window_bits=8; client_max_window_bits=9",
		},
		client: [2]string{
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=8",
		}},
	{name: "theirs only", node: `{"threshold": 0}`, python: `{"client_max_window_bits": true}`},
	{name: "ours only", ours: []string{"-deflate", "-takeover"}, node: `false`, python: `null`},
	{name: "takeover 9", ours: []string{"-deflate", "-takeover", "-window", "9"},
		node:   `{"threshold": 0}`,
		python: `{"client_max_window_bits": true}`,
		server: [2]string{
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
		},
		client: [2]string{
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
			"permessage-deflate; server_max_window_bits=9; client_max_window_bits=9",
		}},
}

// peers are the programs that drive.
var peers = []struct {
	name string
	argv func(t *testing.T) (argv, env []string)
}{
	{"node ws", func(t *testing.T) ([]string, []string) {
		node, modules := nodeWS(t)
		return []string{node, "testdata/drive.js"}, []string{"NODE_PATH=" + modules}
	}},
	{"websockets", func(t *testing.T) ([]string, []string) { return []string{python(t), "testdata/drive.py"}, nil }},
}

var table tap.Table

// TestBothRoles: Node's ws and Python's websockets drive an echo of ours, as clients
// and as servers, with and without permessage-deflate; what was agreed upon and
// what was compressed is read off the wire.
func TestBothRoles(t *testing.T) {
	folder := tap.Folder(t)
	for i, p := range peers {
		for _, pr := range pairings {
			options := []string{pr.node, pr.python}[i]
			want := tap.Want{Answer: pr.server[i], Ours: tap.Server, Close: tap.Close{Code: 1000, Text: "goodbye"}}
			t.Run(p.name+"/server/"+pr.name, func(t *testing.T) {
				argv, env := p.argv(t)
				tp := tap.New(t, start(t, "echo", pr.ours...))
				out := output(t, "", env, append(argv, "client", "ws://"+tp.Addr()+"/", folder, options)...)
				if !strings.HasSuffix(out, "ok\n") {
					t.Errorf("it says %q", out)
				}
				r := tp.Next(t)
				table.Add(p.name, tap.Server, pr.name, r)
				r.Check(t, want)
			})
			t.Run(p.name+"/client/"+pr.name, func(t *testing.T) {
				argv, env := p.argv(t)
				port, wait := serving(t, env, "ok\n", append(argv, "server", folder, options)...)
				tp := tap.New(t, "127.0.0.1:"+port)
				out := output(t, "", nil, append([]string{binary(t, "echoclient"), "-url", "ws://" + tp.Addr() + "/"}, pr.ours...)...)
				if !strings.Contains(out, `closed by the peer with code 1000 "goodbye"`) {
					t.Errorf("echoclient says %q", out)
				}
				wait()
				r := tp.Next(t)
				table.Add(p.name, tap.Client, pr.name, r)
				want.Answer, want.Ours, want.ServerDrives = pr.client[i], tap.Client, true
				r.Check(t, want)
			})
		}
	}
	table.Print(t)
}

// serving starts a server that prints its port and ends by itself with last words.
func serving(t *testing.T, env []string, last string, argv ...string) (port string, wait func()) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), bound)
	t.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	line, err := lines.ReadString('\n')
	if _, e := fmt.Sscanf(line, "port %s", &port); err != nil || e != nil {
		cancel()
		cmd.Wait()
		t.Fatalf("the server says %q, %v", line, err)
	}
	return port, func() {
		t.Helper()
		rest, _ := io.ReadAll(lines)
		if err := cmd.Wait(); err != nil || string(rest) != last {
			t.Errorf("the server ends with %v and says %q", err, rest)
		}
	}
}
