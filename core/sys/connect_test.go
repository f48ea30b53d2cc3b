//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"errors"
	"net"
	"net/netip"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// await waits for an event of a descriptor. The runtime's signals interrupt poll(2).
func await(t *testing.T, fd int, ev int16) {
	t.Helper()
	for {
		p := []unix.PollFd{{Fd: int32(fd), Events: ev}}
		if n, err := unix.Poll(p, 60000); n == 1 {
			return
		} else if err != unix.EINTR {
			t.Fatalf("poll: %d %v", n, err)
		}
	}
}

// deadEnd returns an address at which nobody listens, nor can until the test ends: its
// port is taken, by a socket that does not listen.
func deadEnd(t *testing.T, ip netip.Addr) netip.AddrPort {
	t.Helper()
	sa, err := sockaddr(netip.AddrPortFrom(ip, 0))
	if err != nil {
		t.Fatal(err)
	}
	family := unix.AF_INET
	if ip.Is6() {
		family = unix.AF_INET6
	}
	fd, err := streamSocket(family)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	if err := unix.Bind(fd, sa); err != nil {
		t.Fatal(err)
	}
	if sa, err = unix.Getsockname(fd); err != nil {
		t.Fatal(err)
	}
	return addrOf(sa).AddrPort()
}

// decided waits for the system to have decided.
func decided(t *testing.T, fd int) syscall.Errno {
	t.Helper()
	await(t, fd, unix.POLLOUT)
	var io IO
	return io.Connected(fd)
}

func listenTest(t *testing.T, addr string) (net.Listener, netip.AddrPort) {
	t.Helper()
	l, err := net.Listen("tcp", addr)
	if err != nil {
		t.Skip(err) // no IPv6
	}
	t.Cleanup(func() { l.Close() })
	return l, l.Addr().(*net.TCPAddr).AddrPort()
}

func TestConnect(t *testing.T) {
	for _, addr := range []string{"127.0.0.1:0", "[::1]:0"} {
		l, ap := listenTest(t, addr)
		fd, err := Connect(ConnectOptions{Addr: ap})
		if err != nil {
			t.Fatal(err)
		}
		if e := decided(t, fd); e != 0 {
			t.Errorf("%s: %v", ap, e)
		}
		if fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFL, 0); err != nil || fl&unix.O_NONBLOCK == 0 {
			t.Errorf("flags %x %v: blocking", fl, err)
		}
		if fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); err != nil || fl&unix.FD_CLOEXEC == 0 {
			t.Errorf("flags %x %v: inherited by children", fl, err)
		}
		l.Close()
		unix.Close(fd)
		ap = deadEnd(t, ap.Addr())
		fd, err = Connect(ConnectOptions{Addr: ap})
		e := error(nil)
		if err == nil {
			e = decided(t, fd)
			unix.Close(fd)
		} else {
			e = err
		}
		if !errors.Is(e, syscall.ECONNREFUSED) {
			t.Errorf("%s, where nobody listens: %v", ap, e)
		}
	}
}

func TestConnectedAfterThePeerHasGone(t *testing.T) {
	l, ap := listenTest(t, "127.0.0.1:0")
	fd, err := Connect(ConnectOptions{Addr: ap})
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c.Close()
	await(t, fd, unix.POLLIN)
	if e := decided(t, fd); e != 0 {
		t.Errorf("%v: what the peer left is to be read", e)
	}
}

// TestConnectedSaysNotYet asks too early: no error is not a connection.
func TestConnectedSaysNotYet(t *testing.T) {
	fd, err := streamSocket(unix.AF_INET)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	var io IO
	if e := io.Connected(fd); e != syscall.EINPROGRESS {
		t.Errorf("a socket without a peer: %v", e)
	}
	if e := io.Connected(-1); e != syscall.EBADF {
		t.Errorf("no descriptor: %v", e)
	}
}

// free returns a port that was free just now.
func free(t *testing.T) uint16 {
	l, ap := listenTest(t, "127.0.0.1:0")
	l.Close()
	return ap.Port()
}

