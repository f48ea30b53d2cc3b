package core

import "errors"

// errCut may be the peer's ending, or somebody else's on the way (RFC 8446 6.1).
var errCut = &TransportError{Op: "tls", Err: errors.New("the stream was cut off: no close_notify came")}

// peerGone is what a connection ends with because its peer has ended the stream.
func (l *link) peerGone() error {
	if t := l.tls(); t != nil && !t.noted {
		return errCut
	}
	return errPeerGone
}
