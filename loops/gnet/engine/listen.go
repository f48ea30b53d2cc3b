//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

var (
	// ErrLate says that an address came after the engine had begun to run:
	// gnet takes all of them at its start.
	ErrLate = errors.New("gnetengine: gnet listens already; it takes no further address")
	// ErrAddress says that gnet cannot listen on an address of that kind.
	ErrAddress = errors.New("gnetengine: gnet cannot listen there")
)

// acceptFunc is core's answer to a connection.
type acceptFunc func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)

// listener is one address of gnet's.
type listener struct {
	url    string // as gnet takes it
	local  string // as its connections say
	path   string // unix
	held   int    // our own socket, until gnet comes; -1: none
	accept acceptFunc
}

// listen prepares the addresses for one of core's: "localhost" is two.
func listen(network, address string, accept acceptFunc) (all []*listener, bound string, err error) {
	if network == "unix" {
		l, err := listenUnix(address, accept)
		if err != nil {
			return nil, "", err
		}
		return []*listener{l}, address, nil
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, "", fmt.Errorf("gnetengine: listen: %w", err)
	}
	hosts := []string{host}
	if strings.EqualFold(host, "localhost") {
		hosts = []string{"127.0.0.1", "::1"}
	}
	for i, h := range hosts {
		l, p, err := listenTCP(net.JoinHostPort(h, port), accept)
		switch {
		case err == nil:
			all = append(all, l)
			port = fmt.Sprint(p)
		case i == 0 || !noIPv6(err):
			release(all, false)
			return nil, "", err
		}
	}
	bound = net.JoinHostPort(host, port)
	if len(hosts) == 1 {
		bound = all[0].local
	}
	return all, bound, nil
}

func noIPv6(err error) bool {
	return errors.Is(err, syscall.EAFNOSUPPORT) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.EPROTONOSUPPORT)
}

// listenTCP opens a socket of ours: it finds out whether the address can be had,
// chooses the port for ":0", and holds clients until gnet comes.
func listenTCP(address string, accept acceptFunc) (*listener, int, error) {
	ta, err := net.ResolveTCPAddr("tcp", address)
	if err != nil {
		return nil, 0, fmt.Errorf("gnetengine: listen: %w", err)
	}
	if ta.IP.To4() == nil && ta.IP.IsUnspecified() {
		ta.IP = nil // both families, as everywhere
	}
	fd, err := hold(ta)
	if ta.IP == nil && noIPv6(err) {
		ta.IP = net.IPv4zero
		fd, err = hold(ta)
	}
	if err != nil {
		return nil, 0, fmt.Errorf("gnetengine: listen %s: %w", address, err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return nil, 0, fmt.Errorf("gnetengine: listen %s: %w", address, err)
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		ta.Port = sa.Port
	case *unix.SockaddrInet6:
		ta.Port = sa.Port
	}
	if err := unix.Listen(fd, unix.SOMAXCONN); err != nil {
		unix.Close(fd)
		return nil, 0, fmt.Errorf("gnetengine: listen %s: %w", address, err)
	}
	l := &listener{url: "tcp://" + ta.String(), local: ta.String(), held: fd, accept: accept}
	if ta.IP == nil { // as a net.Listener would say
		l.local = fmt.Sprintf("[::]:%d", ta.Port)
	}
	return l, ta.Port, nil
}

// hold binds a socket so that gnet's own can be bound beside it, and nobody else's.
func hold(ta *net.TCPAddr) (int, error) {
	fd, err := bind(ta, false)
	if err == syscall.EADDRINUSE && ta.Port != 0 {
		// Connections of an earlier run may be in TIME_WAIT there.
		fd, err = bind(ta, true)
	}
	return fd, err
}

func bind(ta *net.TCPAddr, reuse bool) (int, error) {
	family := unix.AF_INET6
	var sa unix.Sockaddr = &unix.SockaddrInet6{Port: ta.Port}
	if ip := ta.IP.To4(); ip != nil {
		family, sa = unix.AF_INET, &unix.SockaddrInet4{Port: ta.Port, Addr: [4]byte(ip)}
	} else if ta.IP != nil {
		s6 := &unix.SockaddrInet6{Port: ta.Port, Addr: [16]byte(ta.IP.To16())}
		if ifi, err := net.InterfaceByName(ta.Zone); err == nil {
			s6.ZoneId = uint32(ifi.Index)
		}
		sa = s6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err != nil {
		return -1, err
	}
	unix.CloseOnExec(fd)
	err = unix.SetNonblock(fd, true)
	set := func(level, opt int) {
		if err == nil {
			err = unix.SetsockoptInt(fd, level, opt, 1)
		}
	}
	set(unix.SOL_SOCKET, unix.SO_REUSEPORT)
	if reuse {
		set(unix.SOL_SOCKET, unix.SO_REUSEADDR)
	}
	if family == unix.AF_INET6 && ta.IP != nil {
		set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY)
	}
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	// What is accepted here must not keep gnet from the address.
	set(unix.SOL_SOCKET, unix.SO_REUSEADDR)
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// listenUnix looks at what is there, since gnet removes it, whatever it is.
func listenUnix(path string, accept acceptFunc) (*listener, error) {
	if path == "" || strings.ContainsAny(path, "@?#") {
		return nil, fmt.Errorf("%w: unix:%s", ErrAddress, path)
	}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("gnetengine: listen: %w", err)
	}
	if st, err := os.Lstat(path); err == nil && st.Mode()&os.ModeSocket == 0 {
		return nil, fmt.Errorf("gnetengine: listen %s: %w", path, syscall.EADDRINUSE)
	}
	l := &listener{url: "unix://" + path, local: path, path: path, held: -1, accept: accept}
	fds, _, err := sys.ListenAll(sys.ListenOptions{Network: "unix", Address: path})
	if err != nil {
		return nil, fmt.Errorf("gnetengine: %w", err)
	}
	l.held = fds[0]
	return l, nil
}

// unixMode lets the owner and the group connect.
const unixMode = 0o660

// restrict sets the mode of the sockets that gnet has made.
func restrict(all []*listener) error {
	for _, l := range all {
		if l.path != "" {
			if err := os.Chmod(l.path, unixMode); err != nil {
				return fmt.Errorf("gnetengine: %w", err)
			}
		}
	}
	return nil
}

// release closes our own sockets. Unix sockets leave their files behind only if
// gnet is to take their place.
func release(all []*listener, gnetComes bool) {
	for _, l := range all {
		if l.held < 0 {
			continue
		}
		unix.Close(l.held)
		l.held = -1
		if l.path != "" && !gnetComes {
			os.Remove(l.path)
		}
	}
}

// sharing reports whether gnet's event loops share the ports, each with sockets of
// its own, and ours can be bound beside them. With one event loop that saves a
// goroutine; with several, the one that accepts for all knows where the fewest
// connections are, which the system's choice does not. gnet cannot if there is a
// unix socket among the addresses.
func sharing(all []*listener, threads int) bool {
	return runtime.GOOS == "linux" && threads == 1 &&
		!slices.ContainsFunc(all, func(l *listener) bool { return l.path != "" })
}

// localOf returns the address that a connection came to, as a listener has it.
func localOf(a net.Addr) string {
	t, ok := a.(*net.TCPAddr)
	if !ok {
		return a.String()
	}
	if len(t.IP) == 0 {
		return fmt.Sprintf("[::]:%d", t.Port)
	}
	return t.String()
}
