//go:build linux

// Package proc runs parts of a benchmark as processes of their own, whose CPU time
// and memory are nobody else's: children of the program, which answer its
// questions one at a time.
package proc

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"

	"golang.org/x/sys/unix"
)

// Answer answers one question: what is asked, and an argument in JSON.
type Answer func(what string, arg json.RawMessage) (any, error)

// Role is what a child does. It gets ready and returns what answers, and what
// ends it in good order.
type Role func(config json.RawMessage) (Answer, func() error, error)

const roleEnv, configEnv = "ANYLOOP_BENCH_ROLE", "ANYLOOP_BENCH_CONFIG"

// Main is the child's side: in a process that Start has started it plays its role,
// and the process ends. Elsewhere it returns at once. Call it first in main, and
// in TestMain.
func Main(roles map[string]Role) {
	name := os.Getenv(roleEnv)
	if name == "" {
		return
	}
	raiseFileLimit()
	out, err := ownStdout()
	if err == nil {
		err = play(roles[name], os.Stdin, out)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// raiseFileLimit raises the open-file limit to what is allowed, since every
// connection is a descriptor.
func raiseFileLimit() {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil && r.Cur < r.Max {
		r.Cur = r.Max
		unix.Setrlimit(unix.RLIMIT_NOFILE, &r)
	}
}

// FileLimit returns how many descriptors a child may have open.
func FileLimit() int {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) != nil {
		return 0
	}
	return int(min(r.Max, 1<<30))
}

// ownStdout keeps the answers apart from what libraries print.
func ownStdout() (*os.File, error) {
	fd, err := unix.FcntlInt(1, unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return nil, err
	}
	return os.NewFile(uintptr(fd), "answers"), unix.Dup3(2, 1, 0)
}

type question struct {
	What string
	Arg  json.RawMessage
}

type reply struct {
	Is  json.RawMessage `json:",omitempty"`
	Err string          `json:",omitempty"`
}

// play answers until its input ends.
func play(r Role, in io.Reader, out io.Writer) error {
	if r == nil {
		return errors.New("no such role")
	}
	answer, end, err := r(json.RawMessage(os.Getenv(configEnv)))
	if err != nil {
		return err
	}
	enc, dec := json.NewEncoder(out), json.NewDecoder(in)
	for err == nil {
		var q question
		if err = dec.Decode(&q); err != nil {
			break
		}
		var a reply
		is, e := answer(q.What, q.Arg)
		if e == nil {
			a.Is, e = json.Marshal(is)
		}
		if e != nil {
			a.Err = e.Error()
		}
		err = enc.Encode(a)
	}
	if err == io.EOF {
		err = nil
	}
	return errors.Join(err, end())
}

// Child is a process in a role. Its methods must not overlap.
type Child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

// Start starts this program again, in a role. procs is its GOMAXPROCS, 0 for as
// many as there are.
func Start(role string, config any, procs int) (*Child, error) {
	return StartOn(AnyCore, role, config, procs)
}

// StartOn is Start on one core.
func StartOn(core int, role string, config any, procs int) (*Child, error) {
	what, err := json.Marshal(config)
	if err != nil {
		return nil, err
	}
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	c := &Child{cmd: exec.Command(self)}
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role, configEnv+"="+string(what))
	if procs > 0 {
		c.cmd.Env = append(c.cmd.Env, fmt.Sprintf("GOMAXPROCS=%d", procs))
	}
	c.cmd.Stderr = os.Stderr
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	c.out = bufio.NewReader(out)
	return c, start(c.cmd, core)
}

// Pid returns the process id.
func (c *Child) Pid() int { return c.cmd.Process.Pid }

// Kill ends the child at once.
func (c *Child) Kill() {
	c.cmd.Process.Kill()
	c.cmd.Wait()
}

// Ask asks, and stores the answer in is, unless that is nil.
func (c *Child) Ask(what string, arg, is any) error {
	b, err := json.Marshal(arg)
	if err != nil {
		return err
	}
	if err := json.NewEncoder(c.in).Encode(question{what, b}); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	line, err := c.out.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	var a reply
	if err := json.Unmarshal(line, &a); err != nil {
		return err
	}
	if a.Err != "" {
		return fmt.Errorf("%s: %s", what, a.Err)
	}
	if is == nil {
		return nil
	}
	return json.Unmarshal(a.Is, is)
}

// Stop ends the child, by the end of its input, and waits for it.
func (c *Child) Stop() error {
	c.in.Close()
	kill := time.AfterFunc(30*time.Second, func() { c.cmd.Process.Kill() })
	defer kill.Stop()
	return c.cmd.Wait()
}
