//go:build unix

package core_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/loops/poll"
)

// running is an engine that serves real sockets until the test ends.
type running struct {
	*core.Engine
	t   *testing.T
	end func()
}

func run(t *testing.T, cfg core.Config) *running {
	t.Helper()
	cfg.Backend, cfg.Limits = poll.Backend(), unhurried
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(context.Background()) }()
	r := &running{Engine: eng, t: t}
	r.end = sync.OnceFunc(func() {
		eng.Stop(-1)
		if err := <-ran; err != nil {
			t.Error(err)
		}
		if st := eng.Stats(); st.Adds != st.Dels || st.Panics != 0 {
			t.Errorf("left over: %+v", st)
		}
	})
	t.Cleanup(r.end)
	return r
}

// on runs fn on a loop thread.
func (r *running) on(fn func()) {
	r.t.Helper()
	done := make(chan struct{})
	if err := r.Post(func() { defer close(done); fn() }); err != nil {
		r.t.Fatal(err)
	}
	<-done
}

func (r *running) add(cfg core.VHost) (vh *core.VirtualHost) {
	r.t.Helper()
	var err error
	r.on(func() { vh, err = r.AddVHost(cfg) })
	if err != nil {
		r.t.Fatal(err)
	}
	return vh
}

func at(addr string, vh core.VHost) core.VHost {
	vh.Addr = addr
	return vh
}

// ask makes one request over a connection of its own, and returns the vhost that
// answered.
func ask(network, addr, host string) (string, error) {
	c, err := net.DialTimeout(network, addr, time.Minute)
	if err != nil {
		return "", err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n", host)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		return "", err
	}
	b, err := io.ReadAll(resp.Body)
	return strings.Trim(string(b), "<>"), err
}

func mustAsk(t *testing.T, network, addr, host, want string) {
	t.Helper()
	if got, err := ask(network, addr, host); got != want || err != nil {
		t.Errorf("%s at %s is served by %q %v, want %s", host, addr, got, err, want)
	}
}

// TestNoConnectionIsRefusedWhenTheFirstVHostGoes_27_T5: clients connect all the
// while.
func TestNoConnectionIsRefusedWhenTheFirstVHostGoes_27_T5(t *testing.T) {
	for _, threads := range []int{1, 3} {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			r := run(t, core.Config{Threads: threads, ReusePort: threads > 1, VHosts: []core.VHost{at("127.0.0.1:0", named("first.test"))}})
			addr := r.VHost("first.test").Addr()
			r.add(at(addr, named("stays.test"))) // by the number of its port
			var asked atomic.Int64
			var wg sync.WaitGroup
			stop := make(chan struct{})
			for range 4 {
				wg.Add(1)
				go func() {
					defer wg.Done()
					for {
						select {
						case <-stop:
							return
						default:
						}
						if got, err := ask("tcp", addr, "stays.test"); got != "stays.test" || err != nil {
							t.Errorf("served by %q, %v", got, err)
							return
						}
						asked.Add(1)
					}
				}()
			}
			more := func() {
				for n := asked.Load(); asked.Load() < n+50 && !t.Failed(); {
					runtime.Gosched()
				}
			}
			more()
			r.on(func() { r.VHost("first.test").Remove() })
			more()
			for range 20 {
				vh := r.add(at(addr, named("guest.test")))
				mustAsk(t, "tcp", addr, "guest.test", "guest.test")
				r.on(vh.Remove)
			}
			more()
			close(stop)
			wg.Wait()
			mustAsk(t, "tcp", addr, "first.test", "stays.test")
		})
	}
}

