//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// Connect makes a non-blocking, close-on-exec socket and begins to connect it. It
// may be connected on return, or later, or turn out not to be: see IO.Connected.
// On Linux Interface binds the socket to the device; where the process may not
// do that, and elsewhere, the socket gets an address of the interface. The errors
// are those that are known at once; the descriptor is closed then.
func Connect(o ConnectOptions) (fd int, err error) {
	domain := unix.AF_UNIX
	switch a := o.Addr.Addr(); {
	case a.Is4():
		domain = unix.AF_INET
	case a.Is6():
		domain = unix.AF_INET6
	}
	fd, err = streamSocket(domain)
	if err != nil {
		return -1, fmt.Errorf("socket: %w", err)
	}
	if domain == unix.AF_UNIX {
		err = connectUnix(fd, o.Path)
	} else if err = o.bind(fd); err == nil {
		err = connectTCP(fd, o.Addr)
	}
	if err != nil {
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

func connectUnix(fd int, path string) error {
	if name, ok := strings.CutPrefix(path, "@"); ok {
		path = "\x00" + name
	}
	err := begun(unix.Connect(fd, &unix.SockaddrUnix{Name: path}))
	if err == unix.EAGAIN {
		// The one system that says so does not tell when there is room.
		return fmt.Errorf("the listener's queue is full: %w", err)
	}
	return err
}

func connectTCP(fd int, to netip.AddrPort) error {
	sa, err := sockaddr(to)
	if err != nil {
		return err
	}
	return begun(unix.Connect(fd, sa))
}

// begun tells a connection that is underway from one that failed.
func begun(err error) error {
	if err == unix.EINPROGRESS || err == unix.EINTR {
		return nil
	}
	return err
}

// bind gives the socket what was chosen of its own end.
func (o *ConnectOptions) bind(fd int) error {
	local := o.LocalAddr
	if o.Interface != "" {
		err := bindToDevice(fd, o.Interface)
		if (err == unix.EPERM || err == ErrUnsupported) && !local.IsValid() {
			local, err = interfaceAddr(o.Interface, o.Addr.Addr())
		}
		if err != nil && err != unix.EPERM && err != ErrUnsupported {
			return fmt.Errorf("interface %s: %w", o.Interface, err)
		}
	}
	if !local.IsValid() {
		if o.LocalPort == 0 {
			return nil
		}
		local = netip.IPv6Unspecified()
		if o.Addr.Addr().Is4() {
			local = netip.IPv4Unspecified()
		}
	}
	if local.Is4() != o.Addr.Addr().Is4() {
		return fmt.Errorf("local address %s: %w", local, unix.EAFNOSUPPORT)
	}
	from := netip.AddrPortFrom(local, o.LocalPort)
	if o.LocalPort == 0 {
		bindNoPort(fd)
	} else if err := unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1); err != nil {
		return fmt.Errorf("local address %s: %w", from, err)
	}
	sa, err := sockaddr(from)
	if err == nil {
		err = unix.Bind(fd, sa)
	}
	if err != nil {
		return fmt.Errorf("local address %s: %w", from, err)
	}
	return nil
}

var errNoInterfaceAddr = errors.New("no address of the right family")

// interfaceAddr returns the interface's first address from which to can be
// reached: of its family, and link-local only if to is.
func interfaceAddr(name string, to netip.Addr) (netip.Addr, error) {
	ifi, err := net.InterfaceByName(name)
	if err != nil {
		return netip.Addr{}, err
	}
	addrs, err := ifi.Addrs()
	if err != nil {
		return netip.Addr{}, err
	}
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if ip = ip.Unmap(); !ok || ip.Is4() != to.Is4() || ip.Is6() && ip.IsLinkLocalUnicast() != to.IsLinkLocalUnicast() {
			continue
		}
		if ip.Is6() && ip.IsLinkLocalUnicast() {
			ip = ip.WithZone(name)
		}
		return ip, nil
	}
	return netip.Addr{}, errNoInterfaceAddr
}

// sockaddr turns an address into the system's form. A zone is a number or the
// name of an interface.
func sockaddr(ap netip.AddrPort) (unix.Sockaddr, error) {
	a := ap.Addr()
	if a.Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: a.As4()}, nil
	}
	sa := &unix.SockaddrInet6{Port: int(ap.Port()), Addr: a.As16()}
	if z := a.Zone(); z != "" {
		n, err := strconv.ParseUint(z, 10, 32)
		if err != nil {
			ifi, err := net.InterfaceByName(z)
			if err != nil {
				return nil, fmt.Errorf("zone %s: %w", z, err)
			}
			n = uint64(ifi.Index)
		}
		sa.ZoneId = uint32(n)
	}
	return sa, nil
}

// Connected tells how a socket of Connect came out: 0 when it is connected,
// EINPROGRESS while that is not decided, else why it is not. A failure is told
// once.
func (io *IO) Connected(fd int) syscall.Errno {
	v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return errnoOf(err)
	}
	switch e := syscall.Errno(v); e {
	case 0:
	case unix.EINPROGRESS, unix.EALREADY:
		return unix.EINPROGRESS
	default:
		return e
	}
	// No error is also what an undecided connection has.
	if _, err := unix.Getpeername(fd); err == unix.ENOTCONN {
		return unix.EINPROGRESS
	}
	return 0
}
