package sys

import "net/netip"

// ConnectOptions says where to connect to, and from where.
type ConnectOptions struct {
	Addr      netip.AddrPort // TCP; not valid: a unix socket
	Path      string         // a unix socket's path, or "@name" in Linux's abstract namespace
	LocalAddr netip.Addr     // to connect from; the zero value lets the system choose
	LocalPort uint16         // 0 lets the system choose
	Interface string         // the network interface to leave by; "" lets the system choose
}
