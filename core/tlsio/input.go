package tlsio

import "crypto/tls"

// Sizes and codes of the record layer.
const (
	headerLen    = 5            // type, version, length (RFC 8446 5.1)
	maxPlaintext = 16384        // RFC 8446 5.1
	maxRecord    = 16384 + 2048 // RFC 5246 6.2.3
	maxRecord13  = 16384 + 256  // RFC 8446 5.2

	typeAlert     = 21
	typeHandshake = 22
	typeSSLv2     = 0x80   // the first byte of an SSLv2 hello, as crypto/tls sees it
	noVersion     = 0x1000 // from here on it is no version of TLS
)

// input holds the ciphertext that was fed and not consumed, and cuts it into
// records. crypto/tls is handed one complete record at a time, so that it never
// holds a part of one, and whether it can go on is known without asking it.
type input struct {
	part  []byte // our own bytes, which come first
	lent  []byte // what Feed lent
	stage stage
	vers  uint16 // the connection's version, once complete
}

// stage is what is known of the connection when a header is looked at.
type stage uint8

const (
	nothingRead stage = iota // the first record
	handshaking
	complete
	refused // a hopeless header was taken: it was the last
)

// hopeless reports whether crypto/tls refuses a record by its header h alone, in
// every state that stage allows. Such a record is never waited for.
func (in *input) hopeless(h []byte) bool {
	vers, n := uint16(h[1])<<8|uint16(h[2]), length(h)
	switch {
	case n > maxRecord || vers >= noVersion:
		return true
	case in.stage == nothingRead:
		return h[0] != typeAlert && h[0] != typeHandshake
	case in.stage == handshaking:
		return h[0] == typeSSLv2
	}
	// RFC 8446 5.1: TLS 1.3 has the record version of TLS 1.2.
	return vers != min(in.vers, tls.VersionTLS12) || in.vers == tls.VersionTLS13 && n > maxRecord13
}

func length(h []byte) int { return int(h[3])<<8 | int(h[4]) }

// size returns how long the record at the start of b is, as far as crypto/tls
// wants to see it; the length of a header if that is not complete.
func (in *input) size(b []byte) int {
	if len(b) < headerLen || in.hopeless(b) {
		return headerLen
	}
	return headerLen + length(b)
}

// feed lends p. What was lent before and not given back is kept first.
func (in *input) feed(p []byte) {
	if len(in.lent) > 0 {
		in.release()
	}
	in.lent = p
}

// join completes the record at the start of part with lent bytes.
func (in *input) join() {
	for len(in.part) > 0 && len(in.lent) > 0 {
		n := in.size(in.part)
		k := min(n-len(in.part), len(in.lent))
		if k <= 0 {
			return
		}
		if have := len(in.part) + k; cap(in.part) < have {
			in.part = append(make([]byte, 0, room(n, have)), in.part...)
		}
		in.part = append(in.part, in.lent[:k]...)
		in.lent = in.lent[k:]
	}
}

// room returns how much memory a record of n bytes gets of which have are here.
// What a header promises is believed when a quarter has come: a peer that sends
// nothing else does not make us hold 18 KiB.
func room(n, have int) int { return min(n, 4*have) }

// ready reports whether a complete record is there.
func (in *input) ready() bool {
	in.join()
	b := in.part
	if len(b) == 0 {
		b = in.lent
	}
	return len(b) >= headerLen && len(b) >= in.size(b) && in.stage != refused
}

// take returns the next complete record, nil if there is none. It is valid until
// release, and may be overwritten.
func (in *input) take() []byte {
	if !in.ready() {
		return nil
	}
	from := &in.part
	if len(in.part) == 0 {
		from = &in.lent
	}
	n := in.size(*from)
	rec := (*from)[:n:n]
	if *from = (*from)[n:]; len(*from) == 0 {
		*from = nil
	}
	if in.hopeless(rec) {
		in.stage = refused
	} else if in.stage == nothingRead {
		in.stage = handshaking
	}
	return rec
}

// release gives the lent bytes back, and keeps the rest of them: the beginning
// of a record with room for more of it, several records at their size.
func (in *input) release() {
	if in.join(); len(in.lent) > 0 {
		n := len(in.part) + len(in.lent)
		if len(in.part) == 0 {
			n = max(n, room(in.size(in.lent), n))
		}
		in.part = append(append(make([]byte, 0, n), in.part...), in.lent...)
	}
	in.lent = nil
}

// Feed lends p, which follows what was fed before, until Release. With
// Options.Lend it is overwritten. After the session has ended it does nothing.
func (s *Session) Feed(p []byte) {
	if s.rerr == nil {
		s.in.feed(p)
	}
}

// Release gives back what was lent: what has not been consumed is copied, at
// its exact size; of a record that is not complete with room for the rest of it,
// but for no more than four times of what there is.
func (s *Session) Release() { s.in.release() }

// Buffered returns the number of bytes that were fed and not consumed.
func (s *Session) Buffered() int { return len(s.in.part) + len(s.in.lent) }

// Ready reports whether a complete record waits: Read, or Handshake, goes on
// without being fed.
func (s *Session) Ready() bool { return s.rerr == nil && (s.more || s.in.ready()) }
