//go:build linux

package load

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"strings"

	"anyloop/core/ws"
)

// conn is one WebSocket over TLS.
type conn struct {
	*tls.Conn
	s    *sock
	got  int // bytes of the answer to the burst under way
	left int // bursts still to be sent
}

// config is the client's: it checks no certificate, since only what the server does
// is measured.
func config() *tls.Config {
	return &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}, DynamicRecordSizingDisabled: true}
}

const request = "GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// dial opens a WebSocket, which then reads without blocking.
func dial(addr string, cfg *tls.Config) (*conn, error) {
	s, err := connect(addr)
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: tls.Client(s, cfg), s: s}
	if err = c.Handshake(); err == nil {
		err = upgrade(c)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	s.blocking = false
	return c, nil
}

// upgrade asks for a WebSocket. The server says nothing behind its answer.
func upgrade(c io.ReadWriter) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	var head []byte
	buf := make([]byte, 4<<10)
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		n, err := c.Read(buf)
		if head = append(head, buf[:n]...); err != nil {
			return err
		}
	}
	if !strings.HasPrefix(string(head), "HTTP/1.1 101 ") {
		return fmt.Errorf("no upgrade: %q", head)
	}
	return nil
}

// frames returns what asks for an echo of a message of size bytes, and what the
// answer must be.
func frames(size int) (ask, answer []byte) {
	p := bytes.Repeat([]byte("0123456789abcdef"), size/16+1)[:size]
	ask = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, p)
	return ask, ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, p)
}
