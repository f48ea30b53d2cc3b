//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package gnetloop

// mustNest: the poller is a kqueue that cannot take back an interest in reading
// but by closing the descriptor.
const mustNest = true

func newDirect(registrar, *Loop) (watcher, error) { return nil, ErrUnsupported }
