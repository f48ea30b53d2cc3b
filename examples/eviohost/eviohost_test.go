//go:build linux || darwin || freebsd

package main

import (
	"fmt"
	"os/exec"
	"strings"
	"testing"

	"anyloop/examples/internal/try"
)

// start runs the program on a free port and returns its address.
func start(t *testing.T) string {
	line := try.Run(t, try.Program(t, "."), "-addr", "tcp://127.0.0.1:0")
	addr, ok := strings.CutPrefix(line, "lamps: tcp://")
	if !ok {
		t.Fatalf("it said %q", line)
	}
	return addr
}

// TestBothOnOnePort: lines and WebSockets see each other's changes, and what was
// said before.
func TestBothOnOnePort(t *testing.T) {
	addr := start(t)
	tcp := try.DialLines(t, "tcp", addr)
	fmt.Fprint(tcp, "ON kitchen\nON hall\nOFF kitchen\n")
	tcp.Want(t, "kitchen on")
	tcp.Want(t, "hall on")
	tcp.Want(t, "kitchen off")
	page := try.Dial(t, addr, "lamps")
	page.Want(t, "hall on")
	page.Want(t, "kitchen off")
	if err := page.Send("ON kitchen"); err != nil {
		t.Fatal(err)
	}
	page.Want(t, "kitchen on")
	fmt.Fprintln(tcp, "LIST")
	for _, want := range []string{"hall on", "kitchen on", "."} {
		tcp.Want(t, want)
	}
	fmt.Fprintln(tcp, "OFF hall")
	tcp.Want(t, "hall off")
	page.Want(t, "hall off")
	if err := page.Send("BREAK hall"); err != nil {
		t.Fatal(err)
	}
	page.Want(t, "? ON lamp, OFF lamp, or LIST")
}

// TestFirstBytesDecide: they may come one by one, and what only begins like
// HTTP is a line.
func TestFirstBytesDecide(t *testing.T) {
	addr := start(t)
	tcp := try.DialLines(t, "tcp", addr)
	for _, b := range "GE" {
		fmt.Fprint(tcp, string(b))
	}
	fmt.Fprint(tcp, "NIUS\n")
	tcp.Want(t, "? ON lamp, OFF lamp, or LIST")
	slow := try.DialLines(t, "tcp", addr)
	for _, b := range "GET /none HTTP/1.1\r\nHost: x\r\n\r\n" {
		fmt.Fprint(slow, string(b))
	}
	slow.Want(t, "HTTP/1.1 404 Not Found")
	long := try.DialLines(t, "tcp", addr)
	fmt.Fprint(long, strings.Repeat("x", 2*maxLine))
	if !long.Ended() {
		t.Error("an endless line is kept")
	}
}

// TestCurlGetsThePage: on the same port.
func TestCurlGetsThePage(t *testing.T) {
	curl := try.Need(t, "curl", "curl")
	url := "http://" + start(t) + "/"
	out, err := exec.Command(curl, "-sS", "-m", "50", "-i", url, url).CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if n := strings.Count(string(out), "<title>Lamps</title>"); n != 2 || !strings.HasPrefix(string(out), "HTTP/1.1 200") {
		t.Errorf("%d pages of 2:\n%s", n, out)
	}
}
