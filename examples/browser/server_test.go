package browser

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core/loop/looptest/client"
)

// readyWithin bounds every wait for the server, and stopWithin its goodbye.
const (
	readyWithin = time.Minute
	stopWithin  = time.Minute
)

var (
	loopName = flag.String("loop", "poll", "event loop of the server under test")
	overTLS  = flag.Bool("tls", false, "all tests of the page over https")
)

// buildDir is where buildServer leaves the program; TestMain removes it.
var buildDir string

// buildServer compiles examples/server once for all tests and returns the
// command that starts it, without flags.
var buildServer = sync.OnceValues(func() ([]string, error) {
	if command := os.Getenv("ANYLOOP_SERVER"); command != "" {
		return strings.Fields(command), nil
	}
	dir, err := os.MkdirTemp("", "anyloop-browser-")
	if err != nil {
		return nil, err
	}
	buildDir = dir
	program := filepath.Join(dir, "server")
	build := exec.Command("go", "build", "-o", program, "./examples/server")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		return nil, fmt.Errorf("go build ./examples/server: %w\n%s", err, out)
	}
	return []string{program}, nil
})

// A server is one running examples/server. It can be stopped and started
// again on the same address.
type server struct {
	addr   string
	scheme string   // http or https
	flags  []string // beside the address and the loop
	cmd    *exec.Cmd
	output *strings.Builder // of cmd; read it only after gone is closed
	gone   chan struct{}    // closed when cmd has exited
}

// startServer runs a server on a free port until the test ends. Without a
// browser to look at it there is nothing to test: see chromium.
func startServer(t *testing.T) *server {
	t.Helper()
	if *overTLS {
		return startServerAt(t, "https")
	}
	return startServerAt(t, "http")
}

// startServerAt is startServer by a scheme: over https with the certificate that the
// browser trusts.
func startServerAt(t *testing.T, scheme string) *server {
	t.Helper()
	chromium(t)
	s := &server{addr: freeAddr(t), scheme: scheme}
	if scheme == "https" {
		s.flags = trustedFlags(t)
	}
	s.start(t)
	t.Cleanup(func() { s.kill() })
	return s
}

// freeAddr is a loopback address that nobody listens on, nor is given while the server
// is down.
func freeAddr(t *testing.T) string {
	t.Helper()
	addr, err := client.FreePort()
	if err != nil {
		t.Fatal(err)
	}
	return addr
}

// url is the address of the page, with an optional query.
func (s *server) url(query string) string { return s.scheme + "://" + s.addr + "/" + query }

func (s *server) start(t *testing.T) {
	t.Helper()
	command, err := buildServer()
	if err != nil {
		t.Fatal(err)
	}
	args := append(command[1:len(command):len(command)], "-addr", s.addr, "-loop", *loopName)
	args = append(args, s.flags...)
	s.cmd = exec.Command(command[0], args...)
	s.output = new(strings.Builder)
	s.cmd.Stdout, s.cmd.Stderr = s.output, s.output
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	gone := make(chan struct{})
	s.gone = gone
	go func(cmd *exec.Cmd) {
		_ = cmd.Wait() // the tests ask for the end, not for its status
		close(gone)
	}(s.cmd)
	s.waitReady(t)
}

// waitReady dials until somebody answers, with growing pauses.
func (s *server) waitReady(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), readyWithin)
	defer cancel()
	var dialer net.Dialer
	for pause := 5 * time.Millisecond; ; pause = min(2*pause, 200*time.Millisecond) {
		conn, err := dialer.DialContext(ctx, "tcp", s.addr)
		if err == nil {
			conn.Close()
			return
		}
		select {
		case <-s.gone:
			t.Fatalf("the server ended before it listened:\n%s", s.output)
		case <-ctx.Done():
			t.Fatalf("the server did not listen on %s within %v: %v", s.addr, readyWithin, err)
		case <-time.After(pause):
		}
	}
}

// interrupt stops the server as Ctrl-C does and waits until it has left.
func (s *server) interrupt(t *testing.T) {
	t.Helper()
	s.signal(t, os.Interrupt)
	select {
	case <-s.gone:
	case <-time.After(stopWithin):
		s.kill()
		t.Fatalf("the server did not end within %v of an interrupt:\n%s", stopWithin, s.output)
	}
}

func (s *server) signal(t *testing.T, sig os.Signal) {
	t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil {
		t.Fatalf("signal %v to the server: %v", sig, err)
	}
}

// kill ends the server without a goodbye.
func (s *server) kill() {
	_ = s.cmd.Process.Kill() // fails only when it is gone already
	<-s.gone
}
