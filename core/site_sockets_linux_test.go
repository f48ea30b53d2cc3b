package core_test

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/sys"
	"anyloop/loops/poll"
)

// sockets returns our descriptors of which pick says yes.
func sockets(t *testing.T, pick func(fd int) bool) (fds []int) {
	t.Helper()
	dir, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range dir {
		if fd, err := strconv.Atoi(d.Name()); err == nil && sys.IsTCP(fd) && pick(fd) {
			fds = append(fds, fd)
		}
	}
	return fds
}

func portOf(sa unix.Sockaddr) int {
	switch s := sa.(type) {
	case *unix.SockaddrInet4:
		return s.Port
	case *unix.SockaddrInet6:
		return s.Port
	}
	return 0
}

// accepted returns the other end of c, which the engine has accepted.
func accepted(t *testing.T, c net.Conn) int {
	t.Helper()
	fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n") // kept alive
	c.SetDeadline(time.Now().Add(time.Minute))
	if n, err := c.Read(make([]byte, 4096)); n == 0 {
		t.Fatal(err)
	}
	port := c.LocalAddr().(*net.TCPAddr).Port
	fds := sockets(t, func(fd int) bool {
		sa, err := unix.Getpeername(fd)
		return err == nil && portOf(sa) == port
	})
	if len(fds) != 1 {
		t.Fatalf("%d descriptors have the peer %s", len(fds), c.LocalAddr())
	}
	return fds[0]
}

func device(fd int) string {
	dev, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE)
	if err != nil {
		return err.Error()
	}
	return dev
}

func TestKeepAliveOfAcceptedSockets_18_T1(t *testing.T) {
	ka := core.KeepAlive{Idle: 7 * time.Second, Interval: 2 * time.Second, Probes: 3}
	r := run(t, core.Config{KeepAlive: ka, VHosts: []core.VHost{at("127.0.0.1:0", named("a.test"))}})
	c, err := net.Dial("tcp", r.VHost("a.test").Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	fd := accepted(t, c)
	for _, o := range []struct{ level, opt, want int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1}, {unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, 7},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, 2}, {unix.IPPROTO_TCP, unix.TCP_KEEPCNT, 3},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, 13000}, {unix.IPPROTO_TCP, unix.TCP_NODELAY, 1},
	} {
		if v, err := unix.GetsockoptInt(fd, o.level, o.opt); v != o.want || err != nil {
			t.Errorf("option %d.%d is %d %v, want %d", o.level, o.opt, v, err, o.want)
		}
	}
	if fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); fl&unix.FD_CLOEXEC == 0 || err != nil {
		t.Errorf("descriptor flags %d %v", fl, err)
	}
}

func TestReusePortOpensASocketPerThread(t *testing.T) {
	r := run(t, core.Config{Threads: 3, ReusePort: true, VHosts: []core.VHost{at("127.0.0.1:0", named("a.test"))}})
	_, port, _ := net.SplitHostPort(r.VHost("a.test").Addr())
	fds := sockets(t, func(fd int) bool {
		sa, err := unix.Getsockname(fd)
		on, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		return err == nil && on == 1 && strconv.Itoa(portOf(sa)) == port
	})
	if len(fds) != 3 {
		t.Fatalf("%d sockets listen on port %s", len(fds), port)
	}
	for _, fd := range fds {
		if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT); v != 1 || err != nil {
			t.Errorf("SO_REUSEPORT is %d %v", v, err)
		}
	}
}

// TestBindInterfaceHoldsForEverySocket_29: of those that listen, those that were
// accepted, and those that were adopted.
func TestBindInterfaceHoldsForEverySocket_29(t *testing.T) {
	cfg := at(":0", named("a.test"))
	cfg.Interface, cfg.BindInterface = "lo", true
	r := run(t, core.Config{VHosts: []core.VHost{cfg}})
	_, port, _ := net.SplitHostPort(r.VHost("a.test").Addr())
	c, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if dev := device(accepted(t, c)); dev != "lo" {
		t.Errorf("the accepted socket is bound to %q", dev)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	c2, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c2.Close()
	s, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	f, err := s.(*net.TCPConn).File()
	s.Close()
	if err != nil {
		t.Fatal(err)
	}
	fd, _ := unix.Dup(int(f.Fd()))
	f.Close()
	r.on(func() {
		if _, err := r.Thread(0).AdoptSocket(fd, r.VHost("a.test"), "peer", nil); err != nil {
			t.Error(err)
		}
	})
	if dev := device(accepted(t, c2)); dev != "lo" {
		t.Errorf("the adopted socket is bound to %q", dev)
	}
}

// TestInterfacesDivideAPort: vhosts share a socket only if all that matters is the
// same.
func TestInterfacesDivideAPort(t *testing.T) {
	any4 := at("0.0.0.0:0", named("device.test"))
	any4.Interface, any4.BindInterface, any4.Family = "lo", true, core.IPv4Only
	r := run(t, core.Config{VHosts: []core.VHost{any4}})
	_, port, _ := net.SplitHostPort(r.VHost("device.test").Addr())
	same := any4
	same.Addr, same.Name, same.Protocols = "0.0.0.0:"+port, "same.test", named("same.test").Protocols
	r.add(same)
	six := at("[::1]:"+port, named("six.test"))
	six.Family = core.IPv6Only
	var err error
	r.on(func() { _, err = r.AddVHost(six) })
	if err != nil {
		t.Log("no IPv6 here:", err)
	} else {
		mustAsk(t, "tcp", six.Addr, "device.test", "six.test")
	}
	mustAsk(t, "tcp", "127.0.0.1:"+port, "same.test", "same.test")
	mustAsk(t, "tcp", "127.0.0.1:"+port, "six.test", "device.test")
	other := at("0.0.0.0:"+port, named("other.test"))
	other.Family = core.IPv4Only
	r.on(func() {
		if vh, err := r.AddVHost(other); err == nil {
			t.Errorf("%s shares a socket that other interfaces do not reach", vh.Name())
		}
	})
}

func TestInterfaceThatIsNotThere(t *testing.T) {
	cfg := at(":0", named("a.test"))
	cfg.Interface = "nosuch0"
	_, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{cfg}})
	if err == nil || !strings.Contains(err.Error(), "nosuch0") {
		t.Errorf("New says %v", err)
	}
	cfg.BindLater = true
	r := run(t, core.Config{VHosts: []core.VHost{cfg}})
	if a := r.VHost("a.test").Addr(); a != "" {
		t.Errorf("it listens on %s", a)
	}
}
