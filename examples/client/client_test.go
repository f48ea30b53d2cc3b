package main

import (
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/examples/internal/try"
)

// serve answers a message with what f says, for each case of the tests.
func serve(t *testing.T, vh core.VHost, f func(*core.Conn, core.Message, *core.Outbox) error) string {
	t.Helper()
	vh.Addr = "127.0.0.1:0"
	vh.Protocols = []core.Protocol{{Name: "test", WS: core.OnMessage(f)}}
	return "ws://" + try.Engine(t, vh).VHost("default").Addr() + "/"
}

func echo(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }

// TestPiped: the lines of a pipe are sent, all the answers are shown, and then the
// connection is closed: status 0.
func TestPiped(t *testing.T) {
	bin := try.Program(t, ".")
	url := serve(t, core.VHost{Deflate: &core.Deflate{Takeover: true}}, echo)
	var many strings.Builder
	for range 20000 {
		many.WriteString("again and again\n")
	}
	for _, tc := range []struct {
		name, input string
		flags, want []string
	}{
		{"nothing", "", nil, []string{"* connected to 127.0.0.1:", "closed here with code 1000"}},
		{"lines", "one\n\n//two\nthree", nil, []string{"< one\n", "< \n", "< /two\n", "< three\n", "code 1000"}},
		{"compressed", "one\n", []string{"-deflate", "-takeover"}, []string{"* extensions permessage-deflate", "< one\n", "code 1000"}},
		{"binary", "/binary 00 ff\n", nil, []string{"< 00ff\n", "code 1000"}},
		{"ping", "/ping are you there\n", nil, []string{`* pong "are you there"`, "code 1000"}},
		{"pings", "", []string{"-ping", "1h"}, []string{"* pong after ", "code 1000"}},
		{"close", "/close 4321 that is all\n", nil, []string{`closed here with code 4321 "that is all"`}},
		{"mistakes", "/nope\n/close 1005\n/close now\n/binary zz\n/ping " + strings.Repeat("x", 126) + "\nafter\n", nil, []string{
			"* there are /ping", "may not be sent", `not "now"`, "invalid byte", "at most 125", "< after\n", "code 1000"}},
		{"controls", "\x1b[2Jtab\there\x07\n", nil, []string{`< \x1b[2Jtab` + "\t" + `here\a` + "\n", "code 1000"}},
		{"many", many.String(), nil, []string{"< again and again\n", "code 1000"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			status, out := try.Status(t, try.Input(t, tc.input), bin, append(tc.flags, url)...)
			if lacks := try.Lacks(out, tc.want...); status != 0 || lacks != "" {
				t.Errorf("status %d, no %q in:\n%.2000s", status, lacks, out)
			}
			if n := strings.Count(tc.input, "again and again"); strings.Count(out, "again and again\n") != n {
				t.Errorf("%d answers of %d", strings.Count(out, "again and again\n"), n)
			}
		})
	}
}

// TestSlowServer: a server that stops reading for a while gets every line of a pipe
// all the same, of which there are more than sockets and the outbox hold.
func TestSlowServer(t *testing.T) {
	bin := try.Program(t, ".")
	const lines = 24
	paused := false
	url := serve(t, core.VHost{}, func(c *core.Conn, m core.Message, out *core.Outbox) error {
		if !paused {
			paused = true
			c.Pause()
			c.Thread().AfterFunc(300*time.Millisecond, func() { c.Resume() })
		}
		return out.Text(strconv.Itoa(len(m.Data)))
	})
	line := strings.Repeat("x", longest-1)
	status, out := try.Status(t, try.Input(t, strings.Repeat(line+"\n", lines)), bin, url)
	if n := strings.Count(out, "< 1048575\n"); n != lines || status != 0 {
		t.Errorf("%d answers of %d, status %d:\n%.2000s", n, lines, status, out)
	}
}

// TestTheServerEnds: what the server does is said, and the status tells whether it
// was in good order. The input stays open: nothing waits for it.
func TestTheServerEnds(t *testing.T) {
	bin := try.Program(t, ".")
	for _, tc := range []struct {
		name   string
		f      func(*core.Conn, core.Message, *core.Outbox) error
		want   string
		status int
	}{
		{"closes", func(c *core.Conn, _ core.Message, _ *core.Outbox) error { return c.Close(4001, "bye\x1b") }, `closed by the peer with code 4001 "bye\x1b"`, 0},
		{"vanishes", func(*core.Conn, core.Message, *core.Outbox) error { return core.ErrDrop }, "* core: read", 1},
		{"says too much", func(_ *core.Conn, _ core.Message, out *core.Outbox) error {
			return out.Send(core.Message{Data: make([]byte, longest+1), Binary: true})
		}, "closed here with code 1009", 1},
	} {
		t.Run(tc.name, func(t *testing.T) {
			url := serve(t, core.VHost{}, tc.f)
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			defer r.Close()
			defer w.Close()
			w.WriteString("go\n")
			if status, out := try.Status(t, r, bin, url); status != tc.status || !strings.Contains(out, tc.want) {
				t.Errorf("status %d, want %d; no %q in:\n%.2000s", status, tc.status, tc.want, out)
			}
		})
	}
}

// TestNoConnection: why there is none is said in one line, with status 1, or 2 for
// wrong usage.
func TestNoConnection(t *testing.T) {
	bin := try.Program(t, ".")
	refusing := serve(t, core.VHost{Origin: func(*core.Request, string) bool { return false }}, echo)
	closed := try.Closed(t)
	for _, tc := range []struct {
		name   string
		args   []string
		want   string
		status int
	}{
		{"nobody there", []string{"ws://" + closed + "/"}, "* core: connect " + closed + ": ", 1},
		{"refused", []string{"-origin", "http://elsewhere", refusing}, "the server answered 403", 1},
		{"no scheme", []string{"localhost"}, "none of ws, wss, http, https", 1},
		{"a field of the handshake", []string{"-H", "Host: x", refusing}, `"host"`, 1},
		{"no field", []string{"-H", "x", refusing}, "use 'name: value'", 2},
		{"window", []string{"-deflate", "-window", "3", refusing}, "8 to 15", 1},
		{"no URL", nil, "usage: client", 2},
	} {
		t.Run(tc.name, func(t *testing.T) {
			if status, out := try.Status(t, try.Quiet(t), bin, tc.args...); status != tc.status || !strings.Contains(out, tc.want) {
				t.Errorf("status %d, want %d; no %q in:\n%s", status, tc.status, tc.want, out)
			}
		})
	}
}

// TestLongLine: a line that is too long ends the input, which is said; what came
// before is answered.
func TestLongLine(t *testing.T) {
	bin := try.Program(t, ".")
	input := "one\n" + strings.Repeat("x", longest+1) + "\n"
	status, out := try.Status(t, try.Input(t, input), bin, serve(t, core.VHost{}, echo))
	if !strings.Contains(out, "< one\n") || !strings.Contains(out, "* the input: ") || status != 1 {
		t.Errorf("status %d:\n%.2000s", status, out)
	}
}
