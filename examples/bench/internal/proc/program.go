//go:build linux

package proc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"sync"
)

// Program is another program that runs as a child.
type Program struct {
	cmd   *exec.Cmd
	said  tail
	ended chan struct{}
}

// Run starts a program on a core, or on AnyCore, with GOMAXPROCS=1.
func Run(core int, path string, args ...string) (*Program, error) {
	p := &Program{cmd: exec.Command(path, args...), ended: make(chan struct{})}
	p.cmd.Env = append(os.Environ(), "GOMAXPROCS=1")
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	if err := start(p.cmd, core); err != nil {
		return nil, err
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// Pid returns the process id.
func (p *Program) Pid() int { return p.cmd.Process.Pid }

// Ended returns what a program said that has ended by itself, as an error; nil if it
// runs.
func (p *Program) Ended() error {
	select {
	case <-p.ended:
		return fmt.Errorf("%s has ended: %s", p.cmd.Path, p.said.text())
	default:
		return nil
	}
}

// Stop kills the program, and returns an error if it had ended before.
func (p *Program) Stop() error {
	err := p.Ended()
	p.cmd.Process.Kill()
	<-p.ended
	return err
}

// tail keeps the end of what is written.
type tail struct {
	mu sync.Mutex
	b  []byte
}

func (t *tail) Write(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.b = append(t.b, p...)
	t.b = t.b[max(0, len(t.b)-2<<10):]
	return len(p), nil
}

func (t *tail) text() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return string(bytes.TrimSpace(t.b))
}
