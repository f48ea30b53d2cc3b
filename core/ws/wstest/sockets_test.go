package wstest

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/loops/poll"
)

// running starts an engine on sockets; at the test's end it stops in good order.
func running(t *testing.T, vh core.VHost) *core.Engine {
	t.Helper()
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{vh}})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(context.Background()) }()
	t.Cleanup(func() {
		eng.Stop(0)
		select {
		case err := <-ran:
			if err != nil {
				t.Errorf("Run: %v", err)
			}
		case <-time.After(bound):
			t.Error("the engine does not end")
		}
	})
	return eng
}

// dialler makes an engine's client of each URL, and waits for the end.
func dialler(eng *core.Engine) func(url string) error {
	return func(url string) error {
		over := make(chan error, 1)
		err := eng.Thread(0).Post(func() {
			w := &simClientWire{}
			d := core.Dial{URL: url, Protocol: "echo", WS: func(c *core.Conn) core.WSHandler {
				return &told{&witness{core.OnMessage(echoFn)(c), w}, w, over}
			}}
			if _, err := eng.Thread(0).Dial(eng.VHost("default"), d); err != nil {
				over <- err
			}
		})
		if err != nil {
			return err
		}
		return <-over
	}
}

// told passes the end on.
type told struct {
	*witness
	w    *simClientWire
	over chan error
}

func (h *told) ConnectFailed(c *core.Conn, err error) {
	h.witness.ConnectFailed(c, err)
	h.over <- h.w.verdict()
}

func (h *told) Closed(c *core.Conn, err error) {
	h.witness.Closed(c, err)
	h.over <- h.w.verdict()
}

// leaks compares goroutines and descriptors when the test and its cleanups are
// over. Goroutines that end are given until bound.
func leaks(t *testing.T) {
	t.Helper()
	files := func() int {
		d, err := os.ReadDir("/proc/self/fd")
		if err != nil {
			return 0
		}
		return len(d)
	}
	if l, err := net.Listen("tcp", "localhost:0"); err == nil {
		l.Close() // the runtime opens its own poller once
	}
	g, f := runtime.NumGoroutine(), files()
	t.Cleanup(func() {
		for end := time.Now().Add(bound); time.Now().Before(end); runtime.Gosched() {
			if runtime.NumGoroutine() <= g && files() <= f {
				return
			}
		}
		t.Errorf("%d goroutines, %d descriptors; before %d and %d", runtime.NumGoroutine(), files(), g, f)
	})
}

// unhurried keeps the time limits from a slow machine.
func unhurried(l *core.Limits) {
	l.HandshakeTimeout, l.HeaderIdleTimeout, l.ConnectTimeout, l.AnswerTimeout = bound, bound, bound, bound
	l.FlushTimeout, l.CloseTimeout, l.HangupTimeout, l.LingerTimeout, l.FinTimeout = bound, bound, bound, bound, bound
	l.PingInterval, l.PongTimeout = -1, -1
}

// TestSockets runs the suite over real sockets, against an engine in this
// process.
func TestSockets(t *testing.T) {
	for _, e := range testees[:2] {
		o := echoOptions(e.z, e.only...)
		o.Brief = true
		if slow {
			o.Sample = 4
		}
		vh := echoVHost(o)
		unhurried(&vh.Limits)
		t.Run(e.name+"/server", func(t *testing.T) {
			leaks(t)
			vh := vh
			vh.Addr = "localhost:0"
			eng := running(t, vh)
			enough(t, Server(t, Dial(eng.VHost("default").Addr()), o), 50)
		})
		t.Run(e.name+"/client", func(t *testing.T) {
			leaks(t)
			enough(t, Client(t, Listen(t, dialler(running(t, vh))), o), 50)
		})
	}
}

// program builds an example.
func program(t *testing.T, name string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), name)
	if out, err := exec.Command("go", "build", "-o", bin, "anyloop/examples/"+name).CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	return bin
}

// TestEchoProgram runs a sample against examples/echo as it is delivered.
func TestEchoProgram(t *testing.T) {
	bin := program(t, "echo")
	for _, deflate := range []bool{false, true} {
		t.Run(fmt.Sprintf("deflate=%v", deflate), func(t *testing.T) {
			o, args := programOptions(deflate)
			cmd := exec.Command(bin, append(args, "-addr", "localhost:0", "-log", "off")...)
			out, err := cmd.StderrPipe()
			if err != nil {
				t.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				cmd.Process.Signal(syscall.SIGTERM)
				if err := cmd.Wait(); err != nil {
					t.Errorf("echo: %v", err)
				}
			})
			var line [200]byte
			n, _ := out.Read(line[:])
			_, addr, ok := strings.Cut(string(line[:n]), "ws://")
			addr, _, _ = strings.Cut(addr, "/")
			if !ok {
				t.Fatalf("echo says %q", line[:n])
			}
			enough(t, Server(t, Dial(addr), o), 30)
		})
	}
}

// TestEchoClientProgram runs a sample against examples/echoclient, a process for
// each connection; its status is its verdict.
func TestEchoClientProgram(t *testing.T) {
	bin := program(t, "echoclient")
	for _, deflate := range []bool{false, true} {
		t.Run(fmt.Sprintf("deflate=%v", deflate), func(t *testing.T) {
			o, args := programOptions(deflate)
			o.Sample *= 2
			enough(t, Client(t, Listen(t, func(url string) error {
				out, err := exec.Command(bin, append(args, "-url", url, "-log", "off")...).CombinedOutput()
				if err != nil {
					return fmt.Errorf("%w: %s", err, out)
				}
				return nil
			}), o), 15)
		})
	}
}

// programOptions are what the example programs do, and how to ask them for it.
func programOptions(deflate bool) (Options, []string) {
	o := echoOptions(nil)
	o.MaxMessage, o.Brief, o.Sample = 16<<20, true, 16
	if *full {
		o.Sample = 1
	}
	if !deflate {
		return o, nil
	}
	o.Deflate = &core.Deflate{Takeover: true}
	if *onlyFlag == "" {
		o.Only = []string{"12", "13", "14", "15", "16"}
	}
	return o, []string{"-deflate", "-takeover"}
}
