package sys

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestListenSocketOptions(t *testing.T) {
	lo := loopback(t)
	fds, _ := listenFor(t, ListenOptions{Address: ":0", Interface: lo, BindInterface: true, Backlog: 3, FastOpen: 7, ReusePort: true})
	if len(fds) != 1 {
		t.Fatalf("%d sockets", len(fds))
	}
	if dev, err := unix.GetsockoptString(fds[0], unix.SOL_SOCKET, unix.SO_BINDTODEVICE); dev != lo || err != nil {
		t.Errorf("bound to %q %v, want %s", dev, err, lo)
	}
	for _, o := range []struct{ level, opt, want int }{
		{unix.SOL_SOCKET, unix.SO_REUSEPORT, 1}, {unix.IPPROTO_TCP, unix.TCP_FASTOPEN, 7},
	} {
		if v, err := unix.GetsockoptInt(fds[0], o.level, o.opt); v != o.want || err != nil {
			t.Errorf("option %d is %d %v, want %d", o.opt, v, err, o.want)
		}
	}
	// Of a listening socket the kernel tells the length of the queue here.
	info, err := unix.GetsockoptTCPInfo(fds[0], unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil || info.Sacked != 3 {
		t.Errorf("backlog %d %v", info.Sacked, err)
	}
	_, _, err = ListenAll(ListenOptions{Network: "tcp", Address: ":0", Interface: "nosuch0", BindInterface: true})
	if !Absent(err) || !strings.Contains(err.Error(), "binding to interface nosuch0") {
		t.Errorf("no such interface: %v", err)
	}
}

func TestKeepAliveValues_18_T1(t *testing.T) {
	a, _ := pair(t)
	if err := SetKeepAlive(a, time.Second, time.Second, 1); err == nil {
		t.Log("a unix socket takes the options")
	}
	fds, _ := listenFor(t, ListenOptions{Address: "127.0.0.1:0"})
	if err := SetKeepAlive(fds[0], 7*time.Second, 2*time.Second, 3); err != nil {
		t.Fatal(err)
	}
	for opt, want := range map[int]int{unix.TCP_KEEPIDLE: 7, unix.TCP_KEEPINTVL: 2, unix.TCP_KEEPCNT: 3, unix.TCP_USER_TIMEOUT: 13000} {
		if v, err := unix.GetsockoptInt(fds[0], unix.IPPROTO_TCP, opt); v != want || err != nil {
			t.Errorf("option %d is %d %v, want %d", opt, v, err, want)
		}
	}
}

func TestAbstractNames(t *testing.T) {
	o := ListenOptions{Network: "unix", Address: fmt.Sprintf("@anyloop-test-%d", os.Getpid())}
	fds, bound, err := ListenAll(o)
	if err != nil || bound != o.Address {
		t.Fatal(bound, err)
	}
	defer unix.Close(fds[0])
	sa, err := unix.Getsockname(fds[0])
	if u, ok := sa.(*unix.SockaddrUnix); !ok || u.Name != o.Address {
		t.Errorf("bound to %#v %v", sa, err)
	}
	if PathID(o.Address) != (FileID{}) {
		t.Error("it is a file")
	}
	o.Address, o.UnixMode = "@anyloop-test-mode", 0o600
	if _, _, err := ListenAll(o); err == nil {
		t.Error("an abstract name was given a mode")
	}
}

func TestMemory(t *testing.T) {
	for _, text := range []string{"", "secret", strings.Repeat("x", 1<<20)} {
		fd, err := Memory([]byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := unix.Pwrite(fd, []byte("y"), 0); err != unix.EPERM {
			t.Errorf("it can be changed: %v", err)
		}
		if f, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0); f != unix.FD_CLOEXEC || err != nil {
			t.Errorf("flags %d %v", f, err)
		}
		if got, err := TakeMemory(fd); string(got) != text || err != nil {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		if _, err := TakeMemory(fd); err == nil {
			t.Error("it is still open")
		}
	}
	a, _ := pair(t)
	if _, err := TakeMemory(a); err == nil {
		t.Error("a socket was taken for memory")
	}
	if _, err := unix.FcntlInt(uintptr(a), unix.F_GETFD, 0); err != nil {
		t.Errorf("and closed: %v", err)
	}
	if CloseOnExec(1<<20) == nil {
		t.Error("a descriptor that is not open")
	}
}
