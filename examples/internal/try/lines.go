package try

import (
	"bufio"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Lines is a client of a line protocol, for tests.
type Lines struct {
	net.Conn
	r *bufio.Reader
}

// DialLines connects to a program that speaks lines.
func DialLines(t testing.TB, network, addr string) *Lines {
	t.Helper()
	c, err := net.DialTimeout(network, addr, Bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(Bound))
	return &Lines{c, bufio.NewReader(c)}
}

// Want reads one line, which must be want.
func (c *Lines) Want(t testing.TB, want string) {
	t.Helper()
	got, err := c.r.ReadString('\n')
	if err != nil || strings.TrimSpace(got) != want {
		t.Fatalf("got %q %v, want %q", got, err, want)
	}
}

// Ended reports whether the program has closed the connection without another
// byte.
func (c *Lines) Ended() bool {
	_, err := c.r.ReadByte()
	return err != nil
}

// Need returns the path of a program of a Debian package, or skips by name; in CI
// its absence is a failure.
func Need(t testing.TB, program, pkg string) string {
	t.Helper()
	p, err := exec.LookPath(program)
	switch {
	case err == nil:
		return p
	case os.Getenv("ANYLOOP_CI") != "":
		t.Fatalf("%s is not installed (package %s)", program, pkg)
	default:
		t.Skipf("%s is not installed (package %s)", program, pkg)
	}
	return ""
}