func TestVHostsComeAndGoWithoutALeak_27_T8(t *testing.T) {
	r := run(t, core.Config{Threads: 2, VHosts: []core.VHost{at("127.0.0.1:0", named("stays.test"))}})
	addr := r.VHost("stays.test").Addr()
	mustAsk(t, "tcp", addr, "x", "stays.test")
	path := filepath.Join(t.TempDir(), "s")
	round := func() {
		destroyed := make(chan struct{}, 3)
		shared, alone, local := named("shared.test"), named("alone.test"), named("local.test")
		for _, vh := range []*core.VHost{&shared, &alone, &local} {
			vh.Protocols[0].Destroy = func(*core.VirtualHost) { destroyed <- struct{}{} }
		}
		a, b, c := r.add(at(addr, shared)), r.add(at("127.0.0.1:0", alone)), r.add(at("unix:"+path, local))
		mustAsk(t, "tcp", addr, "shared.test", "shared.test")
		mustAsk(t, "tcp", b.Addr(), "x", "alone.test")
		mustAsk(t, "unix", path, "x", "local.test")
		r.on(func() { a.Remove(); b.Remove(); c.Remove() })
		for range 3 {
			<-destroyed
		}
	}
	round()
	settle := func() (int, int) { return runtime.NumGoroutine(), openFiles(t) }
	gos, fds := settle()
	for range 100 {
		round()
	}
	for end := time.Now().Add(time.Minute); ; runtime.Gosched() {
		g, f := settle()
		if g <= gos && f <= fds {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d goroutines and %d descriptors, %d and %d before", g, f, gos, fds)
		}
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the path of the unix socket: %v", err)
	}
	mustAsk(t, "tcp", addr, "alone.test", "stays.test")
}

// lonely is an address of which others that look for a free port take none, if the
// system has more of them than 127.0.0.1.
func lonely() string {
	if runtime.GOOS != "linux" {
		return "127.0.0.1:0"
	}
	pid := os.Getpid()
	return fmt.Sprintf("127.%d.%d.%d:0", 1+pid>>16&63, pid>>8&255, pid&255)
}

// Whoever has seen Destroy can listen on the address.
func TestDestroyFollowsTheSockets_27(t *testing.T) {
	for _, threads := range []int{1, 2} {
		for _, reuse := range []bool{false, true} {
			t.Run(fmt.Sprintf("threads%d/reuseport=%v", threads, reuse), func(t *testing.T) {
				r := run(t, core.Config{Threads: threads, ReusePort: reuse, VHosts: []core.VHost{at("127.0.0.1:0", named("stays.test"))}})
				path := filepath.Join(t.TempDir(), "s")
				for _, addr := range []string{lonely(), "unix:" + path} {
					cfg := at(addr, named("goes.test"))
					var again error
					destroyed := make(chan struct{})
					cfg.Protocols[0].Destroy = func(vh *core.VirtualHost) {
						var l net.Listener
						if network, addr, ok := strings.Cut(vh.Addr(), ":"); ok && network == "unix" {
							l, again = net.Listen(network, addr)
						} else {
							l, again = net.Listen("tcp", vh.Addr())
						}
						if l != nil {
							l.Close()
						}
						close(destroyed)
					}
					vh := r.add(cfg)
					r.on(vh.Remove)
					<-destroyed
					if again != nil {
						t.Errorf("in Destroy: %v", again)
					}
				}
			})
		}
	}
}

func TestUnixSocketPath_27(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	cfg := at("unix:"+path, named("a.test"))
	cfg.UnixMode = 0o606
	open := func() *running { return run(t, core.Config{VHosts: []core.VHost{cfg}}) }
	r := open()
	if st, err := os.Lstat(path); err != nil || st.Mode().Perm() != 0o606 {
		t.Errorf("%v %v", st, err)
	}
	if a := r.VHost("a.test").Addr(); a != "unix:"+path {
		t.Errorf("it listens on %s", a)
	}
	if _, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{cfg}}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody listens there: %v", err)
	}
	mustAsk(t, "unix", path, "x", "a.test")
	r.end()
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("at the end: %v", err)
	}
	// What a killed program leaves is replaced; what was replaced is not removed.
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: path, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	r = open()
	mustAsk(t, "unix", path, "x", "a.test")
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	other, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	r.end()
	if _, err := os.Lstat(path); err != nil {
		t.Errorf("another program's socket was removed: %v", err)
	}
	// New that fails leaves no path.
	path += "2"
	cfg.Addr = "unix:" + path
	taken := at("unix:"+filepath.Dir(path), named("b.test"))
	if _, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{cfg, taken}}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("a directory is in the way: %v", err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("after a failure: %v", err)
	}
}

func TestListenOptionsThatContradict(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	cfg := named("a.test")
	cfg.Listener, cfg.Backlog = l, 3
	if _, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{cfg}}); err == nil || !strings.Contains(err.Error(), "Listener") {
		t.Errorf("a Listener with a Backlog: %v", err)
	}
	later := at("nonsense", named("a.test"))
	later.BindLater = true
	if _, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{later}}); err == nil {
		t.Error("an address that can never be was waited for")
	}
}
