package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/examples/internal/app"
)

// server is a child process under load.
type server struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	load *load
}

func start(name string, o options) (*server, error) {
	s := &server{cmd: exec.Command(self(), "-serve", name)}
	s.cmd.Env = append(os.Environ(), fmt.Sprintf("GOMAXPROCS=%d", o.procs))
	s.cmd.Stderr = os.Stderr
	var err error
	if s.in, err = s.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := s.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	s.out = bufio.NewReader(out)
	if err := s.cmd.Start(); err != nil {
		return nil, err
	}
	addr, err := s.out.ReadString('\n')
	if err == nil {
		s.load, err = dial(strings.TrimSpace(addr), !strings.HasPrefix(name, "bare-"), o.conns, o.depth)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

// stop ends the child: its standard input closes.
func (s *server) stop() {
	if s.load != nil {
		s.load.close()
	}
	s.in.Close()
	kill := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	defer kill.Stop()
	s.cmd.Wait()
}

// slice loads the server for d and returns its CPU seconds per message.
func (s *server) slice(d time.Duration) (float64, error) {
	before, err := s.cpu()
	if err != nil {
		return 0, err
	}
	n, err := s.load.run(d)
	if err != nil {
		return 0, err
	}
	after, err := s.cpu()
	return (after - before).Seconds() / float64(n), err
}

func (s *server) cpu() (time.Duration, error) {
	if _, err := io.WriteString(s.in, "cpu\n"); err != nil {
		return 0, err
	}
	var ns int64
	_, err := fmt.Fscanln(s.out, &ns)
	return time.Duration(ns), err
}

// child is the server process: it prints its address, answers each line with the
// CPU time it has used, in nanoseconds, and ends with its input.
func child(name string) error {
	var addr string
	var stop func()
	var err error
	if bare, ok := strings.CutPrefix(name, "bare-"); ok {
		addr, stop, err = startBare(bare)
	} else {
		addr, stop, err = startLoop(name)
	}
	if err != nil {
		return err
	}
	fmt.Println(addr)
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var u syscall.Rusage
		if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
			return err
		}
		fmt.Println(u.Utime.Nano() + u.Stime.Nano())
	}
	stop()
	return nil
}

// startLoop serves the WebSocket echo of examples/echo on a loop.
func startLoop(name string) (addr string, stop func(), err error) {
	h, err := app.NewHost(name, 1)
	if err != nil {
		return "", nil, err
	}
	eng, err := core.New(core.Config{Backend: h.Backend, VHosts: []core.VHost{{
		Addr: "127.0.0.1:0",
		Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(
			func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}},
	}}})
	if err != nil {
		return "", nil, err
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Serve(h, eng) }()
	return eng.VHost("default").Addr(), func() {
		eng.Stop(-1)
		if err := <-ended; err != nil {
			app.Fatal(err)
		}
	}, nil
}
