//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// ListenAll opens the listening sockets of an address. They are non-blocking. One
// is the rule; "localhost" has one for 127.0.0.1 and one for ::1, and an Interface
// one for each of its addresses, all on the same port. Of several, those that the
// system does not let anybody use (no IPv6, an address that is still being checked)
// are left out. bound is the first one's address, with the port that was chosen for
// port 0. If Absent is true for the error, trying later may help.
func ListenAll(o ListenOptions) (fds []int, bound string, err error) {
	if o.Network == "unix" {
		fd, err := listenUnix(&o)
		if err != nil {
			return nil, "", fmt.Errorf("sys: listen %s: %w", o.Address, err)
		}
		return []int{fd}, o.Address, nil
	}
	host, port, err := net.SplitHostPort(o.Address)
	if err != nil {
		return nil, "", fmt.Errorf("sys: listen %q: %w", o.Address, err)
	}
	hosts, err := o.hosts(host)
	if err != nil {
		return nil, "", fmt.Errorf("sys: listen %s: %w", o.Address, err)
	}
	for tries := 16; ; tries-- {
		fds, bound, err = o.listenHosts(hosts, port)
		// A port that is free on one address may be taken on the next.
		if port != "0" || len(hosts) == 1 || tries == 0 || !errors.Is(err, syscall.EADDRINUSE) {
			break
		}
	}
	if err != nil {
		return nil, "", err
	}
	if isLocalhost(host) {
		_, port, _ = net.SplitHostPort(bound)
		bound = net.JoinHostPort(host, port)
	}
	return fds, bound, nil
}

// listenHosts opens a socket on each host, all on one port.
func (o *ListenOptions) listenHosts(hosts []string, port string) (fds []int, bound string, err error) {
	var absent error
	for _, h := range hosts {
		fd, addr, err := o.listenTCP(net.JoinHostPort(h, port))
		switch {
		case err == nil:
		case len(hosts) > 1 && unusable(err):
			absent = err
			continue
		default:
			for _, fd := range fds {
				unix.Close(fd)
			}
			return nil, "", err
		}
		fds = append(fds, fd)
		if bound == "" {
			bound = addr
			_, port, _ = net.SplitHostPort(addr)
		}
	}
	if len(fds) == 0 {
		return nil, "", absent
	}
	return fds, bound, nil
}

func unusable(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// listenTCP uses package net for parsing and for the socket options that it sets
// well on every system, and takes the descriptor over.
func (o *ListenOptions) listenTCP(addr string) (fd int, bound string, err error) {
	lc := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var err error
		if e := c.Control(func(fd uintptr) { err = o.prepare(int(fd)) }); e != nil {
			return e
		}
		return err
	}}
	lc.SetMultipathTCP(false)
	l, err := lc.Listen(context.Background(), o.network(addr), addr)
	if err != nil {
		return -1, "", fmt.Errorf("sys: %w", err)
	}
	bound = l.Addr().String()
	if fd, err = FromListener(l); err != nil || o.Backlog == 0 {
		return fd, bound, err
	}
	// A second listen changes nothing but the length of the queue.
	if err = unix.Listen(fd, o.Backlog); err != nil {
		unix.Close(fd)
		return -1, "", fmt.Errorf("sys: listen %s: backlog: %w", addr, err)
	}
	return fd, bound, nil
}

// network is package net's word for the family of addr.
func (o *ListenOptions) network(addr string) string {
	switch o.Family {
	case IPv4:
		return "tcp4"
	case IPv6:
		return "tcp6"
	}
	if h, _, err := net.SplitHostPort(addr); err == nil {
		if ip, err := netip.ParseAddr(h); err == nil && ip.Is6() && !ip.IsUnspecified() {
			return "tcp6"
		}
	}
	return "tcp"
}

// prepare sets what must be set before the socket is bound.
func (o *ListenOptions) prepare(fd int) error {
	if o.ReusePort {
		if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1); err != nil {
			return fmt.Errorf("SO_REUSEPORT: %w", err)
		}
	}
	if o.BindInterface {
		if err := bindToDevice(fd, o.Interface); err != nil {
			return fmt.Errorf("binding to interface %s: %w", o.Interface, err)
		}
	}
	if o.FastOpen != 0 {
		if err := setFastOpen(fd, o.FastOpen); err != nil {
			return fmt.Errorf("TCP_FASTOPEN: %w", err)
		}
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
