package sys

import "golang.org/x/sys/unix"

const hasAbstract = true

// setFastOpen lets queue connections bring data with their first packet (RFC
// 7413).
func setFastOpen(fd, queue int) error {
	return unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_FASTOPEN, queue)
}
