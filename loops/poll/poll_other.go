//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package poll

const defaultPoller Poller = "none"

var pollers = map[Poller]func() (poller, error){}

func waiter(set, bell int) func() (rung bool, err error) {
	return func() (bool, error) { return false, ErrUnsupported }
}
