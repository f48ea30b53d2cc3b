//go:build linux || darwin || freebsd

package evioloop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

// port is one address of an engine's.
type port struct {
	accept func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)
	addrs  []string // as evio takes them
	bound  string
	shared bool   // every thread's server listens on it
	path   string // of a unix socket in the file system
	held   []int  // sockets that keep a port for evio, bound and not listening
	ended  atomic.Bool
}

// reserve settles the addresses: a port for ":0", which evio cannot be asked for
// twice, and one that several servers share.
func (p *port) reserve(network, address string, several bool) error {
	switch network {
	case "unix":
		return p.reservePath(address)
	case "tcp":
	default:
		return net.UnknownNetworkError(network)
	}
	host, number, err := net.SplitHostPort(address)
	if err != nil {
		return err
	}
	n, err := net.LookupPort("tcp", number)
	if err != nil {
		return err
	}
	p.shared = several || n == 0
	hosts := []string{host}
	if strings.EqualFold(host, "localhost") {
		hosts = []string{"127.0.0.1", "::1"} // RFC 6761 6.3
	}
	for i, h := range hosts {
		at, err := p.reserveTCP(h, n)
		switch {
		case err == nil:
		case i > 0 && noIPv6(err):
			continue
		default:
			p.release()
			return err
		}
		n = at.Port
		addr := "tcp://" + at.String()
		if p.shared {
			addr += "?reuseport=true"
		}
		p.addrs = append(p.addrs, addr)
		if i == 0 {
			p.bound = at.String()
			if len(hosts) > 1 {
				p.bound = net.JoinHostPort(host, strconv.Itoa(n))
			}
		}
	}
	return nil
}

// reserveTCP settles one address. If servers share it, a socket of ours is bound
// to it, so that it stays ours while evio's come and go; the first bind, without
// SO_REUSEPORT, is what finds somebody else who listens there.
func (p *port) reserveTCP(host string, number int) (*net.TCPAddr, error) {
	at, err := net.ResolveTCPAddr("tcp", net.JoinHostPort(host, strconv.Itoa(number)))
	if err != nil {
		return nil, err
	}
	wild := at.IP == nil
	if wild {
		at.IP = net.IPv6unspecified
	}
	fd, n, err := bind(at, false)
	if wild && noIPv6(err) {
		at.IP = net.IPv4zero
		fd, n, err = bind(at, false)
	}
	if err != nil {
		return nil, err
	}
	unix.Close(fd)
	at.Port = n
	if !p.shared {
		return at, nil
	}
	if fd, _, err = bind(at, true); err != nil {
		return nil, err
	}
	p.held = append(p.held, fd)
	return at, nil
}

// bind returns a socket that is bound and does not listen.
func bind(at *net.TCPAddr, reuse bool) (fd, number int, err error) {
	family := unix.AF_INET6
	var sa unix.Sockaddr
	if ip := at.IP.To4(); ip != nil {
		family = unix.AF_INET
		sa = &unix.SockaddrInet4{Port: at.Port, Addr: [4]byte(ip)}
	} else {
		in6 := &unix.SockaddrInet6{Port: at.Port, Addr: [16]byte(at.IP.To16())}
		if at.Zone != "" {
			ifi, err := net.InterfaceByName(at.Zone)
			if err != nil {
				return -1, 0, err
			}
			in6.ZoneId = uint32(ifi.Index)
		}
		sa = in6
	}
	syscall.ForkLock.RLock()
	fd, err = unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, 0, os.NewSyscallError("socket", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if reuse && err == nil {
		err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEPORT, 1)
	}
	if err == nil {
		err = os.NewSyscallError("bind", unix.Bind(fd, sa))
	}
	if err == nil {
		sa, err = unix.Getsockname(fd)
	}
	if err != nil {
		unix.Close(fd)
		return -1, 0, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		number = sa.Port
	case *unix.SockaddrInet6:
		number = sa.Port
	}
	return fd, number, nil
}

func noIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// reservePath looks whether a unix socket may be made, since evio removes
// whatever is there.
func (p *port) reservePath(path string) error {
	if strings.Contains(path, "?") || strings.Contains(path, "://") || path == "" {
		return fmt.Errorf("evio cannot be told this path: %w", syscall.EINVAL)
	}
	p.addrs, p.bound = []string{"unix://" + path}, path
	st, err := os.Lstat(path)
	switch {
	case strings.HasPrefix(path, "@") && err != nil:
		return nil // in Linux's abstract namespace
	case err == nil && st.Mode()&os.ModeSocket == 0:
		return syscall.EADDRINUSE
	case err == nil:
		if c, err := net.Dial("unix", path); err == nil {
			c.Close()
			return syscall.EADDRINUSE
		}
	}
	p.path = path
	return nil
}

// listens is told when the server does, before it accepts.
func (p *port) listens(net.Addr) error {
	if p.path == "" {
		return nil
	}
	return os.Chmod(p.path, 0660) // like core's own: the group may connect
}

// Close implements io.Closer: nothing more is accepted. Any goroutine.
func (p *port) Close() error {
	if p.ended.Swap(true) {
		return nil
	}
	p.release()
	if p.path != "" {
		if err := os.Remove(p.path); err != nil && !os.IsNotExist(err) {
			return err
		}
	}
	return nil
}

func (p *port) release() {
	for _, fd := range p.held {
		unix.Close(fd)
	}
	p.held = nil
}
