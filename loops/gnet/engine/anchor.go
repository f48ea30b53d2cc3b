//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"context"
	"net"
	"os"
	"time"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"
)

// gnet does not say which event loops it has. An anchor is a connection to
// ourselves that is registered to see where it lands. They stay until all loops
// are found, so that the balancing by least connections goes through all of them.
type anchor struct {
	opened chan gnet.EventLoop
}

const (
	maxAnchors = 1024
	retryEvery = 100 * time.Millisecond // after EMFILE and the like
)

// search starts looking for the event loops, once. gnet has made all of them
// before any of its goroutines runs, and ours follows from one of those.
func (w *handler) search() {
	if w.find.Load() || w.find.Swap(true) {
		return
	}
	h := w.host
	e := w.eng
	h.land = func() (gnet.EventLoop, net.Conn, error) { return h.anchor(e) }
	if w.dial != nil {
		h.land = func() (gnet.EventLoop, net.Conn, error) { return h.visit(w.dial, w.visits) }
	}
	go func() {
		for !h.search() {
			select {
			case <-h.gone:
				return
			case <-time.After(retryEvery):
			}
		}
	}()
}

// search reports whether the bridge is up, or will not be.
func (h *host) search() bool {
	var ends []net.Conn
	defer func() {
		for _, c := range ends {
			c.Close()
		}
	}()
	seen := map[gnet.EventLoop]bool{}
	for range maxAnchors {
		el, end, err := h.land()
		if end != nil {
			ends = append(ends, end)
		}
		if err != nil {
			return false
		}
		if el == nil || seen[el] {
			break // gnet has ended, or the anchors go round
		}
		seen[el] = true
		h.b.mu.Lock()
		h.loop(el)
		h.b.mu.Unlock()
	}
	b := h.b
	b.mu.Lock()
	defer b.mu.Unlock()
	h.settled = len(h.order) > 0
	h.known.Store(h.settled)
	if b.home != h {
		return true // another engine turns the threads
	}
	return b.spread() == nil
}

// anchor registers one anchor and returns where it landed, nil if gnet has
// ended, and our end of it.
func (h *host) anchor(e gnet.Engine) (gnet.EventLoop, net.Conn, error) {
	theirs, ours, err := pair()
	if err != nil {
		return nil, nil, err
	}
	a := &anchor{opened: make(chan gnet.EventLoop, 1)}
	ctx := gnet.NewNetConnContext(gnet.NewContext(context.Background(), a), theirs)
	res, err := e.Register(ctx)
	if err != nil {
		theirs.Close()
		return nil, ours, err
	}
	select {
	case el := <-a.opened:
		return el, ours, nil
	case <-h.gone:
		return nil, ours, nil
	case r := <-res:
		if r.Err != nil {
			return nil, ours, r.Err
		}
	}
	select {
	case el := <-a.opened:
		return el, ours, nil
	case <-h.gone:
		return nil, ours, nil
	}
}

// visit connects to a gnet engine that listens for us alone.
func (h *host) visit(dial func() (net.Conn, error), visits <-chan gnet.EventLoop) (gnet.EventLoop, net.Conn, error) {
	c, err := dial()
	if err != nil {
		return nil, nil, err
	}
	select {
	case el := <-visits:
		return el, c, nil
	case <-h.gone:
		return nil, c, nil
	}
}

// pair returns a connected pair of unix sockets.
func pair() (a, b net.Conn, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	var ends [2]net.Conn
	for i, fd := range fds {
		unix.CloseOnExec(fd)
		f := os.NewFile(uintptr(fd), "anchor")
		c, e := net.FileConn(f)
		f.Close()
		if e != nil {
			err = e
			continue
		}
		ends[i] = c
	}
	if err != nil {
		for _, c := range ends {
			if c != nil {
				c.Close()
			}
		}
		return nil, nil, err
	}
	return ends[0], ends[1], nil
}
