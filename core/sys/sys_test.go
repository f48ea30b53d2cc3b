//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func pair(t *testing.T) (a, b int) {
	t.Helper()
	p, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range p {
		unix.SetNonblock(fd, true)
	}
	t.Cleanup(func() { unix.Close(p[0]); unix.Close(p[1]) })
	return p[0], p[1]
}

func TestReadWritePeek(t *testing.T) {
	a, b := pair(t)
	var io IO
	buf := make([]byte, 64)
	if _, e := io.Read(a, buf); e != syscall.EAGAIN {
		t.Errorf("nothing there: %v", e)
	}
	if _, e := io.Peek(a); e != syscall.EAGAIN {
		t.Errorf("peek of nothing: %v", e)
	}
	if n, e := io.Write(b, []byte("head"), []byte("tail")); n != 8 || e != 0 {
		t.Errorf("write of two: %d %v", n, e)
	}
	if n, e := io.Peek(a); n != 1 || e != 0 {
		t.Errorf("peek: %d %v", n, e)
	}
	if n, e := io.Read(a, buf); string(buf[:n]) != "headtail" || e != 0 {
		t.Errorf("read %q %v", buf[:n], e)
	}
	if io.HungUp(a) {
		t.Error("hung up while open")
	}
	io.CloseWrite(b)
	if n, e := io.Read(a, buf); n != 0 || e != 0 {
		t.Errorf("end of stream: %d %v", n, e)
	}
	if n, e := io.Peek(a); n != 0 || e != 0 {
		t.Errorf("peek at the end: %d %v", n, e)
	}
	io.CloseWrite(a)
	if !io.HungUp(a) {
		t.Error("not hung up with both directions over")
	}
	if io.Reads != 3 || io.BytesIn != 8 || io.BytesOut != 8 {
		t.Errorf("counts %+v", io.Counts)
	}
}

func TestListenLocalhostAndAccept(t *testing.T) {
	fds, bound, err := ListenAll(ListenOptions{Network: "tcp", Address: "localhost:0"})
	if err != nil {
		t.Fatal(err)
	}
	var io IO
	for _, fd := range fds {
		defer io.Close(fd)
	}
	if !strings.HasPrefix(bound, "localhost:") || strings.HasSuffix(bound, ":0") {
		t.Errorf("bound to %s", bound)
	}
	if _, _, e := io.Accept(fds[0]); e != syscall.EAGAIN {
		t.Errorf("nobody there: %v", e)
	}
	inherits := ListenNoDelay(fds[0])
	_, port, _ := net.SplitHostPort(bound)
	c, err := net.Dial("tcp4", "127.0.0.1:"+port)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	await(t, fds[0], unix.POLLIN)
	fd, peer, e := io.Accept(fds[0])
	if e != 0 || peer.String() != c.LocalAddr().String() {
		t.Fatalf("accept: %s %v, want %s", peer, e, c.LocalAddr())
	}
	defer io.Close(fd)
	if err := SetKeepAlive(fd, 7*time.Second, 2*time.Second, 3); err != nil {
		t.Error(err)
	}
	if v, _ := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE); v == 0 {
		t.Error("keepalive is off")
	}
	if v, _ := unix.GetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY); v == 0 && inherits {
		t.Error("TCP_NODELAY is not inherited")
	}
	if err := SetNoDelay(fd, true); err != nil {
		t.Error(err)
	}
	if _, _, err := ListenAll(ListenOptions{Network: "tcp", Address: "127.0.0.1:" + port}); !errors.Is(err, syscall.EADDRINUSE) || !strings.Contains(err.Error(), port) {
		t.Errorf("a busy port: %v", err)
	}
	if _, _, err := ListenAll(ListenOptions{Network: "tcp", Address: "nonsense"}); err == nil {
		t.Error("an address without a port was accepted")
	}
}

func TestUnixSocket(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var io IO
	open := func() int {
		t.Helper()
		fds, _, err := ListenAll(ListenOptions{Network: "unix", Address: path})
		if err != nil {
			t.Fatal(err)
		}
		return fds[0]
	}
	fd := open()
	if st, err := os.Stat(path); err != nil || st.Mode().Perm() != 0o660 {
		t.Errorf("mode %v %v", st.Mode(), err)
	}
	if _, _, err := ListenAll(ListenOptions{Network: "unix", Address: path}); !errors.Is(err, syscall.EADDRINUSE) {
		t.Errorf("somebody listens there: %v", err)
	}
	io.Close(fd)
	io.Close(open()) // the stale path is removed
}

func TestFromListener(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	fd, err := FromListener(l)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatalf("the duplicate does not listen: %v", err)
	}
	c.Close()
	if _, err := l.Accept(); err == nil {
		t.Error("the original still accepts")
	}
}

func TestDoorbell(t *testing.T) {
	d, err := NewDoorbell()
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	readable := func() bool {
		p := []unix.PollFd{{Fd: int32(d.FD()), Events: unix.POLLIN}}
		n, _ := unix.Poll(p, 0)
		return n > 0
	}
	if readable() {
		t.Error("readable before the first ring")
	}
	for range 3 {
		for range 1000 {
			d.Ring()
		}
		if !readable() {
			t.Error("not readable after a ring")
		}
		d.Clear()
		if readable() {
			t.Error("readable after Clear")
		}
	}
}

func TestNoAllocations(t *testing.T) {
	a, b := pair(t)
	var io IO
	msg, buf := []byte("message"), make([]byte, 64)
	if n := testing.AllocsPerRun(100, func() {
		io.Write(a, msg, nil)
		io.Write(a, msg, msg)
		io.Read(b, buf)
		io.Peek(b)
	}); n > 1 { // recvfrom's address
		t.Errorf("%v allocations", n)
	}
}
