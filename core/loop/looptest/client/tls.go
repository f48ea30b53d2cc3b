package client

import (
	"crypto/tls"
	"net"
	"time"
)

// TLS is one end of a connection over TLS, for tests that say what happens below.
// Its handshake is done by the first Read or Write.
type TLS struct {
	*tls.Conn
	below *shaped
}

// DialTLS is Dial with TLS over it, as a client.
func DialTLS(addr string, bound time.Duration, cfg *tls.Config, shape Shape) (*Conn, error) {
	c, err := Dial(addr, bound)
	if err != nil {
		return nil, err
	}
	return New(Client(c.Conn, cfg, shape)), nil
}

// Client puts TLS over c, as a client, whose ciphertext goes out in that shape.
func Client(c net.Conn, cfg *tls.Config, shape Shape) *TLS {
	w := &shaped{Conn: c, shape: shape}
	return &TLS{tls.Client(w, cfg), w}
}

// Server puts TLS over c, as a server, whose ciphertext goes out in that shape.
func Server(c net.Conn, cfg *tls.Config, shape Shape) *TLS {
	w := &shaped{Conn: c, shape: shape}
	return &TLS{tls.Server(w, cfg), w}
}

// Below returns the connection that carries the ciphertext.
func (t *TLS) Below() net.Conn { return t.below.Conn }

// flushWithin is on a peer that does not read.
const flushWithin = time.Minute

// CloseNotify says that no more comes (RFC 8446 6.1), and leaves TCP as it is.
func (t *TLS) CloseNotify() error {
	t.below.hold(true)
	err := t.Conn.CloseWrite()
	t.below.hold(false)
	if err != nil {
		return err
	}
	t.SetWriteDeadline(time.Now().Add(flushWithin)) // crypto/tls has let it pass
	return t.below.flush()
}

// Cut sends the end of the TCP stream, of which TLS has said nothing.
func (t *TLS) Cut() error {
	if err := t.below.flush(); err != nil {
		return err
	}
	return t.below.Conn.(interface{ CloseWrite() error }).CloseWrite()
}

// CloseWrite sends the end of the stream: close_notify, and then that of TCP.
func (t *TLS) CloseWrite() error {
	if err := t.CloseNotify(); err != nil {
		return err
	}
	return t.Cut()
}

// maxPlaintext is the most that one record holds (RFC 8446 5.1).
const maxPlaintext = 16 << 10

// TryWrite writes what fits without waiting, to within a record: 0 and no error
// if nothing does. The handshake must be complete.
func (t *TLS) TryWrite(p []byte) (n int, err error) {
	if done, err := t.below.try(); !done || err != nil {
		return 0, err
	}
	t.below.hold(true)
	defer t.below.hold(false)
	if n, err = t.Conn.Write(p[:min(len(p), maxPlaintext)]); err == nil {
		_, err = t.below.try()
	}
	return n, err
}

// Raw returns the connection of the system: below TLS, if c has it.
func (c *Conn) Raw() net.Conn {
	if t := c.TLS(); t != nil {
		return t.Below()
	}
	return c.Conn
}

// TLS returns the TLS of c, nil if it has none.
func (c *Conn) TLS() *TLS {
	t, _ := c.Conn.(*TLS)
	return t
}
