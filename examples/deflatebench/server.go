package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"runtime/pprof"
	"strings"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/examples/internal/app"
)

// childEnv tells this program that it is a server: a serverConfig in JSON.
const childEnv = "ANYLOOP_DEFLATEBENCH_CHILD"

// serverConfig is what the server is to be.
type serverConfig struct {
	Deflate     *core.Deflate // nil: no compression
	MaxInflated int64
	MaxRatio    int
	Count       bool // it only counts what comes, and answers nothing
	Loop        string
	Profile     string // file; "" for none
}

// usage is what the server says of itself, in one line. Fields that were not
// asked for are 0.
type usage struct {
	CPU       time.Duration // used so far
	Conns     int           // open
	Kept      int           // Conn.Deflate().Memory, over all
	Tools     int           // what the thread has for compression, once
	Heap      uint64        // bytes in use, after a collection
	Allocated uint64        // bytes, ever
	Received  int64         // inflated bytes that the handler got
}

// server is the child process, as its parent sees it.
type server struct {
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func start(o *options, c serverConfig) (*server, error) {
	c.Loop = o.loop
	what, err := json.Marshal(c)
	if err != nil {
		return nil, err
	}
	s := &server{cmd: o.self()}
	s.cmd.Env = append(os.Environ(), "GOMAXPROCS=1", childEnv+"="+string(what))
	s.cmd.Stderr = os.Stderr
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
	if s.addr, err = s.out.ReadString('\n'); err != nil {
		s.stop()
		return nil, fmt.Errorf("no address: %w", err)
	}
	s.addr = strings.TrimSpace(s.addr)
	return s, nil
}

// stop ends the child: its standard input closes.
func (s *server) stop() error {
	s.in.Close()
	kill := time.AfterFunc(20*time.Second, func() { s.cmd.Process.Kill() })
	defer kill.Stop()
	return s.cmd.Wait()
}

// ask returns what the server says to "cpu" or "memory".
func (s *server) ask(what string) (u usage, err error) {
	if _, err := fmt.Fprintln(s.in, what); err != nil {
		return u, err
	}
	line, err := s.out.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &u)
	}
	return u, err
}

// serving is the child's side. All but eng belongs to the service thread.
type serving struct {
	eng      *core.Engine
	conns    []*core.Conn // all there ever were
	received int64
}

// counter takes messages of any length.
type counter struct{ s *serving }

func (h counter) Receive(_ *core.Conn, f core.Fragment) error {
	h.s.received += int64(len(f.Data))
	return nil
}

func (h counter) Writable(*core.Conn, *core.WSWriter) error { return nil }

// child is the server process: it prints its address, answers each line, and ends
// with its input.
func child(what string) (err error) {
	var c serverConfig
	if err := json.Unmarshal([]byte(what), &c); err != nil {
		return err
	}
	if c.Profile != "" {
		f, err := os.Create(c.Profile)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return err
		}
		defer pprof.StopCPUProfile()
	}
	h, err := app.NewHost(c.Loop, 1)
	if err != nil {
		return err
	}
	s := &serving{}
	echo := core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })
	s.eng, err = core.New(core.Config{Backend: h.Backend, VHosts: []core.VHost{{
		Addr: "127.0.0.1:0", Deflate: c.Deflate,
		Limits: core.Limits{DeflateMemory: -1, PingInterval: -1, PongTimeout: -1, MaxInflated: c.MaxInflated, MaxRatio: c.MaxRatio},
		Protocols: []core.Protocol{{Name: "bench", WS: func(c2 *core.Conn) core.WSHandler {
			s.conns = append(s.conns, c2)
			if c.Count {
				return counter{s}
			}
			return echo(c2)
		}}},
	}}})
	if err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- app.Serve(h, s.eng) }()
	defer func() {
		s.eng.Stop(-1)
		if e := <-ended; err == nil {
			err = e
		}
	}()
	fmt.Println(s.eng.VHost("default").Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		u, err := s.usage(in.Text() == "memory")
		if err == nil {
			err = json.NewEncoder(os.Stdout).Encode(u)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// usage answers a line. Memory costs CPU time, and is looked at only if asked for.
func (s *serving) usage(memory bool) (u usage, err error) {
	var r syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &r); err != nil {
		return u, err
	}
	u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	if !memory {
		return u, nil
	}
	looked := make(chan struct{})
	err = s.eng.Post(func() {
		defer close(looked)
		u.Received = s.received
		u.Tools = s.eng.Thread(0).DeflateMemory()
		for _, c := range s.conns {
			if c.Open() {
				u.Conns++
				z, _ := c.Deflate()
				u.Kept += z.Memory
			}
		}
	})
	if err != nil {
		return u, err
	}
	<-looked
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.Allocated = m.TotalAlloc
	runtime.GC()
	runtime.GC() // what pools hold outlives the first
	runtime.ReadMemStats(&m)
	u.Heap = m.HeapAlloc
	return u, nil
}
