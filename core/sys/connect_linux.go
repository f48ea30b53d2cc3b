package sys

import "golang.org/x/sys/unix"

func streamSocket(domain int) (int, error) {
	return unix.Socket(domain, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
}

// bindToDevice lets the socket use one interface only. Before Linux 5.7 it is a
// privilege.
func bindToDevice(fd int, name string) error { return unix.BindToDevice(fd, name) }

// bindNoPort leaves the choice of the port to connect, which may give the same
// one to connections to different peers. Where it is unknown bind chooses.
func bindNoPort(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}
