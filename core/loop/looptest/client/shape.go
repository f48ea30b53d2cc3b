package client

import (
	"errors"
	"io"
	"net"
	"sync"
	"time"
)

// Shape is how ciphertext is cut into writes.
type Shape uint8

const (
	// AsMade: as crypto/tls writes it.
	AsMade Shape = iota
	// OneByte: one byte per write, for the first 8 KiB of a connection, and
	// pieces of 1000 bytes from there on.
	OneByte
	// OneRecord: one record per write, those of a handshake too.
	OneRecord
	// Coalesced: what was written within a millisecond is one write, at most
	// 64 KiB.
	Coalesced
)

const (
	byBytes  = 8 << 10
	byPieces = 1000
	gathered = 64 << 10
	gather   = time.Millisecond
)

// shaped is a connection that cuts what is written to it.
type shaped struct {
	net.Conn
	shape Shape

	mu      sync.Mutex
	held    []byte // written, and not sent
	holding bool   // TryWrite sends it
	sent    int
	err     error // of a send that nobody waited for
	timer   *time.Timer
}

// ErrCut is the end of a stream over TLS that no close_notify has announced.
var ErrCut = errors.New("client: the stream ends without close_notify")

// Read keeps an end between two records from looking like close_notify, which it
// does to crypto/tls.
func (w *shaped) Read(p []byte) (int, error) {
	n, err := w.Conn.Read(p)
	if err == io.EOF {
		err = ErrCut
	}
	return n, err
}

// Write sends p, or keeps it for a moment.
func (w *shaped) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil {
		return 0, w.err
	}
	w.held = append(w.held, p...)
	switch {
	case w.holding:
	case w.shape != Coalesced || len(w.held) >= gathered:
		return len(p), w.send()
	case w.timer == nil:
		w.timer = time.AfterFunc(gather, func() { w.flush() })
	default:
		w.timer.Reset(gather)
	}
	return len(p), nil
}

// Close sends what is held, unless somebody waits in a write.
func (w *shaped) Close() error {
	if w.mu.TryLock() {
		w.send()
		w.mu.Unlock()
	}
	return w.Conn.Close()
}

func (w *shaped) flush() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.send()
}

// send sends what is held, in pieces.
func (w *shaped) send() error {
	for len(w.held) > 0 && w.err == nil {
		n, err := w.Conn.Write(w.held[:w.piece()])
		w.sent += n
		w.held, w.err = w.held[n:], err
	}
	if len(w.held) == 0 {
		w.held = nil
	}
	return w.err
}

// piece is how much of what is held makes the next write.
func (w *shaped) piece() int {
	n := len(w.held)
	switch {
	case w.shape == OneByte && w.sent < byBytes:
		return 1
	case w.shape == OneByte:
		return min(n, byPieces)
	case w.shape == OneRecord && n > 5: // RFC 8446 5.1: the length is in a record's header
		return min(n, 5+int(w.held[3])<<8+int(w.held[4]))
	}
	return n
}

// hold keeps what is written for try.
func (w *shaped) hold(on bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.holding = on
}

// try sends what is held as far as it fits without waiting, and reports whether
// that was all.
func (w *shaped) try() (done bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err != nil || len(w.held) == 0 {
		return w.err == nil, w.err
	}
	n, err := tryWrite(w.Conn, w.held)
	w.sent += n
	w.held, w.err = w.held[n:], err
	return len(w.held) == 0, err
}
