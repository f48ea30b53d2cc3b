//go:build unix

package browser

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"net/http"
	"syscall"
	"testing"
	"time"
)

// A rawClient is a WebSocket client that does nothing by itself: it reads
// when told to, so it can also stop reading, which no browser can.
type rawClient struct {
	t    *testing.T
	conn net.Conn
	in   *bufio.Reader
}

// dialRaw connects to a subprotocol. The client lets the kernel buffer as
// little as it can for it, in both kernels: a small receive buffer here, and
// small segments, after which the server's kernel sizes its send buffer.
func dialRaw(t *testing.T, addr, path, protocol string) *rawClient {
	t.Helper()
	dialer := net.Dialer{Timeout: readyWithin, Control: func(_, _ string, raw syscall.RawConn) error {
		var err error
		control := func(fd uintptr) {
			if err = syscall.SetsockoptInt(int(fd), syscall.SOL_SOCKET, syscall.SO_RCVBUF, 2048); err == nil {
				err = syscall.SetsockoptInt(int(fd), syscall.IPPROTO_TCP, syscall.TCP_MAXSEG, 536)
			}
		}
		if e := raw.Control(control); e != nil {
			return e
		}
		return err
	}}
	conn, err := dialer.DialContext(t.Context(), "tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(2 * waitWithin)); err != nil {
		t.Fatal(err)
	}
	if *overTLS {
		conn = tls.Client(conn, &tls.Config{InsecureSkipVerify: true}) // the browser looks at certificates
	}
	// RFC 6455 section 1.3 computes this answer to this key.
	fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"+
		"Sec-WebSocket-Protocol: %s\r\n\r\n", path, addr, protocol)
	c := &rawClient{t: t, conn: conn, in: bufio.NewReaderSize(conn, 512)}
	response, err := http.ReadResponse(c.in, nil)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusSwitchingProtocols ||
		response.Header.Get("Sec-WebSocket-Accept") != "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=" ||
		response.Header.Get("Sec-WebSocket-Protocol") != protocol {
		t.Fatalf("the server answered %s to %s: %v", response.Status, protocol, response.Header)
	}
	return c
}

// send writes one short text message.
func (c *rawClient) send(text string) {
	c.t.Helper()
	if len(text) > 125 {
		c.t.Fatalf("%d bytes need a longer frame header than this client has", len(text))
	}
	// RFC 6455 section 5.3: "All frames sent from client to server have this
	// bit set to 1." A key of zeros masks nothing and is allowed.
	frame := append([]byte{0x81, 0x80 | byte(len(text)), 0, 0, 0, 0}, text...)
	if _, err := c.conn.Write(frame); err != nil {
		c.t.Fatal(err)
	}
}

// receive returns the next text message, which must come in one frame.
// Control frames in between are passed over.
func (c *rawClient) receive() string {
	c.t.Helper()
	for {
		opcode, payload, err := c.frame()
		if err != nil {
			c.t.Fatalf("waiting for a message: %v", err)
		}
		if opcode == 0x81 {
			return string(payload)
		}
		if opcode != 0x89 {
			c.t.Fatalf("instead of a text message came a frame %#x %q", opcode, payload)
		}
	}
}

// waitDropped reads on until the server's end of the connection is reached.
func (c *rawClient) waitDropped() {
	c.t.Helper()
	_, err := io.Copy(io.Discard, c.in)
	if wait, ok := err.(net.Error); ok && wait.Timeout() {
		c.t.Fatal("the server kept a client that had stopped reading")
	}
}

func (c *rawClient) frame() (opcode byte, payload []byte, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c.in, head[:]); err != nil {
		return 0, nil, err
	}
	length := uint64(head[1] & 0x7f)
	switch length {
	case 126:
		var ext [2]byte
		_, err = io.ReadFull(c.in, ext[:])
		length = uint64(binary.BigEndian.Uint16(ext[:]))
	case 127:
		return 0, nil, fmt.Errorf("a frame of 64 KiB or more on the mirror")
	}
	if err != nil {
		return 0, nil, err
	}
	payload = make([]byte, length)
	_, err = io.ReadFull(c.in, payload)
	return head[0], payload, err
}
