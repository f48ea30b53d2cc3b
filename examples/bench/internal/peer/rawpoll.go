//go:build linux

package peer

import (
	"errors"
	"runtime"
	"unsafe"

	"golang.org/x/sys/unix"
)

func init() { servers["rawpoll"] = rawPoll }

// rawPoll is raw with an array for poll(2) instead of an epoll set: the floor of loops
// that have one. It takes only messages that the socket takes whole.
func rawPoll(cfg *Config) error {
	runtime.LockOSThread()
	fd, err := listen(cfg.Addr)
	if err != nil {
		return err
	}
	set := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	buf := make([]byte, 64<<10)
	for {
		left, err := ready(set)
		if err != nil {
			return err
		}
		for i := len(set) - 1; i > 0 && left > 0; i-- {
			if set[i].Revents == 0 {
				continue
			}
			left--
			over, err := echoOnce(int(set[i].Fd), buf)
			if err != nil {
				return err
			}
			if over {
				unix.Close(int(set[i].Fd))
				set[i] = set[len(set)-1]
				set = set[:len(set)-1]
			}
		}
		if set[0].Revents != 0 {
			set = acceptAll(fd, set)
		}
	}
}

// ready asks without blocking first, like wait.
func ready(set []unix.PollFd) (int, error) {
	n, _, e := unix.RawSyscall(unix.SYS_POLL, uintptr(unsafe.Pointer(&set[0])), uintptr(len(set)), 0)
	if e == 0 && n > 0 {
		return int(n), nil
	}
	runtime.Gosched()
	k, err := unix.Poll(set, -1)
	if err == unix.EINTR {
		return 0, nil
	}
	return k, err
}

func echoOnce(fd int, buf []byte) (over bool, err error) {
	n, e := call(unix.SYS_READ, fd, buf)
	if e == unix.EAGAIN {
		return false, nil
	}
	if e != 0 || n == 0 {
		return true, nil
	}
	if k, e := call(unix.SYS_WRITE, fd, buf[:n]); e == 0 && k < n || e == unix.EAGAIN {
		return false, errors.New("rawpoll is for small messages only")
	}
	return false, nil
}

func acceptAll(listener int, set []unix.PollFd) []unix.PollFd {
	for {
		fd, _, err := unix.Accept4(listener, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC)
		if err != nil {
			return set
		}
		unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
		set = append(set, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	}
}
