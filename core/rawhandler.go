package core

// RawHandler is what a handler of a raw connection must have: one whose bytes are
// the application's own protocol. The optional rest is RawOpener, PeerEnder,
// TimerHandler and ClosedHandler. All methods run on the conn's thread, never two
// at a time.
//
// A returned error closes the connection: ErrDrop at once, anything else when what
// was written has been sent. So does Conn.Close, whose code and text nobody is
// sent. Closed gets what ended it: io.EOF if the peer did, nil if only CloseWrite did.
type RawHandler interface {
	// Receive takes what has arrived, in order and in pieces of any size; p is
	// lent until it returns. While the peer does not take what was written,
	// nothing is read.
	Receive(c *Conn, p []byte) error
	// Writable hands out the writer, once per request (and once after the
	// connection was choked, asked or not). Writing nothing is always fine.
	Writable(c *Conn, w *RawWriter) error
}

// RawOpener is told that the connection is there, before anything else.
type RawOpener interface {
	Opened(c *Conn) error
}

// PeerEnder is told, once and behind the last Receive, that the peer sends no
// more; it may still be written to, and ends with RawWriter.CloseWrite, Conn.Close
// or an error. Without this method the connection ends then, when what was written
// has been sent.
type PeerEnder interface {
	PeerEnd(c *Conn) error
}

// RawWriter sends on a raw connection. It is valid during the Writable callback it
// was given to. Loop thread only.
type RawWriter struct {
	c    *Conn
	n    uint32 // bytes of the write that was accepted
	live bool
	used bool
}

// Write sends a piece and returns how much of p it took, at most 64 KiB; ask for
// the next Writable for the rest. p is the caller's again when it returns. One
// Write counts per callback. Errors: ErrAlreadyWritten, ErrWriterExpired,
// ErrConnClosed after CloseWrite.
func (w *RawWriter) Write(p []byte) (int, error) {
	switch {
	case !w.live:
		return 0, ErrWriterExpired
	case w.used:
		w.c.vh().log.Warn("illegal back-to-back write; the second is refused",
			"conn", w.c.String(), "first", w.n, "second", len(p))
		return 0, ErrAlreadyWritten
	case w.c.link.role.(*rawRole).shut:
		return 0, ErrConnClosed
	}
	n := min(len(p), w.Allowance())
	w.used, w.n = true, uint32(n)
	w.c.link.send(p[:n])
	return n, nil
}

// Allowance returns how many bytes Write will take now.
func (w *RawWriter) Allowance() int {
	if !w.live {
		return 0
	}
	return min(bodyPiece, w.c.link.role.allowance(w.c))
}

// CloseWrite ends our side of the stream behind what was written, also in this
// callback: no Writable comes after it, and the peer may go on sending. When both
// sides have ended, the connection has. Over TLS, and where an engine of streams
// cannot do it, the whole connection ends when everything is sent.
// ErrWriterExpired outside the callback.
func (w *RawWriter) CloseWrite() error {
	if !w.live {
		return ErrWriterExpired
	}
	w.c.link.role.(*rawRole).shut = true
	return nil
}
