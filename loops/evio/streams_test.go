//go:build linux || darwin || freebsd

package evioloop_test

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/evio"
)

// run runs an engine over Streams until the test's end.
func run(t testing.TB, cfg core.Config) *core.Engine {
	t.Helper()
	cfg.Backend = streams(t)
	return runOn(t, cfg)
}

// runOn is run with the backend in cfg.
func runOn(t testing.TB, cfg core.Config) *core.Engine {
	t.Helper()
	eng := engine(t, cfg)
	ran := make(chan struct{})
	var err error
	go func() { err = eng.Run(context.Background()); close(ran) }()
	running.Store(eng, ran)
	t.Cleanup(func() {
		end(t, eng)
		running.Delete(eng)
		if err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return eng
}

// TestPauseTakesTheSocket: evio cannot be stopped from reading. What it has read
// for a paused connection is kept, and after 64 KiB the socket is core's; then
// the sender's window closes, and after Resume everything is there in order.
func TestPauseTakesTheSocket(t *testing.T) {
	leaks(t)
	var conn atomic.Pointer[core.Conn]
	var got atomic.Int64
	bad := make(chan string, 1)
	eng := run(t, core.Config{VHosts: []core.VHost{{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "sum", WS: func(c *core.Conn) core.WSHandler {
		conn.Store(c)
		return counter{&got, bad}
	}}}}}})
	c := wsDial(t, eng.VHost("default").Addr())
	th := eng.Thread(0)
	pauseAnd := func(f func()) (adds uint64) {
		on(t, th, func() { conn.Load().Pause() })
		before := th.Stats().Adds
		f()
		for range 5 {
			on(t, th, func() {}) // Stats are published after each turn
		}
		return th.Stats().Adds - before
	}
	// A pause in which little comes leaves it with evio.
	msg := strings.Repeat("\x07", 1000)
	if n := pauseAnd(func() { c.Send(ws.Binary, []byte(msg)) }); n != 0 {
		t.Errorf("%d sockets were taken for 1000 bytes", n)
	}
	on(t, th, func() { conn.Load().Resume() })
	until(t, "the message arrives", func() bool { return got.Load() == 1000 })

	// One in which much comes does not, and the sender is held up.
	frame := client.Append(nil, ws.Binary, true, []byte(strings.Repeat("\x07", 60000)))
	frames, rest := 1, []byte(nil)
	if n := pauseAnd(func() {
		for {
			n, err := c.TryWrite(frame)
			if err != nil {
				t.Fatal(err)
			}
			if n < len(frame) {
				rest = frame[n:]
				// Full now; only if it stays so is the window closed.
				if frames*60000 > 64<<20 {
					t.Fatal("the sender is never held up")
				}
				on(t, th, func() {})
				if m, _ := c.TryWrite(rest); m == 0 {
					return
				} else if rest = rest[m:]; len(rest) > 0 {
					return
				}
			}
			frames++
		}
	}); n != 1 {
		t.Errorf("%d sockets were taken", n)
	}
	if n := got.Load(); n != 1000 {
		t.Errorf("%d bytes were delivered to a paused connection", n-1000)
	}
	on(t, th, func() { conn.Load().Resume() })
	if _, err := c.Conn.Write(rest); err != nil {
		t.Fatal(err)
	}
	want := int64(1000 + frames*60000)
	until(t, "everything arrives", func() bool { return got.Load() == want })
	select {
	case s := <-bad:
		t.Error(s)
	default:
	}
}

// counter counts bytes, all of which are 7.
type counter struct {
	n   *atomic.Int64
	bad chan string
}

func (h counter) Receive(_ *core.Conn, f core.Fragment) error {
	if strings.Count(string(f.Data), "\x07") != len(f.Data) {
		select {
		case h.bad <- "bytes are not as they were sent":
		default:
		}
	}
	h.n.Add(int64(len(f.Data)))
	return nil
}
func (counter) Writable(*core.Conn, *core.WSWriter) error { return nil }

// TestStreamLostOutput: 32 MiB with wake-ups in between arrive whole.
func TestStreamLostOutput(t *testing.T) {
	leaks(t)
	var conn atomic.Pointer[core.Conn]
	pull(t, run(t, core.Config{VHosts: []core.VHost{pusher(&conn)}}), &conn)
}

