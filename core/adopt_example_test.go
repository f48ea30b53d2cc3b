//go:build unix

package core_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/loops/poll"
)

// end is one end of a proxied connection. What it receives, the other sends; no
// more is received before that is sent.
type end struct {
	c     *core.Conn
	other *end
	out   []byte // to be sent here
	fin   bool   // nothing comes behind it
}

func (e *end) Receive(c *core.Conn, p []byte) error {
	e.other.out = append(e.other.out[:0], p...)
	if err := c.Pause(); err != nil {
		return err
	}
	return e.other.c.RequestWritable()
}

func (e *end) Writable(c *core.Conn, w *core.RawWriter) error {
	if len(e.out) > 0 {
		n, err := w.Write(e.out)
		if err != nil {
			return err
		}
		if e.out = e.out[n:]; len(e.out) > 0 {
			return c.RequestWritable()
		}
		e.other.c.Resume()
	}
	if e.fin {
		return w.CloseWrite()
	}
	return nil
}

func (e *end) PeerEnd(*core.Conn) error {
	e.other.fin = true
	return e.other.c.RequestWritable()
}

func (e *end) Closed(*core.Conn, error) {
	if e.other != nil {
		e.other.c.Close(1000, "") // which may have ended before
	}
}

// proxy is the end where a client is. It has been connected to a server when done.
type proxy struct {
	end
	to      string
	servers *sync.Map // the *end of each connection to a server whose handler is to be made
}

func (p *proxy) Opened(c *core.Conn) error {
	var fd int
	var err error
	connect := func() { fd, err = dialFD(p.to) } // may wait: not on the loop
	return c.Work(connect, func(c *core.Conn) error {
		if err != nil {
			return err
		}
		s, err := c.Thread().AdoptRaw(fd, c.VHost(), "server", p.to, nil)
		if err != nil {
			unix.Close(fd)
			return err
		}
		p.c, p.other = c, &end{c: s, other: &p.end}
		p.servers.Store(s, p.other)
		return nil
	})
}

func (p *proxy) Closed(c *core.Conn, err error) {
	p.end.Closed(c, err)
	if p.other != nil {
		p.servers.Delete(p.other.c)
	}
}

// dialFD returns a descriptor of its own: that of a net.Conn is closed with it.
func dialFD(addr string) (int, error) {
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		return -1, err
	}
	defer nc.Close()
	f, err := nc.(*net.TCPConn).File()
	if err != nil {
		return -1, err
	}
	defer f.Close()
	return unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
}

// A TCP proxy, with each way held back by who receives, and ended by who sends.
func ExampleThread_AdoptRaw() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go func() { // a server that answers when it has got everything
		c, _ := ln.Accept()
		all, _ := io.ReadAll(c)
		fmt.Fprintf(c, "got %d bytes", len(all))
		c.Close()
	}()

	var servers sync.Map
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{{
		Addr:    "127.0.0.1:0",
		RawOnly: "client",
		Protocols: []core.Protocol{
			{Name: "client", Raw: func(*core.Conn) core.RawHandler {
				return &proxy{to: ln.Addr().String(), servers: &servers}
			}},
			{Name: "server", Raw: func(c *core.Conn) core.RawHandler {
				e, _ := servers.LoadAndDelete(c) // made in the turn after AdoptRaw
				return e.(*end)
			}},
		},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	done := make(chan error)
	go func() { done <- eng.Run(context.Background()) }()
	c, err := net.Dial("tcp", eng.VHost("default").Addr())
	if err != nil {
		fmt.Println(err)
		return
	}
	c.Write(make([]byte, 1<<20))
	c.(*net.TCPConn).CloseWrite()
	answer, _ := io.ReadAll(c)
	fmt.Printf("%s\n", answer)
	eng.Stop(0)
	fmt.Println(<-done)
	// Output:
	// got 1048576 bytes
	// <nil>
}
