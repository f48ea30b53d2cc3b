//go:build linux

package proc

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"sync"
	"syscall"
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

// Stop kills the program. If it had ended by itself, what it said is the error.
func (p *Program) Stop() error {
	p.cmd.Process.Kill()
	<-p.ended
	if st, ok := p.cmd.ProcessState.Sys().(syscall.WaitStatus); ok && st.Signaled() && st.Signal() == syscall.SIGKILL {
		return nil
	}
	return fmt.Errorf("%s has ended, %s: %s", p.cmd.Path, p.cmd.ProcessState, p.said.text())
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
