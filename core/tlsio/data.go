package tlsio

import "io"

// Read decrypts the next record into p, which has room for 16 KiB at least, and
// appends to dst what TLS itself has to send: the answer to a KeyUpdate, an
// alert. ErrAgain says that no complete record is left, io.EOF that the peer has
// said that it sends no more; any other error is final. n may be > 0 with a final
// error, never with ErrAgain, and is not 0 without an error. A p that is too small
// is filled; the rest comes next.
//
// A peer can make a session answer without end (KeyUpdate): the caller stops
// reading while it cannot send.
func (s *Session) Read(dst, p []byte) (out []byte, n int, err error) {
	switch {
	case s.rerr != nil:
		return dst, 0, s.rerr
	case s.step != Complete:
		return dst, 0, ErrNotComplete
	case len(p) == 0:
		return dst, 0, io.ErrShortBuffer
	}
	s.begin(dst)
	for err = ErrAgain; n == 0 && err == ErrAgain && (s.more || s.in.ready()); {
		n, err = s.decrypt(p)
	}
	switch {
	case err == ErrAgain && n > 0:
		err = nil
	case err != nil && err != ErrAgain:
		s.drop(s.named(err))
		err = s.rerr
	}
	out = s.end()
	if s.aborted {
		err = s.rerr
	}
	return out, n, err
}

// decrypt calls crypto/tls for plaintext. It consumes a record, or what is left
// of one.
func (s *Session) decrypt(p []byte) (n int, err error) {
	defer caught(&err)
	if s.lend {
		if !s.more && len(p) >= maxPlaintext {
			s.lendNext()
		}
		defer s.unlend()
	}
	n, err = s.tc.Read(p)
	s.more = n == len(p) && n < maxPlaintext
	return n, err
}

// Write appends p to dst, encrypted. An error is final.
func (s *Session) Write(dst, p []byte) (out []byte, err error) {
	switch {
	case s.werr != nil:
		return dst, s.werr
	case s.aborted:
		return dst, ErrAborted
	case s.step != Complete:
		return dst, ErrNotComplete
	}
	s.begin(dst)
	if err = s.encrypt(p); err != nil {
		s.werr = s.named(err)
		err = s.werr
	}
	return s.end(), err
}

// encrypt calls crypto/tls, which may call the reader of random numbers of the
// tls.Config.
func (s *Session) encrypt(p []byte) (err error) {
	defer caught(&err)
	_, err = s.tc.Write(p)
	return err
}

// CloseNotify appends the alert that says that we send no more, once; nothing
// before the handshake is complete, nor after a fatal error, which has ended the
// connection already (RFC 8446 6.2).
func (s *Session) CloseNotify(dst []byte) []byte {
	if s.step != Complete || s.closing || s.werr != nil || s.rerr != nil && s.rerr != io.EOF {
		return dst
	}
	s.closing = true
	s.werr = ErrClosed
	s.begin(dst)
	s.tc.CloseWrite() // fails only if a write does
	return s.end()
}
