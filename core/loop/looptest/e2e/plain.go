package e2e

import (
	"bufio"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// plain is a server that the engine's clients come to, written with package net and,
// over TLS, crypto/tls.
type plain struct {
	s     *scene
	ln    net.Listener
	conns chan *served // accepted, and nothing read
	all   sync.WaitGroup
	mu    sync.Mutex
	open  []net.Conn
}

// plain listens as net.Listen does.
func (s *scene) plain(network, addr string) *plain {
	s.t.Helper()
	if !s.overTLS() {
		return s.plainAs(network, addr, nil)
	}
	return s.plainAs(network, addr, ours().server())
}

// plainAs is plain over TLS of this kind; nil is none.
func (s *scene) plainAs(network, addr string, cfg *tls.Config) *plain {
	s.t.Helper()
	ln, err := net.Listen(network, addr)
	s.must(err)
	bound, wire := s.host.Bound, s.host.Wire // s.host may change
	p := &plain{s: s, ln: ln, conns: make(chan *served, 64)}
	p.all.Go(func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			c.SetDeadline(time.Now().Add(bound))
			p.mu.Lock()
			p.open = append(p.open, c)
			p.mu.Unlock()
			if cfg != nil {
				c = client.Server(c, cfg, wire.shape())
			}
			p.conns <- &served{c, bufio.NewReader(c)}
		}
	})
	return p
}

func (p *plain) close() {
	p.ln.Close()
	p.all.Wait()
	for _, c := range p.open {
		c.Close()
	}
}

func (p *plain) url() string { return p.s.scheme() + "://" + p.ln.Addr().String() + "/" }

// next is the next connection.
func (p *plain) next() *served {
	p.s.t.Helper()
	return take(p.s, p.conns, "a client comes to the plain server")
}

// asked is the next connection, and the key that its request has.
func (p *plain) asked() (c *served, key string) {
	p.s.t.Helper()
	c = p.next()
	r, err := http.ReadRequest(c.r)
	p.s.must(err)
	return c, r.Header.Get("Sec-WebSocket-Key")
}

// accept is the next connection, whose request is answered.
func (p *plain) accept() *served {
	p.s.t.Helper()
	c, key := p.asked()
	p.s.must(c.answer(key))
	return c
}

// served is one connection of plain: the other half of package client's, and like
// it nothing is done by itself.
type served struct {
	net.Conn
	r *bufio.Reader
}

// answer opens the WebSocket, without extensions and subprotocol.
func (c *served) answer(key string) error {
	_, err := fmt.Fprintf(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n",
		ws.AppendAccept(nil, []byte(key)))
	return err
}

func (c *served) send(op ws.Opcode, p []byte) error {
	_, err := c.Write(ws.AppendPlain(make([]byte, 0, len(p)+ws.MaxHeader), op, true, p))
	return err
}

// next reads one frame, which must be masked (RFC 6455 5.1).
func (c *served) next() (f client.Frame, err error) {
	var h [12]byte
	if _, err = io.ReadFull(c.r, h[:2]); err != nil {
		return f, err
	}
	f.Op, f.Fin = ws.Opcode(h[0]&0xf), h[0]&0x80 != 0
	if h[0]&0x70 != 0 || h[1]&0x80 == 0 {
		return f, fmt.Errorf("a client's frame header is %x", h[:2])
	}
	n, extra := uint64(h[1]&0x7f), map[byte]int{126: 2, 127: 8}[h[1]&0x7f]
	if _, err = io.ReadFull(c.r, h[:extra+4]); err != nil {
		return f, err
	}
	switch extra {
	case 2:
		n = uint64(binary.BigEndian.Uint16(h[:]))
	case 8:
		n = binary.BigEndian.Uint64(h[:])
	}
	if n > client.MaxFrame {
		return f, errors.New("a client's frame is too large")
	}
	f.Payload = make([]byte, n)
	_, err = io.ReadFull(c.r, f.Payload)
	for i := range f.Payload {
		f.Payload[i] ^= h[extra+i%4]
	}
	return f, err
}

// echo sends n messages back, which must be one frame each.
func (c *served) echo(n int) error {
	for range n {
		f, err := c.next()
		if err == nil && !f.Fin {
			err = errors.New("a client's message in fragments")
		}
		if err == nil {
			err = c.send(f.Op, f.Payload)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// rest reads to the end of the stream; a deadline that passes is an error.
func (c *served) rest() error {
	b, err := io.ReadAll(c.r)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return errors.New("the client does not close")
	}
	if len(b) > 0 {
		return fmt.Errorf("the client says %q before its end", b)
	}
	return nil
}

// raw is the connection of the system.
func (c *served) raw() net.Conn {
	if t, ok := c.Conn.(*client.TLS); ok {
		return t.Below()
	}
	return c.Conn
}

// closeWrite sends the end of the stream.
func (c *served) closeWrite() error { return c.Conn.(interface{ CloseWrite() error }).CloseWrite() }
