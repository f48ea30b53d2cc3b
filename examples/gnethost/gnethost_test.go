package main

import (
	"bufio"
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

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

// terminal is a line client.
type terminal struct {
	net.Conn
	r *bufio.Reader
}

func dial(t *testing.T, path string) *terminal {
	t.Helper()
	c, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(try.Bound))
	return &terminal{c, bufio.NewReader(c)}
}

func (c *terminal) want(t *testing.T, want string) {
	t.Helper()
	got, err := c.r.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != want {
		t.Fatalf("got %q %v, want %q", got, err, want)
	}
}

// TestBothOnOnePort: lines and WebSockets see each other's changes, and what was
// said before.
func TestBothOnOnePort(t *testing.T) {
	path := start(t)
	tcp := dial(t, path)
	fmt.Fprint(tcp, "ADD ann 3\nADD bob 1\nADD ann 4\n")
	tcp.want(t, "ann 3")
	tcp.want(t, "bob 1")
	tcp.want(t, "ann 7")
	page := try.Dial(t, "unix:"+path, "board")
	page.Want(t, "ann 7")
	page.Want(t, "bob 1")
	if err := page.Send("ADD bob 10"); err != nil {
		t.Fatal(err)
	}
	page.Want(t, "bob 11")
	fmt.Fprintln(tcp, "LIST")
	for _, want := range []string{"ann 7", "bob 11", "."} {
		tcp.want(t, want)
	}
	fmt.Fprintln(tcp, "ADD cid 5")
	tcp.want(t, "cid 5")
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
	tcp := dial(t, path)
	for _, b := range "GE" {
		fmt.Fprint(tcp, string(b))
	}
	fmt.Fprint(tcp, "NIUS\n")
	tcp.want(t, "? ADD name points, or LIST")
	slow := dial(t, path)
	for _, b := range "GET /none HTTP/1.1\r\nHost: x\r\n\r\n" {
		fmt.Fprint(slow, string(b))
	}
	slow.want(t, "HTTP/1.1 404 Not Found")
	long := dial(t, path)
	fmt.Fprint(long, strings.Repeat("x", 2*maxLine))
	if _, err := long.r.ReadByte(); err == nil {
		t.Error("an endless line is kept")
	}
}

// TestCurlGetsThePage: on the same port.
func TestCurlGetsThePage(t *testing.T) {
	curl, err := exec.LookPath("curl")
	if err != nil {
		t.Skip("no curl")
	}
	out, err := exec.Command(curl, "-sS", "-m", "30", "-i", "--unix-socket", start(t), "http://board/", "http://board/").CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "<title>Score board</title>"); n != 2 || !strings.HasPrefix(string(out), "HTTP/1.1 200") {
		t.Errorf("%d pages of 2:\n%s", n, out)
	}
}
