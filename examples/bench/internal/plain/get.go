//go:build linux

package plain

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
)

// prepareGet sends GETs, Depth in flight on each connection.
func (l *loop) prepareGet() {
	l.stream = newRequests(fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\nUser-Agent: bench\r\nAccept: */*\r\n\r\n", l.Path, l.Addr), l.Depth)
	l.receive = func(c *conn, b []byte) error {
		t := now()
		if len(c.part) > 0 {
			c.part = append(c.part, b...)
			b = c.part
		}
		for len(b) > 0 {
			n, err := response(b, l.Body)
			if err != nil {
				return err
			}
			if n == 0 {
				break
			}
			b = b[n:]
			l.answered(c, t)
		}
		c.part = append(c.part[:0], b...)
		return nil
	}
}

// response returns the length of the response that b begins with, 0 if it is not
// whole. It must be a 200 with a Content-Length and want.
func response(b, want []byte) (int, error) {
	k := bytes.Index(b, []byte("\r\n\r\n"))
	if k < 0 {
		return 0, nil
	}
	head := b[:k+2]
	if !bytes.HasPrefix(head, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("not a 200: %q", head)
	}
	n, err := contentLength(head)
	if err != nil {
		return 0, err
	}
	if len(b) < k+4+n {
		return 0, nil
	}
	if !bytes.Equal(b[k+4:k+4+n], want) {
		return 0, fmt.Errorf("the body is not the file: %d bytes, expected %d", n, len(want))
	}
	return k + 4 + n, nil
}

// contentLength finds the field in a head whose lines all end.
func contentLength(head []byte) (int, error) {
	const name = "content-length:"
	for len(head) > 0 {
		i := bytes.IndexByte(head, '\n')
		line := head[:i]
		head = head[i+1:]
		if len(line) > len(name) && line[0]|0x20 == 'c' && line[8]|0x20 == 'l' && bytes.EqualFold(line[:len(name)], []byte(name)) {
			return strconv.Atoi(string(bytes.TrimSpace(line[len(name):])))
		}
	}
	return 0, errors.New("no Content-Length")
}
