package sys

import (
	"net/netip"
	"time"
)

type seconds = time.Duration

// secs rounds up to whole seconds, at least one.
func secs(d time.Duration) int { return max(1, int((d+time.Second-1)/time.Second)) }

// Addr is the address of a peer: IPv4, IPv6, or the zero value for unix sockets,
// whose clients have none.
type Addr struct{ ap netip.AddrPort }

// AddrPort returns the address; invalid for the zero Addr.
func (a Addr) AddrPort() netip.AddrPort { return a.ap }

// String returns "address:port", or "unix".
func (a Addr) String() string {
	if !a.ap.IsValid() {
		return "unix"
	}
	return a.ap.String()
}
