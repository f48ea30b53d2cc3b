package core

import (
	"fmt"
)

// AdoptRaw serves a connected socket that somebody else has opened with the Raw
// handler of the named protocol, which is made in the next turn, for the conn that
// this call returns: core owns fd from then on, and closes it. An *os.File or net.Conn
// that has the same descriptor would close it as well, also when it is garbage: hand
// over a duplicate (unix.Dup). No TLS is spoken, whatever vh does.
// early is what was read from it before; it is copied, and received first. peer is
// the remote address as text. Errors: ErrNoVHost, ErrOtherEngine, ErrUnknownProtocol,
// ErrStopped, ErrRemoved, a *LimitError if MaxConns connections are served, or what
// the system or the loop said; fd is then the caller's as before. Loop thread only.
func (th *Thread) AdoptRaw(fd int, vh *VirtualHost, protocol, peer string, early []byte) (*Conn, error) {
	th.checkVerb("AdoptRaw")
	if err := th.eng.owns(vh); err != nil {
		return nil, err
	}
	b := vh.rawNamed(protocol)
	if b == nil {
		return nil, fmt.Errorf("%w: %q for a raw socket", ErrUnknownProtocol, protocol)
	}
	return th.adoptSocket(fd, vh, newRaw(b), peer, early)
}
