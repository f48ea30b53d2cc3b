package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"anyloop/examples/internal/try"
)

// start runs the board on a unix socket and returns its path.
func start(t *testing.T) string {
	path := filepath.Join(t.TempDir(), "board")
	line := try.Run(t, try.Program(t, "."), "-addr", "unix://"+path)
	if want := "score board: unix://" + path; line != want {
		t.Fatalf("it said %q, want %q", line, want)
	}
	return path
}

// TestBothOnOnePort: lines and WebSockets see each other's changes, and what was
// said before.
func TestBothOnOnePort(t *testing.T) {
	path := start(t)
	tcp := try.DialLines(t, "unix", path)
	fmt.Fprint(tcp, "ADD ann 3\nADD bob 1\nADD ann 4\n")
	tcp.Want(t, "ann 3")
	tcp.Want(t, "bob 1")
	tcp.Want(t, "ann 7")
	page := try.Dial(t, "unix:"+path, "board")
	page.Want(t, "ann 7")
	page.Want(t, "bob 1")
	if err := page.Send("ADD bob 10"); err != nil {
		t.Fatal(err)
	}
	page.Want(t, "bob 11")
	fmt.Fprintln(tcp, "LIST")
	for _, want := range []string{"ann 7", "bob 11", "."} {
		tcp.Want(t, want)
	}
	fmt.Fprintln(tcp, "ADD cid 5")
	tcp.Want(t, "cid 5")
	page.Want(t, "cid 5")
	if err := page.Send("LIST nonsense"); err != nil {
		t.Fatal(err)
	}
	page.Want(t, "? ADD name points, or LIST")
}

// TestFirstBytesDecide: they may come one by one, and what only begins like
// HTTP is a line.
func TestFirstBytesDecide(t *testing.T) {
	path := start(t)
	tcp := try.DialLines(t, "unix", path)
	for _, b := range "GE" {
		fmt.Fprint(tcp, string(b))
	}
	fmt.Fprint(tcp, "NIUS\n")
	tcp.Want(t, "? ADD name points, or LIST")
	slow := try.DialLines(t, "unix", path)
	for _, b := range "GET /none HTTP/1.1\r\nHost: x\r\n\r\n" {
		fmt.Fprint(slow, string(b))
	}
	slow.Want(t, "HTTP/1.1 404 Not Found")
	long := try.DialLines(t, "unix", path)
	fmt.Fprint(long, strings.Repeat("x", 2*maxLine))
	if !long.Ended() {
		t.Error("an endless line is kept")
	}
}

// TestCurlGetsThePage: on the same port.
func TestCurlGetsThePage(t *testing.T) {
	curl := try.Need(t, "curl", "curl")
	out, err := exec.Command(curl, "-sS", "-m", "50", "-i", "--unix-socket", start(t), "http://board/", "http://board/").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "<title>Score board</title>"); n != 2 || !strings.HasPrefix(string(out), "HTTP/1.1 200") {
		t.Errorf("%d pages of 2:\n%s", n, out)
	}
}
