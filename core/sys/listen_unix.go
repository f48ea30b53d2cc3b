//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenOptions says where and how to listen.
type ListenOptions struct {
	Network   string // "tcp" or "unix"
	Address   string // "host:port", ":0", "[::1]:80"; a path, or "@name" in Linux's abstract namespace
	ReusePort bool   // SO_REUSEPORT: several sockets share the port
}

// ListenAll opens the listening sockets of an address: one, or for "localhost"
// one for 127.0.0.1 and, where there is IPv6, one for ::1 on the same port. They
// are non-blocking. bound is the first one's address, with the port that was
// chosen for port 0.
func ListenAll(o ListenOptions) (fds []int, bound string, err error) {
	if o.Network == "unix" {
		fd, err := listenUnix(o.Address)
		if err != nil {
			return nil, "", err
		}
		return []int{fd}, o.Address, nil
	}
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, "", fmt.Errorf("sys: listen %q: %w", o.Address, err)
	}
	hosts := []string{host}
	if strings.EqualFold(host, "localhost") {
		hosts = []string{"127.0.0.1", "::1"} // RFC 6761 6.3: always loopback, no resolver needed
	}
	for i, h := range hosts {
		fd, addr, err := listenTCP(net.JoinHostPort(h, port), o.ReusePort)
		switch {
		case err == nil:
		case i > 0 && noIPv6(err):
			continue
		default:
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, "", err
		}
		fds = append(fds, fd)
		if i == 0 {
			bound = addr
			if _, p, err := net.SplitHostPort(addr); err == nil {
				port = p
			}
			if len(hosts) > 1 {
				bound = net.JoinHostPort(host, port)
			}
		}
	}
	return fds, bound, nil
}

func noIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// listenTCP uses package net for parsing and for the socket options that it sets
// well on every system, and takes the descriptor over.
func listenTCP(addr string, reusePort bool) (fd int, bound string, err error) {
	lc := net.ListenConfig{}
	lc.SetMultipathTCP(false)
	if reusePort {
		lc.Control = func(_, _ string, c syscall.RawConn) error {
			var err error
			if e := c.Control(func(fd uintptr) {
				err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
			}); e != nil {
				return e
			}
			return err
		}
	}
	network := "tcp"
	if h, _, err := net.SplitHostPort(addr); err == nil {
		if ip, err := netip.ParseAddr(h); err == nil && ip.Is6() && !ip.IsUnspecified() {
			network = "tcp6"
		}
	}
	l, err := lc.Listen(context.Background(), network, addr)
	if err != nil {
		return -1, "", fmt.Errorf("sys: %w", err)
	}
	bound = l.Addr().String()
	fd, err = FromListener(l)
	return fd, bound, err
}

// unixMode lets the owner and the group connect.
const unixMode = 0o660

func listenUnix(path string) (int, error) {
	name := path
	if strings.HasPrefix(path, "@") {
		name = "\x00" + path[1:]
	} else if err := removeStale(path); err != nil {
		return -1, err
	}
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, fmt.Errorf("sys: listen %s: %w", path, err)
	}
	unix.CloseOnExec(fd)
	err = unix.SetNonblock(fd, true)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrUnix{Name: name})
	}
	if err == nil && name == path {
		err = os.Chmod(path, unixMode)
	}
	if err == nil {
		err = unix.Listen(fd, unix.SOMAXCONN)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("sys: listen %s: %w", path, err)
	}
	return fd, nil
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if err != nil || st.Mode()&os.ModeSocket == 0 {
		return nil // bind says what is wrong
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return fmt.Errorf("sys: listen %s: %w", path, syscall.EADDRINUSE)
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}

// FromListener takes the socket out of a net.Listener: it is duplicated and the
// original closed.
func FromListener(l net.Listener) (int, error) {
	sc, ok := l.(syscall.Conn)
	if !ok {
		return -1, fmt.Errorf("sys: a listener of type %T has no descriptor", l)
	}
	rc, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	if e := rc.Control(func(s uintptr) { fd, err = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0) }); e != nil {
		err = e
	}
	if err == nil {
		err = unix.SetNonblock(fd, true)
	}
	if ul, ok := l.(*net.UnixListener); ok {
		ul.SetUnlinkOnClose(false)
	}
	l.Close()
	if err != nil {
		if fd >= 0 {
			unix.Close(fd)
		}
		return -1, fmt.Errorf("sys: duplicating a listener: %w", err)
	}
	return fd, nil
}

// SetNoDelay turns off Nagle's algorithm.
func SetNoDelay(fd int, on bool) error {
	v := 0
	if on {
		v = 1
	}
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, v)
}

func addrOf(sa unix.Sockaddr) Addr {
	switch s := sa.(type) {
	case *unix.SockaddrInet4:
		return Addr{netip.AddrPortFrom(netip.AddrFrom4(s.Addr), uint16(s.Port))}
	case *unix.SockaddrInet6:
		ip := netip.AddrFrom16(s.Addr).Unmap()
		if s.ZoneId != 0 {
			ip = ip.WithZone(strconv.FormatUint(uint64(s.ZoneId), 10))
		}
		return Addr{netip.AddrPortFrom(ip, uint16(s.Port))}
	}
	return Addr{}
}
