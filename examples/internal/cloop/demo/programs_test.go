//go:build foreignloops && cgo && linux

package demo_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/examples/internal/try"
)

// running is a program and what it says.
type running struct {
	t     *testing.T
	cmd   *exec.Cmd
	lines chan string
}

func start(t *testing.T, bin string, args ...string) *running {
	t.Helper()
	r := &running{t: t, cmd: exec.Command(bin, args...), lines: make(chan string, 1<<16)}
	stderr, err := r.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := r.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.cmd.Process.Kill() }) // of no effect if it has ended
	go func() {
		defer close(r.lines)
		for s := bufio.NewScanner(stderr); s.Scan(); {
			r.lines <- s.Text()
		}
	}()
	return r
}

// says waits for a line that begins so.
func (r *running) says(want string) string {
	r.t.Helper()
	late := time.After(try.Bound)
	for {
		select {
		case line, ok := <-r.lines:
			if !ok {
				r.t.Fatalf("it has ended without saying %q", want)
			}
			if strings.HasPrefix(line, want) {
				return line
			}
		case <-late:
			r.t.Fatalf("it does not say %q", want)
		}
	}
}

func (r *running) signal(s os.Signal) {
	r.t.Helper()
	if err := r.cmd.Process.Signal(s); err != nil {
		r.t.Fatal(err)
	}
}

func (r *running) ends() {
	r.t.Helper()
	r.signal(os.Interrupt)
	r.says("nothing is left in the loop")
	if err := r.cmd.Wait(); err != nil {
		r.t.Errorf("it ended with %v", err)
	}
}

// TestPrograms: each serves a page and WebSockets beside its own timer, leaves the
// loop and comes back on a signal, with the connections that it had, and ends
// well, in the loop or out of it.
func TestPrograms(t *testing.T) {
	address := regexp.MustCompile(`http://([^/]+)/`)
	for _, name := range []string{"uv", "ev", "event", "glib"} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("GOFLAGS", "-tags=foreignloops")
			bin := try.Program(t, "anyloop/examples/"+name)
			for _, nested := range []bool{false, true} {
				args, starts := []string{"-addr", "127.0.0.1:0", "-every", "1ms"}, name+":"
				if nested {
					args, starts = append(args, "-nested"), name+"/nested:"
				}
				r := start(t, bin, args...)
				addr := address.FindStringSubmatch(r.says(starts))[1]
				servesPage(t, addr)
				c := try.Dial(t, addr, "echo")
				c.Send("one")
				c.Want(t, "one")
				r.says("tick")
				r.signal(syscall.SIGUSR1)
				r.says("detached")
				c.Send("two")
				for range 5 {
					r.says("tick")
				}
				r.signal(syscall.SIGUSR1)
				r.says("attached")
				c.Want(t, "two")
				r.says("tick")
				servesPage(t, addr)
				if nested {
					r.signal(syscall.SIGUSR1)
					r.says("detached")
				}
				c.Close()
				r.ends()
			}
		})
	}
}

func servesPage(t *testing.T, addr string) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: try.Bound}
	res, err := client.Get("http://" + addr + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || !strings.Contains(string(body), "WebSocket") {
		t.Errorf("the page: %s %v %.40q", res.Status, err, body)
	}
}

// TestLoopFlag: the other examples have these loops by name, on one service thread
// and on two, and end well with connections open.
func TestLoopFlag(t *testing.T) {
	t.Setenv("GOFLAGS", "-tags=foreignloops")
	bin := try.Program(t, "anyloop/examples/echo")
	for _, name := range []string{"uv", "ev", "event", "glib"} {
		for _, threads := range []string{"1", "2"} {
			t.Run(name+"/"+threads, func(t *testing.T) {
				line := try.Run(t, bin, "-addr", "127.0.0.1:0", "-loop", name, "-threads", threads)
				m := regexp.MustCompile(`^echo: ws://([^/]+)/ on ` + name + `$`).FindStringSubmatch(line)
				if m == nil {
					t.Fatalf("it said %q", line)
				}
				for _, msg := range []string{"a", "b", strings.Repeat("c", 100_000)} {
					c := try.Dial(t, m[1], "any")
					for range 3 {
						if err := c.Send(msg); err != nil {
							t.Fatal(err)
						}
						c.Want(t, msg)
					}
				}
			})
		}
	}
}
