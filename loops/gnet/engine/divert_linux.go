package gnetengine

import "golang.org/x/sys/unix"

// divert sends further connections to the second socket that listens on the port of
// fd, which is gnet's, if there is one: else those that come between the last accept
// and the close of fd would be reset. The program is one instruction: return 1.
func divert(fd int) {
	ret := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: 1}
	unix.SetsockoptSockFprog(fd, unix.SOL_SOCKET, unix.SO_ATTACH_REUSEPORT_CBPF, &unix.SockFprog{Len: 1, Filter: &ret})
}
