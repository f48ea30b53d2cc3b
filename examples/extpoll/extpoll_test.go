package main

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"anyloop/examples/internal/try"
)

var addrs = regexp.MustCompile(`tcp://(\S+) and http://([^/]+)/`)

// TestChatBothWays: what is typed over TCP and into the FIFO appears in the page,
// and what the page sends appears over TCP.
func TestChatBothWays(t *testing.T) {
	fifo := filepath.Join(t.TempDir(), "fifo")
	line := try.Run(t, try.Program(t, "."), "-addr", "127.0.0.1:0", "-chat", "127.0.0.1:0", "-fifo", fifo)
	m := addrs.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("it said %q", line)
	}
	page := try.Dial(t, m[2], "chat")
	tcp, err := net.Dial("tcp", m[1])
	if err != nil {
		t.Fatal(err)
	}
	defer tcp.Close()
	tcp.SetDeadline(time.Now().Add(try.Bound))
	lines := bufio.NewReader(tcp)
	hear := func(want string) {
		t.Helper()
		for {
			got, err := lines.ReadString('\n')
			if err != nil {
				t.Fatalf("waiting for %q: %v", want, err)
			}
			if strings.TrimSpace(got) == want {
				return
			}
		}
	}
	fmt.Fprintln(tcp, "hello from the terminal")
	page.Want(t, "hello from the terminal")
	hear("hello from the terminal")
	if err := page.Send("hello from the page"); err != nil {
		t.Fatal(err)
	}
	hear("hello from the page")
	page.Want(t, "hello from the page")
	f, err := os.OpenFile(fifo, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	fmt.Fprintln(f, "news")
	page.Want(t, "* news")
	hear("* news")
	// A page that comes and goes leaves the old guests alone.
	for range 20 {
		try.Dial(t, m[2], "chat").Close()
	}
	fmt.Fprintln(tcp, "still here")
	page.Want(t, "still here")
}
