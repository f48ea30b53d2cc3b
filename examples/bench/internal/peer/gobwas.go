//go:build linux

package peer

import (
	"bufio"
	"bytes"
	"io"
	"net"
	"sync"

	"github.com/gobwas/ws"
	"golang.org/x/sys/unix"
)

func init() {
	servers["gobwas"] = gobwasGoroutines
	servers["gobwas-epoll"] = gobwasEpoll
}

// gobwasConn echoes whole messages with gobwas's codec.
type gobwasConn struct {
	net.Conn
	all *registry[*gobwasConn]
	msg []byte // pieces of a message
	op  ws.OpCode
	mu  sync.Mutex // for broadcasts
}

// room is for the longest header, in front of the payload.
const room = 14

// step reads and answers one frame; buf is used for the payload and the answer.
func (c *gobwasConn) step(r io.Reader, buf *[]byte) error {
	h, err := ws.ReadHeader(r)
	if err != nil {
		return err
	}
	n := room + len(c.msg) + int(h.Length)
	if cap(*buf) < n {
		*buf = make([]byte, n+n/2)
	}
	b := (*buf)[:n]
	p := b[n-int(h.Length):]
	if _, err := io.ReadFull(r, p); err != nil {
		return err
	}
	if h.Masked {
		ws.Cipher(p, h.Mask, 0)
	}
	switch h.OpCode {
	case ws.OpClose:
		return io.EOF
	case ws.OpPing:
		return ws.WriteFrame(c.Conn, ws.NewPongFrame(p))
	case ws.OpPong:
		return nil
	case ws.OpContinuation:
	default:
		c.op = h.OpCode
	}
	if !h.Fin {
		c.msg = append(c.msg, p...)
		return nil
	}
	copy(b[room:], c.msg)
	c.msg = nil
	return c.message(b)
}

// message answers a message, which has room in front of it.
func (c *gobwasConn) message(b []byte) error {
	payload := b[room:]
	if c.all.on && c.op == ws.OpText {
		if n, ok := order(payload); ok {
			f, err := ws.CompileFrame(ws.NewTextFrame(fill(n)))
			c.all.each(func(o *gobwasConn) {
				o.mu.Lock()
				defer o.mu.Unlock()
				o.Conn.Write(f)
			})
			return err
		}
	}
	h := ws.Header{Fin: true, OpCode: c.op, Length: int64(len(payload))}
	at := room - ws.HeaderSize(h)
	var head bytes.Buffer
	if err := ws.WriteHeader(&head, h); err != nil {
		return err
	}
	copy(b[at:], head.Bytes())
	_, err := c.Conn.Write(b[at:])
	return err
}

// gobwasGoroutines has a goroutine for each connection, gobwas's upgrade without
// copies, and a reader and a message buffer for each.
func gobwasGoroutines(cfg *Config) error {
	all := &registry[*gobwasConn]{on: cfg.Broadcast}
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return err
	}
	for {
		nc, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer nc.Close()
			if _, err := ws.Upgrade(nc); err != nil {
				return
			}
			c := &gobwasConn{Conn: nc, all: all}
			all.add(c)
			defer all.remove(c)
			br := bufio.NewReaderSize(nc, 1024)
			var buf []byte
			for c.step(br, &buf) == nil {
			}
		}()
	}
}

// gobwasLoop is the way to have many connections with gobwas: each is upgraded on a
// goroutine that ends, and then waits in an epoll set without a goroutine or a buffer.
type gobwasLoop struct {
	ep    int
	all   *registry[*gobwasConn]
	mu    sync.Mutex
	conns map[int32]*gobwasConn
}

func gobwasEpoll(cfg *Config) error {
	l, err := net.Listen("tcp", cfg.Addr)
	if err != nil {
		return err
	}
	s := &gobwasLoop{all: &registry[*gobwasConn]{on: cfg.Broadcast}, conns: map[int32]*gobwasConn{}}
	if s.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return err
	}
	go func() {
		for {
			nc, err := l.Accept()
			if err != nil {
				return
			}
			go s.upgrade(nc.(*net.TCPConn))
		}
	}()
	events := make([]unix.EpollEvent, 512)
	br := bufio.NewReaderSize(nil, 64<<10)
	var buf []byte
	for {
		for _, ev := range wait(s.ep, events) {
			s.mu.Lock()
			c := s.conns[ev.Fd]
			s.mu.Unlock()
			if c == nil {
				continue
			}
			br.Reset(c.Conn)
			err := c.step(br, &buf)
			for err == nil && br.Buffered() > 0 {
				err = c.step(br, &buf)
			}
			if err != nil {
				s.mu.Lock()
				delete(s.conns, ev.Fd)
				s.mu.Unlock()
				s.all.remove(c)
				c.Close()
			}
		}
	}
}

func (s *gobwasLoop) upgrade(nc *net.TCPConn) {
	_, err := ws.Upgrade(nc)
	raw, e := nc.SyscallConn()
	if err != nil || e != nil {
		nc.Close()
		return
	}
	c := &gobwasConn{Conn: nc, all: s.all}
	s.all.add(c)
	raw.Control(func(fd uintptr) {
		s.mu.Lock()
		s.conns[int32(fd)] = c
		s.mu.Unlock()
		unix.EpollCtl(s.ep, unix.EPOLL_CTL_ADD, int(fd), &unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLRDHUP, Fd: int32(fd)})
	})
}
