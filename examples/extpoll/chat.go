package main

import (
	"bytes"
	"fmt"
	"os"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
	"anyloop/core/sys"
	"anyloop/extpoll"
)

// chat is the program that was there before: a line chat over TCP, a FIFO whose
// lines are announced, and a timer, all in one poll(2) array, on one goroutine,
// with system calls of its own. It knows nothing of WebSockets; web.go sets
// onLine.
type chat struct {
	set    *extpoll.Set
	listen []int
	fifo   int
	guests map[int]*guest
	onLine func(line string) // everything that is said
	quit   bool
	tick   time.Time
}

// guest is one TCP connection.
type guest struct {
	fd  int
	in  []byte // an incomplete line
	out []byte // not taken by the kernel yet
}

const (
	maxLine   = 1024     // bytes
	maxUnsent = 64 << 10 // bytes; who does not read for so long is dropped
	every     = time.Minute
)

func newChat(set *extpoll.Set, addr, fifo string) (*chat, string, error) {
	fds, bound, err := sys.ListenAll(sys.ListenOptions{Network: "tcp", Address: addr})
	if err != nil {
		return nil, "", err
	}
	c := &chat{set: set, listen: fds, fifo: -1, guests: map[int]*guest{}, onLine: func(string) {}, tick: time.Now()}
	for _, fd := range fds {
		if err := set.Add(fd, loop.In); err != nil {
			return nil, "", err
		}
	}
	if fifo != "" {
		// Read and write, so that writers may come and go without an end.
		if c.fifo, err = unix.Open(fifo, unix.O_RDWR|unix.O_NONBLOCK|unix.O_CLOEXEC, 0); err != nil {
			return nil, "", fmt.Errorf("fifo %s: %w", fifo, err)
		}
		if err := set.Add(c.fifo, loop.In); err != nil {
			return nil, "", err
		}
	}
	return c, bound, nil
}

// run is the program's own loop. set.Turn is poll(2), then ready for each
// descriptor that is the chat's.
func (c *chat) run() error {
	for !c.quit {
		if err := c.set.Turn(max(0, time.Until(c.tick.Add(every))), c.ready); err != nil {
			return err
		}
		if now := time.Now(); now.Sub(c.tick) >= every {
			c.tick = now
			c.say(fmt.Sprintf("* it is %s, and %d are on the line", now.Format("15:04"), len(c.guests)))
		}
	}
	return nil
}

func (c *chat) ready(p *loop.PollFD) {
	fd := int(p.Fd)
	switch {
	case fd == c.fifo:
		c.readFIFO()
	case c.guests[fd] != nil:
		c.serve(c.guests[fd], loop.Events(p.Revents))
	default:
		c.accept(fd)
	}
}

func (c *chat) accept(listener int) {
	fd, _, err := unix.Accept(listener)
	if err != nil {
		return
	}
	unix.CloseOnExec(fd)
	if unix.SetNonblock(fd, true) != nil || c.set.Add(fd, loop.In) != nil {
		unix.Close(fd)
		return
	}
	c.guests[fd] = &guest{fd: fd}
}

func (c *chat) serve(g *guest, ev loop.Events) {
	if ev&loop.Out != 0 {
		c.send(g, nil)
	}
	if ev&(loop.In|loop.Hup|loop.Err) == 0 {
		return
	}
	var buf [4096]byte
	n, err := unix.Read(g.fd, buf[:])
	switch {
	case err == unix.EAGAIN || err == unix.EINTR:
		return
	case err != nil || n == 0 || len(g.in)+n > 2*maxLine+len(buf):
		c.drop(g)
		return
	}
	g.in = append(g.in, buf[:n]...)
	for {
		i := bytes.IndexByte(g.in, '\n')
		if i < 0 {
			break
		}
		line := bytes.TrimRight(g.in[:i], "\r")
		g.in = g.in[i+1:]
		c.say(string(line[:min(len(line), maxLine)]))
	}
	if len(g.in) > maxLine {
		c.drop(g)
	}
}

// say tells everybody, the old guests and the new.
func (c *chat) say(line string) {
	for _, g := range c.guests {
		c.send(g, []byte(line+"\n"))
	}
	c.onLine(line)
}

func (c *chat) send(g *guest, p []byte) {
	g.out = append(g.out, p...)
	if len(g.out) > 0 {
		n, err := unix.Write(g.fd, g.out)
		if err != nil && err != unix.EAGAIN && err != unix.EINTR || len(g.out)-max(n, 0) > maxUnsent {
			c.drop(g)
			return
		}
		g.out = g.out[max(n, 0):]
	}
	ev := loop.In
	if len(g.out) > 0 {
		ev |= loop.Out
	}
	c.set.Change(g.fd, ev)
}

func (c *chat) drop(g *guest) {
	c.set.Remove(g.fd)
	unix.Close(g.fd)
	delete(c.guests, g.fd)
}

func (c *chat) readFIFO() {
	var buf [4096]byte
	n, err := unix.Read(c.fifo, buf[:])
	if err != nil || n <= 0 {
		return
	}
	for line := range bytes.Lines(buf[:n]) {
		c.say("* " + string(bytes.TrimSpace(line)))
	}
}

func (c *chat) close() {
	for _, g := range c.guests {
		c.drop(g)
	}
	for _, fd := range append(c.listen, c.fifo) {
		if fd >= 0 {
			c.set.Remove(fd)
			unix.Close(fd)
		}
	}
}

// ensureFIFO makes the FIFO if there is none.
func ensureFIFO(path string) error {
	if _, err := os.Stat(path); err == nil || path == "" {
		return nil
	}
	return unix.Mkfifo(path, 0o600)
}
