package interop

import (
	"io"
	"net"
	"sync"
	"testing"
)

// valve stands between one client and its server: it takes from the client whatever
// it sends, and reads from the server only while the gate is not locked.
type valve struct {
	addr string
	gate sync.Mutex

	mu     sync.Mutex
	more   *sync.Cond
	queue  []byte // for the server
	total  int    // bytes that have come from the client
	closed bool
	waits  bool // down is at the gate
}

// newValve makes one on a free port.
func newValve(t *testing.T, target string) *valve {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v := &valve{addr: ln.Addr().String()}
	v.more = sync.NewCond(&v.mu)
	done := make(chan struct{})
	t.Cleanup(func() { ln.Close(); <-done })
	go func() {
		defer close(done)
		client, err := ln.Accept()
		if err != nil {
			return
		}
		defer client.Close()
		server, err := net.Dial("tcp", target)
		if err != nil {
			t.Error(err)
			return
		}
		var both sync.WaitGroup
		both.Go(func() { v.down(client, server) })
		both.Go(func() { v.up(server) })
		v.take(client)
		server.Close()
		both.Wait()
	}()
	return v
}

// take reads from the client until it ends.
func (v *valve) take(client net.Conn) {
	buf := make([]byte, 4096)
	for {
		n, err := client.Read(buf)
		v.mu.Lock()
		v.queue = append(v.queue, buf[:n]...)
		v.total += n
		v.closed = err != nil
		v.more.Broadcast()
		v.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// up writes to the server what was taken.
func (v *valve) up(server io.Writer) {
	for {
		v.mu.Lock()
		for len(v.queue) == 0 && !v.closed {
			v.more.Wait()
		}
		p := v.queue
		v.queue = nil
		v.mu.Unlock()
		if len(p) == 0 {
			return
		}
		if _, err := server.Write(p); err != nil {
			return
		}
	}
}

// down passes on what the server says, while the gate is open.
func (v *valve) down(client io.Writer, server io.Reader) {
	buf := make([]byte, 4096)
	for {
		v.atGate(true)
		v.gate.Lock() // and read outside, since nothing may come for long
		v.atGate(false)
		v.gate.Unlock()
		n, err := server.Read(buf)
		client.Write(buf[:n])
		if err != nil {
			return
		}
	}
}

// shut locks the gate until open is called, or the test ends.
func (v *valve) shut(t *testing.T) (open func()) {
	v.gate.Lock()
	open = sync.OnceFunc(v.gate.Unlock)
	t.Cleanup(open)
	return open
}

func (v *valve) atGate(yes bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.waits = yes
	v.more.Broadcast()
}

// parked waits until nothing more passes from the server, while the gate is locked:
// what was being read when that was done has passed.
func (v *valve) parked() {
	v.mu.Lock()
	defer v.mu.Unlock()
	for !v.waits && !v.closed {
		v.more.Wait()
	}
}

// passed is how many bytes have come from the client.
func (v *valve) passed() int {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.total
}

// until waits until so many have.
func (v *valve) until(total int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	for v.total < total && !v.closed {
		v.more.Wait()
	}
}
