package core

import (
	"net/netip"
	"time"
)

// target is where a client wants to be connected to, and from where.
type target struct {
	network string // "tcp" or "unix"
	host    string // tcp: a name or an address, also "[::1]" and with a zone
	port    uint16
	path    string        // unix: a path, or "@name" in Linux's abstract namespace
	laddr   netip.Addr    // local address; the zero value lets the system choose
	lport   uint16        // local port; 0 lets the system choose
	iface   string        // the interface to leave by; "" lets the system choose
	family  int           // 4 or 6 for only that; 0 for any
	delay   time.Duration // AttemptDelay; 0 is the engine's, negative starts the next only when one fails
}

// reach connects to t and calls done exactly once, in a later turn of the
// thread, with no link in service, unless cancel comes first. On success from is
// the link of the attempt that won, connected and watched, and peer its address
// as text: done moves the descriptor and its registration to a link of its own by
// inherit; what it does not take is un-watched and closed when it returns. On a
// failure from is nil and err tells of every address that was tried. cancel ends it
// without done, and returns what has failed so far, nil if nothing has; after
// done, or a second time, it does nothing. Time limits are the caller's. Loop
// thread only, both.
func (th *Thread) reach(t target, done func(from *link, peer string, err error)) (cancel func() error) {
	return func() error { return nil }
}
