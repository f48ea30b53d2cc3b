//go:build linux

// Package target is the servers that a crowd loads, each a process of its own: the
// released example examples/echo with its defaults, on any loop that it has, and
// peers.
package target

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"anyloop/core/loop/looptest/client"
	"anyloop/examples/bench/internal/peer"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/internal/app"
)

// process is a server that runs.
type process interface {
	Pid() int
	Stop() error
}

// Server is one that accepts connections.
type Server struct {
	process
	Name, Addr string
}

// Builder starts servers. Ours are built once.
type Builder struct {
	ServerCore, LoadCore int // where servers run, and where loads should
	dir, echo            string
}

// NewBuilder chooses two cores, which are likely not to be two halves of one.
func NewBuilder() (*Builder, error) {
	cores, err := proc.Cores()
	if err != nil {
		return nil, err
	}
	return &Builder{ServerCore: cores[0], LoadCore: cores[len(cores)-1]}, nil
}

// Close removes what was built.
func (b *Builder) Close() error {
	if b.dir == "" {
		return nil
	}
	return os.RemoveAll(b.dir)
}

// build builds examples/echo. Its module is the one that this one's go.mod puts in
// the library's place.
func (b *Builder) build() error {
	if b.echo != "" {
		return nil
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "anyloop").Output()
	if err != nil {
		return fmt.Errorf("go list: %w (run it inside examples/bench)", err)
	}
	if b.dir, err = os.MkdirTemp("", "bench"); err != nil {
		return err
	}
	echo := filepath.Join(b.dir, "echo")
	cmd := exec.Command("go", "build", "-buildvcs=false", "-o", echo, "./examples/echo")
	cmd.Dir = strings.TrimSpace(string(root))
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("go build ./examples/echo: %w\n%s", err, out)
	}
	b.echo = echo
	return nil
}

// Start starts a server on its core: examples/echo if the name is "ours-" and a loop's,
// or a peer.
func (b *Builder) Start(name string) (*Server, error) {
	addr, err := client.FreePort()
	if err != nil {
		return nil, err
	}
	s := &Server{Name: name, Addr: addr}
	on, ours := strings.CutPrefix(name, "ours-")
	switch {
	case ours:
		if err = b.build(); err == nil {
			s.process, err = proc.Run(b.ServerCore, b.echo, "-addr", s.Addr, "-loop", on)
		}
	case slices.Contains(peer.Names(), name):
		s.process, err = proc.StartOn(b.ServerCore, "peer", peer.Config{Name: name, Addr: s.Addr}, 1)
	default:
		err = fmt.Errorf("there is no such server; there are: ours- and one of %s; %s", app.Loops(), strings.Join(peer.Names(), ", "))
	}
	if err != nil {
		return nil, err
	}
	if err := s.listens(); err != nil {
		return nil, errors.Join(err, s.Stop())
	}
	return s, nil
}

// listens waits until the server does.
func (s *Server) listens() error {
	for until := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp4", s.Addr)
		if err == nil {
			return c.Close()
		}
		if _, gone := proc.Used(s.Pid()); gone != nil || time.Now().After(until) {
			return fmt.Errorf("does not listen: %w", err)
		}
	}
}

// Of is the server in a child that answers "addr".
func Of(name string, c *proc.Child) (*Server, error) {
	s := &Server{process: c, Name: name}
	if err := c.Ask("addr", nil, &s.Addr); err != nil {
		return nil, errors.Join(err, c.Stop())
	}
	return s, nil
}