// TestStreamNagle: evio's sockets are like core's own.
func TestStreamNagle(t *testing.T) {
	leaks(t)
	eng := run(t, core.Config{VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	checkSocket(t, wsDial(t, eng.VHost("default").Addr()).LocalAddr())
}

// TestAcceptErrorIsSurvived: evio ends the server for want of descriptors. The
// engine is turned all the same, and served again when there are some.
func TestAcceptErrorIsSurvived(t *testing.T) {
	leaks(t)
	eng := run(t, core.Config{VHosts: []core.VHost{echoes("127.0.0.1:0")}})
	addr := eng.VHost("default").Addr()
	c := wsDial(t, addr)
	extra, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(extra)
	to, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	restore := noDescriptors(t)
	defer restore()
	if err := unix.Connect(extra, &unix.SockaddrInet4{Port: to.Port, Addr: [4]byte(to.IP.To4())}); err != nil {
		t.Fatal(err)
	}
	if _, err := c.Next(); err != io.EOF && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("evio's end closes with %v", err)
	}
	for range 10 {
		on(t, eng.Thread(0), func() {}) // by nobody's loop
	}
	restore()
	until(t, "it is served again", func() bool {
		c, err := client.Dial(addr, looptest.Bound)
		if err != nil {
			return false
		}
		defer c.Close()
		return c.Upgrade("") == nil && c.Echo(ws.Text, []byte("again")) == nil
	})
}

// TestStreamAddresses: several of them, of each kind, with one and more threads.
func TestStreamAddresses(t *testing.T) {
	leaks(t)
	for _, threads := range []int{1, 3} {
		dir := t.TempDir()
		path := filepath.Join(dir, "s")
		eng := run(t, core.Config{Threads: threads, VHosts: []core.VHost{
			named("a", "127.0.0.1:0"), named("b", "127.0.0.1:0"), named("local", "localhost:0"), named("all", ":0"), named("u", "unix:"+path),
		}})
		seen := map[string]bool{}
		for _, name := range []string{"a", "b", "local", "all", "u"} {
			addr := eng.VHost(name).Addr()
			if seen[addr] {
				t.Errorf("two vhosts at %s", addr)
			}
			seen[addr] = true
			for range 5 {
				if err := wsDial(t, addr).Echo(ws.Text, []byte(name)); err != nil {
					t.Errorf("%s at %s: %v", name, addr, err)
				}
			}
		}
		_, port, _ := net.SplitHostPort(eng.VHost("local").Addr())
		if c, err := net.Dial("tcp", "[::1]:"+port); err == nil {
			c.Close()
		} else if l, e := net.Listen("tcp", "[::1]:0"); e == nil {
			l.Close()
			t.Errorf("localhost is not served over IPv6: %v", err)
		}
		if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0660 {
			t.Errorf("the unix socket: %v, %v", st, err)
		}
	}
}

func named(name, addr string) core.VHost {
	vh := echoes(addr)
	vh.Name = name
	return vh
}

// TestStreamAddressesRefused: what another server has is refused, also where
// servers of ours share a port, and leaves nothing behind; so is an address that
// comes too late. A file in a socket's place is not removed.
func TestStreamAddressesRefused(t *testing.T) {
	leaks(t)
	dir := t.TempDir()
	file, live, stale := filepath.Join(dir, "file"), filepath.Join(dir, "live"), filepath.Join(dir, "stale")
	if err := os.WriteFile(file, []byte("precious"), 0600); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("unix", live)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	s, err := net.Listen("unix", stale)
	if err != nil {
		t.Fatal(err)
	}
	s.(*net.UnixListener).SetUnlinkOnClose(false)
	s.Close()
	other, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	// It would let others of this user share its port.
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		return c.Control(func(fd uintptr) { unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1) })
	}}
	generous, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer generous.Close()
	for _, threads := range []int{1, 2} {
		for _, addr := range []string{"unix:" + file, "unix:" + live, other.Addr().String(), generous.Addr().String()} {
			_, err := core.New(core.Config{Backend: streams(t), Threads: threads, VHosts: []core.VHost{named("ok", "127.0.0.1:0"), named("taken", addr)}})
			if !errors.Is(err, syscall.EADDRINUSE) {
				t.Errorf("%s with %d threads: %v", addr, threads, err)
			}
		}
		eng := run(t, core.Config{Threads: threads, VHosts: []core.VHost{named("stale", "unix:"+stale)}})
		if err := wsDial(t, "unix:"+stale).Echo(ws.Text, []byte("mine now")); err != nil {
			t.Error(err)
		}
		on(t, eng.Thread(0), func() {
			if _, err := eng.AddVHost(named("late", "127.0.0.1:0")); !errors.Is(err, evioloop.ErrListenLate) {
				t.Errorf("an address that comes late: %v", err)
			}
		})
		end(t, eng)
	}
	if b, err := os.ReadFile(file); err != nil || string(b) != "precious" {
		t.Errorf("the file: %q %v", b, err)
	}
	if _, err := os.Stat(stale); !os.IsNotExist(err) {
		t.Errorf("the socket is left: %v", err)
	}
}

// TestFullThreadsPassOn: the kernel spreads connections without knowing who has
// room; as many get in as there is room for all the same, and no more.
func TestFullThreadsPassOn(t *testing.T) {
	leaks(t)
	const threads, each = 3, 4
	for range 5 {
		eng := run(t, core.Config{Threads: threads, Limits: core.Limits{MaxConns: each}, VHosts: []core.VHost{echoes("127.0.0.1:0")}})
		addr := eng.VHost("default").Addr()
		var all []*client.Conn
		for range threads * each {
			all = append(all, wsDial(t, addr))
		}
		extra, err := client.Dial(addr, looptest.Bound)
		if err != nil {
			t.Fatal(err)
		}
		extra.AskUpgrade("")
		if err := extra.ReadUpgrade(); err == nil {
			t.Error("one more than there is room for")
		}
		extra.Close()
		for _, c := range all {
			if err := c.Echo(ws.Text, []byte("in")); err != nil {
				t.Error(err)
			}
			c.Close()
		}
		until(t, "they are gone", func() bool {
			for i := range threads {
				on(t, eng.Thread(i), func() {}) // Stats are published after each turn
			}
			return eng.Stats().Conns == 0
		})
		end(t, eng)
	}
}
