//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package poll

const defaultPoller Poller = "none"

var pollers = map[Poller]func() (poller, error){}
