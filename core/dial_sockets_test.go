//go:build unix

package core

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/sys"
	"anyloop/loops/poll"
)

// street is an engine over a real loop that runs, for races over real sockets.
type street struct {
	t     *testing.T
	eng   *Engine
	th    *Thread
	names *names
}

// landed is how a race went: what came over the connection, or the error.
type landed struct {
	peer  string
	got   string
	local netip.AddrPort
	quick bool // TCP_NODELAY is on
	err   error
}

// openFiles returns the number of descriptors of the process, -1 where it is not
// to be had.
func openFiles() int {
	d, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return -1
	}
	return len(d)
}

func onStreet(t *testing.T, f func(w *street)) {
	t.Helper()
	for name, opt := range map[string]poll.Option{"best": poll.WithPoller(poll.Default), "poll": poll.WithPoller(poll.Poll2)} {
		t.Run(name, func(t *testing.T) {
			// The runtime opens its own poller once.
			if l, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
				l.Close()
			}
			gos, fds := runtime.NumGoroutine(), openFiles()
			w := &street{t: t, names: &names{addrs: map[string][]netip.Addr{}}}
			eng, err := New(Config{Backend: poll.Backend(opt), Resolver: w.names})
			if err != nil {
				t.Fatal(err)
			}
			w.eng, w.th = eng, eng.Thread(0)
			ran := make(chan error, 1)
			go func() { ran <- eng.Run(context.Background()) }()
			f(w)
			eng.Stop(-1)
			if err := <-ran; err != nil {
				t.Error(err)
			}
			if st := eng.Stats(); st.Adds != st.Dels || st.Panics != 0 {
				t.Errorf("left over: %+v", st)
			}
			for end := time.Now().Add(time.Minute); runtime.NumGoroutine() > gos; runtime.Gosched() {
				if time.Now().After(end) {
					t.Fatalf("%d goroutines before, %d after", gos, runtime.NumGoroutine())
				}
			}
			if n := openFiles(); n != fds {
				t.Errorf("%d descriptors before, %d after", fds, n)
			}
		})
	}
}

// to connects and, if that works, reads to the end of the stream.
func (w *street) to(t target) landed {
	w.t.Helper()
	res := make(chan landed, 2)
	w.eng.Post(func() {
		w.th.reach(t, func(from *link, peer string, err error) {
			if err != nil {
				res <- landed{err: err}
				return
			}
			r := &lastWordRole{res: res, out: landed{peer: peer}}
			l := w.th.newLink(-1, r)
			l.flags |= lfKeepFD | lfReady
			w.th.drift(l)
			l.inherit(from)
			r.out.local = localOf(int(l.fd))
			v, _ := syscall.GetsockoptInt(int(l.fd), syscall.IPPROTO_TCP, syscall.TCP_NODELAY)
			r.out.quick = v != 0
			w.th.begin(l)
			w.th.finishService(l)
		})
	})
	select {
	case r := <-res:
		return r
	case <-time.After(time.Minute):
		w.t.Fatal("nothing came of it")
		return landed{}
	}
}

func localOf(fd int) netip.AddrPort {
	switch sa, _ := syscall.Getsockname(fd); s := sa.(type) {
	case *syscall.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))
	case *syscall.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(s.Addr), uint16(s.Port))
	}
	return netip.AddrPort{}
}

// lastWordRole reads to the end of the stream.
type lastWordRole struct {
	baseRole
	res chan landed
	out landed
}

func (*lastWordRole) name() string { return "last word" }
func (r *lastWordRole) ready(l *link) {
	buf := make([]byte, 100)
	switch n, err := l.wireRead(buf); {
	case n > 0:
		r.out.got += string(buf[:n])
	case err == nil:
		l.doom(nil)
	case !again(err):
		l.doom(err)
	}
}

func (r *lastWordRole) gone(l *link, err error) {
	l.own().state = stDead
	r.out.err = err
	r.res <- r.out
}

// greeter says hello to everybody.
func (w *street) greeter(network, addr string) net.Listener {
	w.t.Helper()
	l, err := net.Listen(network, addr)
	if err != nil {
		w.t.Fatal(err)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Write([]byte("hello"))
			c.Close()
		}
	}()
	return closing{l, over}
}

// closing waits for the accepting goroutine.
type closing struct {
	net.Listener
	over chan struct{}
}

func (c closing) Close() error {
	err := c.Listener.Close()
	<-c.over
	return err
}

func portOfListener(l net.Listener) uint16 { return uint16(l.Addr().(*net.TCPAddr).Port) }