func TestConnectFrom(t *testing.T) {
	_, ap := listenTest(t, "127.0.0.1:0")
	local := func(o ConnectOptions) netip.AddrPort {
		t.Helper()
		o.Addr = ap
		fd, err := Connect(o)
		for try := 0; o.LocalPort != 0 && errors.Is(err, syscall.EADDRINUSE) && try < 20; try++ {
			o.LocalPort = free(t) // somebody else was quicker
			fd, err = Connect(o)
		}
		if err != nil {
			t.Fatal(err)
		}
		defer unix.Close(fd)
		if e := decided(t, fd); e != 0 {
			t.Fatal(e)
		}
		sa, err := unix.Getsockname(fd)
		if err != nil {
			t.Fatal(err)
		}
		a := addrOf(sa).AddrPort()
		if o.LocalPort != 0 && a.Port() != o.LocalPort {
			t.Errorf("from %s, want port %d", a, o.LocalPort)
		}
		return a
	}
	lo := netip.MustParseAddr("127.0.0.1")
	if a := local(ConnectOptions{LocalAddr: lo}); a.Addr() != lo || a.Port() == 0 {
		t.Errorf("from %s", a)
	}
	local(ConnectOptions{LocalPort: free(t)})
	name := "lo"
	if runtime.GOOS != "linux" {
		name = "lo0"
	}
	if a := local(ConnectOptions{Interface: name}); a.Addr() != lo {
		t.Errorf("from %s", a)
	}
	for _, c := range []struct {
		o    ConnectOptions
		want string
	}{
		{ConnectOptions{LocalAddr: netip.MustParseAddr("192.0.2.1")}, "local address 192.0.2.1:0: "},
		{ConnectOptions{LocalAddr: netip.MustParseAddr("::1")}, "local address ::1: "},
		{ConnectOptions{Interface: "none7"}, "interface none7: "},
	} {
		c.o.Addr = ap
		if fd, err := Connect(c.o); err == nil || fd != -1 || !strings.HasPrefix(err.Error(), c.want) {
			t.Errorf("%+v: %d %v", c.o, fd, err)
		}
	}
}

// TestInterfaceAddr is what is used where the socket may not be bound to the
// device.
func TestInterfaceAddr(t *testing.T) {
	ifs, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, ifi := range ifs {
		if ifi.Flags&net.FlagLoopback == 0 {
			continue
		}
		lo := netip.MustParseAddr("127.0.0.1")
		if a, err := interfaceAddr(ifi.Name, lo); err != nil || !a.IsLoopback() || !a.Is4() {
			t.Errorf("%s: %s %v", ifi.Name, a, err)
		}
		if a, err := interfaceAddr(ifi.Name, netip.IPv6Loopback()); err == nil && (!a.IsLoopback() || a.Is4()) {
			t.Errorf("%s: %s", ifi.Name, a)
		}
	}
	if _, err := interfaceAddr("none7", netip.IPv6Loopback()); err == nil {
		t.Error("an interface that is not there has an address")
	}
}

func TestSockaddrZones(t *testing.T) {
	sa, err := sockaddr(netip.MustParseAddrPort("[fe80::1%7]:80"))
	if s, ok := sa.(*unix.SockaddrInet6); err != nil || !ok || s.ZoneId != 7 || s.Port != 80 {
		t.Errorf("%+v %v", sa, err)
	}
	if _, err := sockaddr(netip.MustParseAddrPort("[fe80::1%none7]:80")); err == nil || !strings.HasPrefix(err.Error(), "zone none7: ") {
		t.Errorf("%v", err)
	}
}

func TestConnectUnix(t *testing.T) {
	paths := []string{filepath.Join(t.TempDir(), "s")}
	if runtime.GOOS == "linux" {
		paths = append(paths, "@anyloop connect test "+paths[0])
	}
	for _, path := range paths {
		lfd, err := listenUnix(&ListenOptions{Address: path})
		if err != nil {
			t.Fatal(err)
		}
		fd, err := Connect(ConnectOptions{Path: path})
		if err != nil {
			t.Fatal(err)
		}
		if e := decided(t, fd); e != 0 {
			t.Errorf("%s: %v", path, e)
		}
		unix.Close(fd)
		if err := unix.Listen(lfd, 0); err != nil {
			t.Fatal(err)
		}
		var full error
		var open []int
		for range 10 {
			fd, err := Connect(ConnectOptions{Path: path})
			if err != nil {
				full = err
				break
			}
			open = append(open, fd)
		}
		if runtime.GOOS == "linux" && (full == nil || !errors.Is(full, syscall.EAGAIN) || !strings.Contains(full.Error(), "queue is full")) {
			t.Errorf("%d connected, then %v", len(open), full)
		}
		for _, fd := range append(open, lfd) {
			unix.Close(fd)
		}
		if _, err := Connect(ConnectOptions{Path: path}); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("nobody listens: %v", err)
		}
	}
	if _, err := Connect(ConnectOptions{Path: paths[0] + "/none"}); err == nil {
		t.Error("no such path, and no error")
	}
	if _, err := Connect(ConnectOptions{Path: strings.Repeat("x", 200)}); err == nil {
		t.Error("a path that is too long, and no error")
	}
}
