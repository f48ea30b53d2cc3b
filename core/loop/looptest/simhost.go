package looptest

import (
	"io"
	"net"
	"os"
	"runtime"
	"sync"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// Sim returns a host on a simulated kernel: its clients are virtual peers, and
// its loop is turned by a goroutine of the suite.
func Sim(k *sim.Kernel) Host {
	s := &simHost{k: k}
	return Host{Backend: k, Addr: "sim:80", Run: s.run, Dial: s.dial}
}

type simHost struct {
	mu sync.Mutex // the kernel has one caller at a time
	k  *sim.Kernel
}

func (s *simHost) run(e *core.Engine) error {
	for e.Thread(0).Hosted() {
		s.mu.Lock()
		any := s.k.Turn()
		s.mu.Unlock()
		if !any {
			runtime.Gosched()
		}
	}
	return nil
}

func (s *simHost) dial(addr string) (net.Conn, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.k.Dial(addr)
	if p == nil {
		return nil, &net.OpError{Op: "dial", Net: "sim", Err: os.ErrNotExist}
	}
	return &simConn{s: s, p: p}, nil
}

// simConn is a virtual peer as a blocking net.Conn.
type simConn struct {
	s    *simHost
	p    *sim.Peer
	got  []byte
	late time.Time
}

// retry calls f under the lock until it has an answer or the deadline passes.
func (c *simConn) retry(f func() (int, error, bool)) (int, error) {
	for {
		c.s.mu.Lock()
		n, err, done := f()
		c.s.mu.Unlock()
		if done {
			return n, err
		}
		if !c.late.IsZero() && time.Now().After(c.late) {
			return n, os.ErrDeadlineExceeded
		}
		runtime.Gosched()
	}
}

func (c *simConn) Read(b []byte) (int, error) {
	return c.retry(func() (int, error, bool) {
		c.got = append(c.got, c.p.Read()...)
		if len(c.got) > 0 {
			n := copy(b, c.got)
			c.got = c.got[n:]
			return n, nil, true
		}
		if c.p.EOF() || c.p.Gone() || c.p.ResetSeen() {
			return 0, io.EOF, true
		}
		return 0, nil, false
	})
}

func (c *simConn) Write(b []byte) (int, error) {
	sent := 0
	_, err := c.retry(func() (int, error, bool) {
		sent += c.p.Write(b[sent:])
		if c.p.ResetSeen() || c.p.Gone() {
			return sent, io.ErrClosedPipe, true
		}
		return sent, nil, sent == len(b)
	})
	return sent, err
}

func (c *simConn) Close() error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.p.Close()
	return nil
}

func (c *simConn) LocalAddr() net.Addr                { return nil }
func (c *simConn) RemoteAddr() net.Addr               { return nil }
func (c *simConn) SetDeadline(t time.Time) error      { c.late = t; return nil }
func (c *simConn) SetReadDeadline(t time.Time) error  { c.late = t; return nil }
func (c *simConn) SetWriteDeadline(t time.Time) error { c.late = t; return nil }
