// Package try runs example programs for their tests, and has a small WebSocket
// client.
package try

import (
	"bufio"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core/loop/looptest/client"
)

// Bound is a limit on a hang, far above what anything takes.
const Bound = 60 * time.Second

// Program builds the program of a folder and returns its path.
func Program(t testing.TB, dir string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", bin, dir).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", dir, err, out)
	}
	return bin
}

// Run starts a program and returns the first line it prints on standard error.
// At the test's end it gets SIGINT and must end well.
func Run(t testing.TB, bin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(bin, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make(chan string, 1)
	var rest strings.Builder
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		r := bufio.NewReader(stderr)
		line, _ := r.ReadString('\n')
		first <- line
		io.Copy(&rest, r)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		timer := time.AfterFunc(Bound, func() { cmd.Process.Kill() })
		defer timer.Stop()
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s did not end well: %v\n%s", bin, err, rest.String())
		}
	})
	select {
	case line := <-first:
		return strings.TrimSpace(line)
	case <-time.After(Bound):
		t.Fatalf("%s says nothing", bin)
	}
	return ""
}

// WS is a WebSocket client for tests.
type WS struct{ *client.Conn }

// Dial opens a WebSocket with a subprotocol ("" for none).
func Dial(t testing.TB, addr, protocol string) *WS {
	t.Helper()
	c, err := client.Dial(addr, Bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Upgrade(protocol); err != nil {
		t.Fatal(err)
	}
	return &WS{c}
}

// Send sends a text message.
func (w *WS) Send(s string) error { return w.Text(s) }

// Next returns the next message.
func (w *WS) Next() (string, error) {
	_, p, err := w.Message()
	return string(p), err
}

// Want reads messages until one is want.
func (w *WS) Want(t testing.TB, want string) {
	t.Helper()
	for {
		got, err := w.Next()
		if err != nil {
			t.Fatalf("waiting for %q: %v", want, err)
		}
		if got == want {
			return
		}
	}
}
