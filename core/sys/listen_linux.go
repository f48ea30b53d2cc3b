package sys

import "golang.org/x/sys/unix"

const hasAbstract = true

// setFastOpen lets queue connections bring data with their first packet (RFC
// 7413).
func setFastOpen(fd, queue int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, queue)
}

// ListenNoDelay turns off Nagle's algorithm for all connections that a listening
// socket will accept, and reports whether it has: they inherit it here.
func ListenNoDelay(fd int) bool { return SetNoDelay(fd, true) == nil }

// BindToDevice lets a socket use one interface only. One that does so already may
// be without the right to say it again.
func BindToDevice(fd int, name string) error {
	if now, err := unix.GetsockoptString(fd, unix.SOL_SOCKET, unix.SO_BINDTODEVICE); err == nil && now == name {
		return nil
	}
	return bindToDevice(fd, name)
}
