//go:build linux

package serve

import (
	"crypto/tls"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// gobwas is the other way to write such a server: a goroutine per connection that
// blocks in tls.Conn.Read. It reads a message by one Read and answers it by one
// Write, holds a buffer that small messages fit in, takes a pooled one for large
// messages, and allocates nothing itself.
type gobwas struct {
	l          net.Listener
	batch      bool
	conns      atomic.Int64
	handshakes atomic.Uint64
	resumed    atomic.Uint64
	all        sync.WaitGroup
}

func startGobwas(c *Config, cert tls.Certificate) (running, error) {
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}})
	if err != nil {
		return nil, err
	}
	s := &gobwas{l: l, batch: c.Batch}
	s.all.Add(1)
	go s.accept()
	return s, nil
}

func (s *gobwas) accept() {
	defer s.all.Done()
	for {
		c, err := s.l.Accept()
		if err != nil {
			return
		}
		s.conns.Add(1)
		s.all.Add(1)
		go func() {
			defer s.all.Done()
			defer s.conns.Add(-1)
			defer c.Close()
			s.serve(c.(*tls.Conn))
		}()
	}
}

func (s *gobwas) addr() string { return s.l.Addr().String() }

func (s *gobwas) count(u *Usage) {
	u.Conns, u.Handshakes, u.Resumed = int(s.conns.Load()), s.handshakes.Load(), s.resumed.Load()
}

// stop expects that the clients have gone.
func (s *gobwas) stop() error {
	err := s.l.Close()
	s.all.Wait()
	return err
}

func (s *gobwas) serve(c *tls.Conn) {
	if c.Handshake() != nil {
		return
	}
	s.handshakes.Add(1)
	if c.ConnectionState().DidResume {
		s.resumed.Add(1)
	}
	if _, err := ws.Upgrade(c); err != nil {
		return
	}
	s.echo(c)
}

const (
	smallBuffer = 2 << 10  // of every connection
	largeBuffer = 32 << 10 // pooled
)

var large = sync.Pool{New: func() any { b := make([]byte, largeBuffer); return &b }}

// echo answers until the connection ends.
func (s *gobwas) echo(c *tls.Conn) error {
	small := make([]byte, smallBuffer)
	var pooled *[]byte
	buf, have := small, 0
	for {
		n, err := c.Read(buf[have:])
		if have += n; have > 0 {
			used, e := s.answer(c, buf[:have])
			if e != nil {
				return e
			}
			have = copy(buf, buf[used:have])
		}
		if err != nil {
			return err
		}
		switch {
		case have == len(buf) && pooled == nil:
			pooled = large.Get().(*[]byte)
			copy(*pooled, buf)
			buf = *pooled
		case have == len(buf):
			return errors.New("a message is too long")
		case have == 0 && pooled != nil:
			large.Put(pooled)
			buf, pooled = small, nil
		}
	}
}

// answer sends back the whole messages at the start of b, and returns their length.
// A server's frames have no mask and so are shorter: they are built in place.
func (s *gobwas) answer(c *tls.Conn, b []byte) (used int, err error) {
	out := 0 // length of the answers that wait at the start of b
	for {
		h, head, ok := header(b[used:])
		if !ok || len(b)-used < head+int(h.Length) {
			break
		}
		p := b[used+head : used+head+int(h.Length)]
		used += head + int(h.Length)
		switch {
		case h.OpCode == ws.OpClose:
			return used, io.EOF
		case !h.Fin || !h.Masked || h.OpCode.IsControl():
			return used, errors.New("a frame that the load does not send")
		}
		ws.Cipher(p, h.Mask, 0)
		n := plainHeader(b[out:], h.OpCode, len(p))
		n += copy(b[out+n:], p)
		if s.batch {
			out += n
			continue
		}
		if _, err := c.Write(b[out : out+n]); err != nil {
			return used, err
		}
	}
	if out > 0 {
		_, err = c.Write(b[:out])
	}
	return used, err
}

// header reads a frame's header (RFC 6455 5.2) as ws.ReadHeader does, which
// allocates.
func header(b []byte) (h ws.Header, size int, ok bool) {
	if len(b) < 2 {
		return h, 0, false
	}
	h.Fin, h.OpCode, h.Masked = b[0]&0x80 != 0, ws.OpCode(b[0]&0xf), b[1]&0x80 != 0
	size = 2
	switch n := b[1] & 0x7f; {
	case n < 126:
		h.Length = int64(n)
	case n == 126 && len(b) >= 4:
		h.Length, size = int64(binary.BigEndian.Uint16(b[2:])), 4
	case n == 127 && len(b) >= 10:
		h.Length, size = int64(binary.BigEndian.Uint64(b[2:])&(1<<62-1)), 10
	default:
		return h, 0, false
	}
	if h.Masked {
		if len(b) < size+4 {
			return h, 0, false
		}
		size += copy(h.Mask[:], b[size:])
	}
	return h, size, true
}

// plainHeader writes the header of a whole message of n bytes.
func plainHeader(b []byte, op ws.OpCode, n int) int {
	b[0] = 0x80 | byte(op)
	if n < 126 {
		b[1] = byte(n)
		return 2
	}
	b[1] = 126 // what is longer than 64 KiB has no room
	binary.BigEndian.PutUint16(b[2:], uint16(n))
	return 4
}
