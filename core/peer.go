package core

import (
	"net/netip"
)

// peerAddr is a remote address as a conn keeps it: without the text, which few
// ask for.
type peerAddr struct {
	ip   [16]byte
	port uint16
	kind peerKind
}

type peerKind uint8

const (
	peerNone peerKind = iota
	peerIP4
	peerIP6
	peerUnix
	peerText // in the conn's extra
)

// unixPeer is what all clients of unix sockets are called: they have no address.
const unixPeer = "unix"

// peerName is a remote address on its way to a conn: either of the two.
type peerName struct {
	addr netip.AddrPort
	text string
}

func named(text string) peerName { return peerName{text: text} }

// String returns the address as text.
func (p peerName) String() string {
	if p.addr.IsValid() {
		return p.addr.String()
	}
	return p.text
}

// setPeer notes who is at the other end.
func (c *Conn) setPeer(p peerName) {
	a := p.addr.Addr()
	switch {
	case a.Is4():
		ip := a.As4()
		copy(c.peer.ip[:], ip[:])
		c.peer.port, c.peer.kind = p.addr.Port(), peerIP4
	case a.Is6() && a.Zone() == "":
		c.peer.ip, c.peer.port, c.peer.kind = a.As16(), p.addr.Port(), peerIP6
	case p.text == unixPeer:
		c.peer.kind = peerUnix
	default:
		if text := p.String(); text != "" {
			c.extra().peer, c.peer.kind = text, peerText
		}
	}
}

// Peer returns the remote address as text, "" if there is none. Any goroutine.
func (c *Conn) Peer() string {
	switch p := &c.peer; p.kind {
	case peerIP4:
		return netip.AddrPortFrom(netip.AddrFrom4([4]byte(p.ip[:4])), p.port).String()
	case peerIP6:
		return netip.AddrPortFrom(netip.AddrFrom16(p.ip), p.port).String()
	case peerUnix:
		return unixPeer
	case peerText:
		return c.x.peer
	}
	return ""
}
