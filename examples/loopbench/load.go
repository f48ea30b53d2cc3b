package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"net"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/ws"
)

// load is the client: every connection keeps depth messages in flight, one
// goroutine waits for all with poll(2).
type load struct {
	fds   []unix.PollFd
	files []io.Closer
	got   []int // bytes of the running burst received
	burst []byte
	back  int // bytes that answer a burst
	depth int
	buf   []byte
}

const request = "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// dial opens the connections; websocket says whether they are upgraded. The
// messages are the same bytes in both cases, a masked frame of 64.
func dial(addr string, websocket bool, conns, depth int) (*load, error) {
	payload := bytes.Repeat([]byte("m"), 64)
	frame := ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, payload)
	answer := len(frame)
	if websocket {
		answer = len(ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, payload))
	}
	l := &load{burst: bytes.Repeat(frame, depth), back: answer * depth, depth: depth, buf: make([]byte, 64<<10)}
	for range conns {
		if err := l.add(addr, websocket); err != nil {
			l.close()
			return nil, err
		}
	}
	return l, nil
}

func (l *load) add(addr string, websocket bool) error {
	c, err := net.DialTimeout("tcp", addr, 10*time.Second)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	if websocket {
		if err := upgrade(c); err != nil {
			return err
		}
	}
	f, err := c.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	l.files = append(l.files, f)
	fd := int(f.Fd())
	l.fds = append(l.fds, unix.PollFd{Fd: int32(fd), Events: unix.POLLIN})
	l.got = append(l.got, 0)
	return unix.SetNonblock(fd, true)
}

func upgrade(c net.Conn) error {
	if _, err := io.WriteString(c, request); err != nil {
		return err
	}
	r := bufio.NewReader(c)
	status, err := r.ReadString('\n')
	for line := status; err == nil && line != "\r\n"; {
		line, err = r.ReadString('\n')
	}
	if err == nil && !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		err = fmt.Errorf("upgrade: %q", status)
	}
	return err
}

func (l *load) close() {
	for _, f := range l.files {
		f.Close()
	}
}

// run keeps the connections busy for d and returns the number of messages.
func (l *load) run(d time.Duration) (n int, err error) {
	end := time.Now().Add(d)
	for i := range l.fds {
		if err := l.send(i); err != nil {
			return 0, err
		}
	}
	for out := len(l.fds); out > 0; {
		if _, err := unix.Poll(l.fds, 10_000); err != nil && err != unix.EINTR {
			return n, err
		}
		again := time.Now().Before(end)
		for i := range l.fds {
			if l.fds[i].Revents == 0 {
				continue
			}
			done, err := l.receive(i)
			switch {
			case err != nil:
				return n, err
			case !done:
				continue
			}
			n += l.depth
			if !again {
				out--
				continue
			}
			if err := l.send(i); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

// send writes a burst: it always fits, since the one before is answered.
func (l *load) send(i int) error {
	n, err := unix.Write(int(l.fds[i].Fd), l.burst)
	if err == nil && n < len(l.burst) {
		err = io.ErrShortWrite
	}
	return err
}

// receive reads what is there and reports whether the burst is answered.
func (l *load) receive(i int) (done bool, err error) {
	n, err := unix.Read(int(l.fds[i].Fd), l.buf)
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return false, nil
	case err != nil:
		return false, err
	case n == 0:
		return false, io.ErrUnexpectedEOF
	}
	if l.got[i] += n; l.got[i] > l.back {
		return false, fmt.Errorf("%d bytes answer %d messages", l.got[i], l.depth)
	}
	if l.got[i] < l.back {
		return false, nil
	}
	l.got[i] = 0
	return true, nil
}
