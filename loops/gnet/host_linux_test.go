//go:build !poll_opt

package gnetloop_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/ws"
	"anyloop/loops/gnet"
)

// host is an application with a poller of its own that also hosts core. It has
// one descriptor, an eventfd that is always readable: so Polling never sleeps,
// every batch has one event of it, and the test, which is the goroutine inside
// Polling, knows where a batch has surely ended. Clients are on unix sockets,
// where a write has arrived when it returns: so calls can be counted exactly.
type host struct {
	t     testing.TB
	p     *netpoll.Poller
	fence int
	back  *gnetloop.Loops
	eng   *core.Engine
	path  string
	step  func() (end bool) // called after a whole batch without an event of core's
	quiet int
	buf   [1 << 16]byte
}

func newHost(t testing.TB, cfg core.Config, opts ...gnetloop.Option) *host {
	t.Helper()
	h := &host{t: t, path: filepath.Join(t.TempDir(), "s")}
	h.p = openPoller(t)
	h.fence = eventfd(t)
	if err := h.p.AddRead(&netpoll.PollAttachment{FD: h.fence}, false); err != nil {
		t.Fatal(err)
	}
	h.back = gnetloop.Backend(append(opts, gnetloop.Shared(h.p))...)
	cfg.Backend = h.back
	for i := range cfg.VHosts {
		cfg.VHosts[i].Addr = "unix:" + h.path
	}
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	h.eng = eng
	t.Cleanup(h.stop)
	return h
}

// eventfd returns a descriptor that is always readable.
func eventfd(t testing.TB) int {
	t.Helper()
	fd, err := unix.Eventfd(1, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	return fd
}

// run turns the poller, calling step after each quiet batch, until it returns
// true.
func (h *host) run(step func() (end bool)) {
	h.t.Helper()
	h.step, h.quiet = step, 0
	if err := h.p.Polling(h.event); !errors.Is(err, gneterrors.ErrEngineShutdown) {
		h.t.Fatal(err)
	}
}

func (h *host) event(fd int, ev netpoll.IOEvent, flags netpoll.IOFlags) error {
	if fd != h.fence {
		h.quiet = 0
		if !h.back.Thread(0).Dispatch(fd, ev, flags) {
			h.t.Errorf("descriptor %d is nobody's", fd)
		}
		return nil
	}
	if h.quiet++; h.quiet < 3 { // the rest of one batch, and a whole one
		return nil
	}
	h.quiet = 0
	if h.step() {
		return gneterrors.ErrEngineShutdown
	}
	return nil
}

// settle turns until nothing of core's is ready.
func (h *host) settle() { h.t.Helper(); h.run(func() bool { return true }) }

func (h *host) stop() {
	h.eng.Stop(-1)
	bound := time.Now().Add(bound)
	h.run(func() bool { return !h.eng.Thread(0).Hosted() || time.Now().After(bound) })
	select {
	case <-h.eng.Done():
	default:
		h.t.Error("the engine has not ended")
	}
}

const bound = time.Minute

// dial connects and upgrades.
func (h *host) dial() (fd int) {
	h.t.Helper()
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: h.path})
	}
	if err != nil {
		h.t.Fatal(err)
	}
	unix.SetNonblock(fd, true)
	h.send(fd, []byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"))
	h.settle()
	if n := h.recv(fd); !bytes.HasPrefix(h.buf[:n], []byte("HTTP/1.1 101")) {
		h.t.Fatalf("upgrade: %q", h.buf[:n])
	}
	return fd
}

func (h *host) send(fd int, p []byte) {
	if n, err := unix.Write(fd, p); err != nil || n != len(p) {
		h.t.Fatalf("write: %d %v", n, err)
	}
}

// recv reads what has arrived; it does not wait.
func (h *host) recv(fd int) int {
	n, err := unix.Read(fd, h.buf[:])
	if err != nil {
		h.t.Fatal(err)
	}
	return n
}

// echo sends one message and reads it back.
func (h *host) echo(fd int) {
	h.t.Helper()
	h.send(fd, message)
	h.settle()
	if n := h.recv(fd); !bytes.Equal(h.buf[:n], echoed) {
		h.t.Fatalf("echo: %q", h.buf[:n])
	}
}

var (
	message = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, bytes.Repeat([]byte("m"), 64))
	echoed  = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, bytes.Repeat([]byte("m"), 64))
)

func echoVHost() core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}
}

// open is what a process holds.
type open struct{ descriptors, goroutines int }

func holds(t testing.TB) open {
	t.Helper()
	ents, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip("no /proc/self/fd")
	}
	return open{len(ents), runtime.NumGoroutine()}
}

// leaks fails the test if, at its end, more is held than now.
func leaks(t testing.TB) {
	t.Helper()
	before := holds(t)
	t.Cleanup(func() {
		var after open
		for end := time.Now().Add(bound); time.Now().Before(end); runtime.Gosched() {
			if after = holds(t); after.descriptors <= before.descriptors && after.goroutines <= before.goroutines {
				return
			}
		}
		t.Errorf("%+v are held, before it was %+v", after, before)
	})
}

// watched returns how many descriptors are registered in the epoll instance that
// watches fd.
func watched(t testing.TB, fd int) int {
	t.Helper()
	ents, err := os.ReadDir("/proc/self/fdinfo")
	if err != nil {
		t.Skip("no /proc/self/fdinfo")
	}
	for _, e := range ents {
		b, err := os.ReadFile("/proc/self/fdinfo/" + e.Name())
		if err != nil {
			continue
		}
		n, found := 0, false
		for line := range strings.Lines(string(b)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "tfd:" {
				n++
				found = found || f[1] == strconv.Itoa(fd)
			}
		}
		if found {
			return n
		}
	}
	t.Fatalf("no epoll instance watches %d", fd)
	return 0
}
