package looptest

import (
	"bytes"
	"errors"
	"io"
	"net"

	"anyloop/core/ws"
)

const request = "GET / HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// upgrade does the opening handshake, byte by byte at the end, since nothing may
// be read beyond it.
func upgrade(c net.Conn) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	return readHead(c)
}

// readHead reads the answer, which must be an upgrade.
func readHead(c net.Conn) error {
	var head []byte
	var b [1]byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		if _, err := io.ReadFull(c, b[:]); err != nil {
			return err
		}
		head = append(head, b[0])
	}
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		return errors.New("looptest: " + string(head))
	}
	return nil
}

var mask = [4]byte{9, 8, 7, 6}

func sendText(c net.Conn, msg string) error {
	_, err := c.Write(ws.AppendFrame(nil, ws.Header{Op: ws.Text, Fin: true, Masked: true, Mask: mask}, []byte(msg)))
	return err
}

// receive reads one frame.
func receive(c net.Conn) (op ws.Opcode, payload []byte, err error) {
	var head [4]byte
	if _, err := io.ReadFull(c, head[:2]); err != nil {
		return 0, nil, err
	}
	n := int(head[1] & 0x7f)
	switch n {
	case 126:
		if _, err := io.ReadFull(c, head[2:4]); err != nil {
			return 0, nil, err
		}
		n = int(head[2])<<8 | int(head[3])
	case 127:
		return 0, nil, errors.New("looptest: a frame larger than any that was sent")
	}
	payload = make([]byte, n)
	_, err = io.ReadFull(c, payload)
	return ws.Opcode(head[0] & 0xf), payload, err
}

func echoOnce(c net.Conn, msg string) error {
	if err := sendText(c, msg); err != nil {
		return err
	}
	op, got, err := receive(c)
	if err == nil && (op != ws.Text || string(got) != msg) {
		err = errEcho
	}
	return err
}
