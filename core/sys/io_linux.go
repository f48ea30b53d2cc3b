package sys

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls below tell Go's scheduler nothing (RawSyscall): they act on
// non-blocking descriptors and return at once, so handing the processor over
// would cost more than the call. Nothing that can wait is called this way.

// read and write treat the descriptor as a socket, which it nearly always is:
// recvfrom and sendto spare it the file system's checks and notifications, 3 % of a
// 64-byte echo. What else there is (pipes, terminals) refuses that and is asked again.

func read(fd int, p []byte) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), 0, 0, 0)
	if noSocket(e) {
		n, _, e = syscall.RawSyscall(syscall.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	}
	return int(n), e
}

func write(fd int, p []byte) (int, syscall.Errno) {
	if len(p) == 0 {
		return 0, 0
	}
	n, _, e := syscall.RawSyscall6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)), unix.MSG_NOSIGNAL, 0, 0)
	if noSocket(e) {
		n, _, e = syscall.RawSyscall(syscall.SYS_WRITE, uintptr(fd), uintptr(unsafe.Pointer(unsafe.SliceData(p))), uintptr(len(p)))
	}
	return int(n), e
}

// noSocket reports whether e says that the call is for sockets, or unknown (some
// 32-bit systems).
func noSocket(e syscall.Errno) bool { return e == syscall.ENOTSOCK || e == syscall.ENOSYS }

func writev(fd int, a, b []byte) (int, syscall.Errno) {
	v := [2]unix.Iovec{{Base: unsafe.SliceData(a)}, {Base: unsafe.SliceData(b)}}
	v[0].SetLen(len(a))
	v[1].SetLen(len(b))
	n, _, e := syscall.RawSyscall(syscall.SYS_WRITEV, uintptr(fd), uintptr(unsafe.Pointer(&v[0])), 2)
	return int(n), e
}

// accept reads the peer's address into memory of the thread's: the wrapper of
// package unix allocates it.
func (io *IO) accept(fd int) (int, Addr, syscall.Errno) {
	size := uint32(len(io.name))
	n, _, e := syscall.RawSyscall6(unix.SYS_ACCEPT4, uintptr(fd), uintptr(unsafe.Pointer(&io.name)), uintptr(unsafe.Pointer(&size)),
		unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
	if e != 0 {
		return -1, Addr{}, e
	}
	return int(n), addrOfName(io.name[:size]), 0
}

// addrOfName reads a struct sockaddr; netip.AddrPort with a zone for an address
// that has a scope.
func addrOfName(b []byte) Addr {
	const family, port, ip4, ip6, scope = 0, 2, 4, 8, 24
	if len(b) < ip4+4 {
		return Addr{}
	}
	n := binary.BigEndian.Uint16(b[port:])
	switch binary.NativeEndian.Uint16(b[family:]) {
	case unix.AF_INET:
		return Addr{netip.AddrPortFrom(netip.AddrFrom4([4]byte(b[ip4:])), n)}
	case unix.AF_INET6:
		if len(b) < scope+4 {
			return Addr{}
		}
		a := netip.AddrFrom16([16]byte(b[ip6:])).Unmap()
		if z := binary.NativeEndian.Uint32(b[scope:]); z != 0 && a.Is6() {
			a = a.WithZone(strconv.FormatUint(uint64(z), 10))
		}
		return Addr{netip.AddrPortFrom(a, n)}
	}
	return Addr{}
}

// SetKeepAlive turns on TCP keepalive: the first probe after idle, one every
// interval, the connection dead after probes unanswered. Data that stays
// unacknowledged for as long counts too (TCP_USER_TIMEOUT).
func SetKeepAlive(fd int, idle, interval seconds, probes int) error {
	for _, o := range []struct{ level, opt, val int }{
		{unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1},
		{unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, secs(idle)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, secs(interval)},
		{unix.IPPROTO_TCP, unix.TCP_KEEPCNT, probes},
		{unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int((idle + interval*seconds(probes)).Milliseconds())},
	} {
		if err := unix.SetsockoptInt(fd, o.level, o.opt, o.val); err != nil {
			return err
		}
	}
	return nil
}