func TestRaceOverSockets(t *testing.T) {
	onStreet(t, func(w *street) {
		l := w.greeter("tcp", "127.0.0.1:0")
		defer l.Close()
		port := portOfListener(l)
		// The first two addresses have no listener, or the machine has no IPv6.
		w.names.addrs["some"] = addrs("127.0.0.7", "::1", "127.0.0.1")
		for _, host := range []string{"some", "127.0.0.1", "localhost"} {
			r := w.to(target{network: "tcp", host: host, port: port})
			if r.err != nil || r.got != "hello" || !r.quick || r.peer != l.Addr().String() {
				t.Errorf("%s: %+v", host, r)
			}
		}
		from := netip.MustParseAddr("127.0.0.1")
		if r := w.to(target{network: "tcp", host: "127.0.0.1", port: port, laddr: from}); r.err != nil || r.local.Addr() != from {
			t.Errorf("%+v", r)
		}
	})
}

func TestRaceOverSocketsRefused(t *testing.T) {
	onStreet(t, func(w *street) {
		port, free := nobody(t)
		defer free()
		w.names.addrs["some"] = addrs("127.0.0.1", "127.0.0.7")
		r := w.to(target{network: "tcp", host: "some", port: port})
		if r.err == nil || !errors.Is(r.err, syscall.ECONNREFUSED) || strings.Count(r.err.Error(), "connect 127.0.0.") != 2 {
			t.Errorf("%+v", r)
		}
		path := filepath.Join(t.TempDir(), "s")
		if r := w.to(target{network: "unix", path: path}); !errors.Is(r.err, syscall.ENOENT) || !strings.Contains(r.err.Error(), "connect unix:"+path+": ") {
			t.Errorf("%+v", r)
		}
	})
}

func TestRaceOverUnixSockets(t *testing.T) {
	onStreet(t, func(w *street) {
		paths := []string{filepath.Join(t.TempDir(), "s")}
		if runtime.GOOS == "linux" {
			paths = append(paths, "@anyloop race test "+paths[0])
		}
		for _, path := range paths {
			l := w.greeter("unix", path)
			for range 20 {
				if r := w.to(target{network: "unix", path: path}); r.err != nil || r.got != "hello" || r.peer != "unix:"+path {
					t.Errorf("%s: %+v", path, r)
				}
			}
			l.Close()
		}
	})
}

// TestRacePastABlackHole: a listener whose queue is full answers nothing, on
// Linux. The next address is tried without waiting for it.
func TestRacePastABlackHole(t *testing.T) {
	if runtime.GOOS != "linux" {
		t.Skip("a full queue refuses here")
	}
	onStreet(t, func(w *street) {
		l := w.greeter("tcp", "127.0.0.1:0")
		defer l.Close()
		port := portOfListener(l)
		hole := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.7"), port)
		defer dig(t, hole)()
		w.names.addrs["some"] = addrs("127.0.0.7", "127.0.0.1")
		r := w.to(target{network: "tcp", host: "some", port: port, delay: 20 * time.Millisecond})
		if r.err != nil || r.got != "hello" || r.peer != l.Addr().String() {
			t.Errorf("%+v", r)
		}
		// Alone it is undecided until somebody cancels.
		said := make(chan error)
		w.eng.Post(func() {
			cancel := w.th.reach(target{network: "tcp", host: "127.0.0.7", port: port}, func(*link, string, error) {
				t.Error("done")
			})
			w.eng.Post(func() { said <- cancel() })
		})
		<-said
		w.eng.Post(func() {
			links := len(w.th.links())
			if links != 1 {
				t.Errorf("%d links are left", links)
			}
			close(said)
		})
		<-said
	})
}

// nobody returns a port at which nobody listens, nor can before free is called: a
// socket that does not listen has it.
func nobody(t *testing.T) (port uint16, free func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{})
	}
	if err != nil {
		t.Fatal(err)
	}
	return localOf(fd).Port(), func() { syscall.Close(fd) }
}

// dig makes a listener with a full queue.
func dig(t *testing.T, at netip.AddrPort) (fill func()) {
	t.Helper()
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err == nil {
		err = syscall.Bind(fd, &syscall.SockaddrInet4{Addr: at.Addr().As4(), Port: int(at.Port())})
	}
	if err == nil {
		err = syscall.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	open := []int{fd}
	for range 4 {
		c, err := sys.Connect(sys.ConnectOptions{Addr: at})
		if err != nil {
			t.Fatal(err)
		}
		open = append(open, c)
	}
	for n := 0; n != 1; { // until one is in the queue
		p := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
		if n, err = unix.Poll(p, 60000); n == 0 || err != nil && err != unix.EINTR {
			t.Fatalf("nobody is in the queue: %v", err)
		}
	}
	return func() {
		for _, fd := range open {
			syscall.Close(fd)
		}
	}
}
