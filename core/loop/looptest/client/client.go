// Package client is a small blocking client for tests: WebSocket and HTTP/1.1
// over one connection, whole frames, no goroutine, nothing done by itself. It
// answers no Ping and no Close frame, so that a test says what the peer does.
package client

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"time"

	"anyloop/core/ws"
)

// MaxFrame is the largest payload that Next takes, in bytes; more is an error.
const MaxFrame = 64 << 20

// ErrEcho says that what came back is not what was sent.
var ErrEcho = errors.New("client: what came back is not what was sent")

// mask is any key but zero, which would hide a server that does not unmask.
var mask = [4]byte{9, 8, 7, 6}

// Conn is one connection. Reading and writing may go on in two goroutines; two
// readers or two writers may not.
type Conn struct {
	net.Conn
	r *bufio.Reader
}

// New makes a client of a connection, which it owns from then on.
func New(c net.Conn) *Conn { return &Conn{c, bufio.NewReader(c)} }

// Dial connects to "host:port" or "unix:path". The connection's deadline, and
// the limit on connecting, is bound from now.
func Dial(addr string, bound time.Duration) (*Conn, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	c, err := net.DialTimeout(network, addr, bound)
	if err != nil {
		return nil, err
	}
	c.SetDeadline(time.Now().Add(bound))
	return New(c), nil
}

// Read reads what the other methods have not: part of a frame is never left.
func (c *Conn) Read(p []byte) (int, error) { return c.r.Read(p) }

// Buffered returns how many bytes were received and are not read yet.
func (c *Conn) Buffered() int { return c.r.Buffered() }

// CloseWrite sends the end of the stream; errors.ErrUnsupported if the
// connection cannot.
func (c *Conn) CloseWrite() error {
	if h, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return h.CloseWrite()
	}
	return fmt.Errorf("client: CloseWrite: %w", errors.ErrUnsupported)
}

// Upgrade does the opening handshake of a WebSocket at "/" with a subprotocol
// ("" for none).
func (c *Conn) Upgrade(protocol string) error {
	if err := c.AskUpgrade(protocol); err != nil {
		return err
	}
	return c.ReadUpgrade()
}

// AskUpgrade sends the request of Upgrade.
func (c *Conn) AskUpgrade(protocol string) error {
	req := "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	if protocol != "" {
		req += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	_, err := io.WriteString(c, req+"\r\n")
	return err
}

// ReadUpgrade reads the answer to AskUpgrade. An answer other than 101 is an
// error that quotes it.
func (c *Conn) ReadUpgrade() error {
	var head []byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		line, err := c.r.ReadSlice('\n')
		head = append(head, line...)
		if err != nil {
			return err
		}
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return fmt.Errorf("client: no upgrade: %q", head)
	}
	return nil
}

// Append appends a masked frame to b.
func Append(b []byte, op ws.Opcode, fin bool, p []byte) []byte {
	return ws.AppendFrame(b, ws.Header{Op: op, Fin: fin, Masked: true, Mask: mask}, p)
}

// Frame sends one frame. p is unchanged.
func (c *Conn) Frame(op ws.Opcode, fin bool, p []byte) error {
	_, err := c.Write(Append(make([]byte, 0, len(p)+ws.MaxHeader), op, fin, p))
	return err
}

// Send sends a whole message, or a control frame.
func (c *Conn) Send(op ws.Opcode, p []byte) error { return c.Frame(op, true, p) }

// Text sends a text message.
func (c *Conn) Text(s string) error { return c.Send(ws.Text, []byte(s)) }

// SendClose sends a Close frame.
func (c *Conn) SendClose(code ws.CloseCode, text string) error {
	_, err := c.Write(ws.AppendClose(nil, code, text, &mask))
	return err
}

// Frame is one frame that was received. Its payload is the receiver's own.
type Frame struct {
	Op      ws.Opcode
	Fin     bool
	Payload []byte
}

// Code returns the code of a Close frame, 1005 if it has none.
func (f Frame) Code() int {
	if len(f.Payload) < 2 {
		return int(ws.CloseNoStatus)
	}
	return int(binary.BigEndian.Uint16(f.Payload))
}

// Reason returns the text of a Close frame.
func (f Frame) Reason() string { return string(f.Payload[min(2, len(f.Payload)):]) }

// Next reads one frame, which must not be masked (RFC 6455 5.1).
func (c *Conn) Next() (Frame, error) {
	var h [8]byte
	if _, err := io.ReadFull(c.r, h[:2]); err != nil {
		return Frame{}, err
	}
	f := Frame{Op: ws.Opcode(h[0] & 0xf), Fin: h[0]&0x80 != 0}
	if h[0]&0x70 != 0 || h[1]&0x80 != 0 {
		return f, fmt.Errorf("client: frame header %x", h[:2])
	}
	n := uint64(h[1])
	switch n {
	case 126:
		if _, err := io.ReadFull(c.r, h[:2]); err != nil {
			return f, unexpected(err)
		}
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case 127:
		if _, err := io.ReadFull(c.r, h[:8]); err != nil {
			return f, unexpected(err)
		}
		n = binary.BigEndian.Uint64(h[:])
	}
	if n > MaxFrame {
		return f, fmt.Errorf("client: a frame of %d bytes", n)
	}
	f.Payload = make([]byte, n)
	_, err := io.ReadFull(c.r, f.Payload)
	return f, unexpected(err)
}

// unexpected keeps an end inside a frame from looking like one between frames.
func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

// Message reads the next whole message and passes over control frames; a Close
// frame is an error that names its code.
func (c *Conn) Message() (op ws.Opcode, p []byte, err error) {
	for first := true; ; {
		f, err := c.Next()
		switch {
		case err != nil:
			return 0, nil, err
		case f.Op == ws.Close:
			return 0, nil, fmt.Errorf("client: closed with %d %q", f.Code(), f.Reason())
		case f.Op.IsControl():
			continue
		}
		if first {
			op, first = f.Op, false
			p = f.Payload
		} else {
			p = append(p, f.Payload...)
		}
		if f.Fin {
			return op, p, nil
		}
	}
}

// Echo sends a message and reads it back; ErrEcho if something else comes.
func (c *Conn) Echo(op ws.Opcode, p []byte) error {
	if err := c.Send(op, p); err != nil {
		return err
	}
	return c.Want(op, p)
}

// Want reads the next message; ErrEcho if it is another.
func (c *Conn) Want(op ws.Opcode, p []byte) error {
	got, q, err := c.Message()
	if err != nil {
		return err
	}
	if got != op || !bytes.Equal(p, q) {
		return fmt.Errorf("%w: %d bytes of kind %d instead of %d of kind %d", ErrEcho, len(q), got, len(p), op)
	}
	return nil
}

// Response is an answer with its whole body.
type Response struct {
	*http.Response
	Body []byte
}

// Response reads the answer to a request of that method.
func (c *Conn) Response(method string) (Response, error) {
	r, err := http.ReadResponse(c.r, &http.Request{Method: method})
	if err != nil {
		return Response{}, err
	}
	body, err := io.ReadAll(r.Body)
	r.Body.Close()
	return Response{r, body}, err
}

// Ask sends a request with extra header lines ("name: value\r\n...") and reads
// its answer.
func (c *Conn) Ask(method, path, header string) (Response, error) {
	if _, err := io.WriteString(c, method+" "+path+" HTTP/1.1\r\nHost: test\r\n"+header+"\r\n"); err != nil {
		return Response{}, err
	}
	return c.Response(method)
}
