package browser

import (
	"bufio"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"anyloop/examples/internal/tap"
)

// startEcho runs examples/echo until the test ends, and returns its address.
func startEcho(t *testing.T, flags ...string) string {
	t.Helper()
	program := filepath.Join(t.TempDir(), "echo")
	build := exec.Command("go", "build", "-o", program, "./examples/echo")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build ./examples/echo: %v\n%s", err, out)
	}
	cmd := exec.Command(program, append([]string{"-addr", "127.0.0.1:0", "-loop", *loopName}, flags...)...)
	says, err := cmd.StderrPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM) // or it has ended, which Wait tells
		if err := cmd.Wait(); err != nil {
			t.Errorf("echo: %v", err)
		}
	})
	line, err := bufio.NewReader(says).ReadString('\n')
	m := regexp.MustCompile(`wss?://([^/ ]+)/`).FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("echo says %q, %v", line, err)
	}
	return m[1]
}

// talk is a promise of what a WebSocket's end looked like to the page, after an echo
// of text and binary, large and small, twice the same.
const talk = `new Promise((done) => {
	const text = JSON.stringify(Array.from({ length: 300 }, (_, i) => ({ id: i, name: "sensor " + i % 7, "ü": true })));
	const noise = new Uint8Array(5000).map((_, i) => (i * i * 31 + (i >> 3)) & 255);
	const messages = ["", "x", text, text, noise, "y".repeat(70000), new Uint8Array(0), "end"];
	const ws = new WebSocket("URL");
	ws.binaryType = "arraybuffer";
	let at = 0;
	const same = (a, b) => typeof a === "string" ? a === b
		: typeof b !== "string" && a.length === b.byteLength && new Uint8Array(b).every((v, i) => v === a[i]);
	ws.onopen = () => ws.send(messages[0]);
	ws.onmessage = (e) => {
		if (!same(messages[at], e.data)) return ws.close(4000, "message " + at);
		if (++at < messages.length) ws.send(messages[at]); else ws.close(1000, "goodbye");
	};
	ws.onclose = (e) => done([ws.extensions, e.code, e.reason, e.wasClean].join("|"));
})`

// TestBrowserDeflate: Chromium's own compression against ours; what was agreed upon
// is read off the wire.
func TestBrowserDeflate(t *testing.T) {
	s := startServer(t) // for a page to talk from
	p := openPage(t, s.url(""))
	for _, tc := range []struct {
		name, answer string
		flags        []string
	}{
		{"off", "", nil},
		{"no takeover", "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12", []string{"-deflate"}},
		{"takeover 15", "permessage-deflate", []string{"-deflate", "-takeover", "-window", "15"}},
		{"takeover 9", "permessage-deflate; server_max_window_bits=9; client_max_window_bits=9", []string{"-deflate", "-takeover", "-window", "9"}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			w := tap.New(t, startEcho(t, tc.flags...))
			p.t = t
			got := eval[string](p, strings.Replace(talk, "URL", "ws://"+w.Addr()+"/", 1))
			if want := tc.answer + "|1000|goodbye|true"; got != want {
				t.Errorf("the page says %q, want %q", got, want)
			}
			r := w.Next(t)
			if r.Answer != tc.answer || r.Agreed.On != (tc.answer != "") || r.Agreed.ServerNoTakeover != strings.Contains(tc.answer, "server_no") {
				t.Errorf("on the wire: %s", r)
			}
			const all = 8
			if len(r.Up.Messages) != all || len(r.Down.Messages) != all {
				t.Fatalf("on the wire: %s", r)
			}
			if on := r.Agreed.On; (r.Up.Compressed > 0) != on || (r.Down.Compressed == 4) != on || !on && r.Down.Compressed > 0 {
				t.Errorf("%d and %d messages are compressed", r.Up.Compressed, r.Down.Compressed)
			}
			t.Logf("%s", r)
		})
	}
	p.t = t
}

// TestBrowserIsClosed: Chromium is told by which code we close, and answers: here for
// a message that is longer than the server takes.
func TestBrowserIsClosed(t *testing.T) {
	s := startServer(t) // for a page to talk from
	p := openPage(t, s.url(""))
	w := tap.New(t, startEcho(t, "-deflate", "-max-message", "1000"))
	got := eval[string](p, strings.Replace(`new Promise((done) => {
		const ws = new WebSocket("ws://ADDR/");
		ws.onopen = () => ws.send("x".repeat(1001));
		ws.onclose = (e) => done([e.code, e.wasClean].join("|"));
	})`, "ADDR", w.Addr(), 1))
	if got != "1009|true" {
		t.Errorf("the page says %q", got)
	}
	if r := w.Next(t); r.Down.Close == nil || r.Down.Close.Code != 1009 || r.Up.Close == nil || r.Up.Close.Code != 1009 {
		t.Errorf("on the wire:\n%s", r)
	}
}
