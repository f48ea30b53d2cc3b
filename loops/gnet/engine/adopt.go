//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"errors"
	"fmt"

	"github.com/panjf2000/gnet/v2"
	"golang.org/x/sys/unix"

	"anyloop/core"
)

var (
	// ErrUnsent says that gnet still holds bytes that the application wrote to
	// a connection, so that core cannot take it over now.
	ErrUnsent = errors.New("gnetengine: the connection has bytes that gnet has not sent yet")
	// ErrNotStream says that a connection is no TCP or unix socket.
	ErrNotStream = errors.New("gnetengine: not a stream connection")
	// ErrTaken says that a connection was handed over already.
	ErrTaken = errors.New("gnetengine: the connection was handed over already")
	// ErrOtherEngine says that a vhost belongs to another engine than the one
	// that is in the bridge. It is core.ErrOtherEngine.
	ErrOtherEngine = core.ErrOtherEngine
)

// Adopt gives a connection that gnet has accepted to core, which serves it on vhost
// vh like one of its own. Call it in OnOpen, or in OnTraffic when the first bytes
// have told what the connection is: what is received and not yet read (Discard, Next)
// goes along. Then return gnet.Close, which closes gnet's descriptor; core has a
// duplicate. What was written before must be sent already, else ErrUnsent.
//
// It is served by the service thread with the fewest connections of those that
// live on c's event loop, or, if none does, of all. In the latter case core's own
// refusals (MaxConns, stopping) close the connection later. The connection's context
// is the bridge's afterwards, and with Wrap the application hears no more of it.
//
// Errors: ErrNotStream, ErrTaken, ErrUnsent; core.ErrNoVHost if vh is nil, and
// ErrOtherEngine; ErrNoThread, ErrHostGone; core.ErrStopped, core.ErrRemoved,
// *core.LimitError, and the system's. The connection is then the application's as
// before. Only on c's event loop.
func (b *Bridge) Adopt(c gnet.Conn, vh *core.VirtualHost) error {
	if err := fit(c); err != nil {
		return err
	}
	th, at, err := b.threadFor(c.EventLoop(), vh)
	if err != nil {
		return err
	}
	here := at.hl != nil
	if here {
		if !at.hl.enter() {
			return ErrHostGone
		}
		defer at.hl.leave()
	}
	fd, err := c.Dup()
	if err == nil {
		err = give(th, here, fd, c, vh)
		if err != nil {
			unix.Close(fd)
		}
	}
	if err != nil {
		return fmt.Errorf("gnetengine: %w", err)
	}
	c.SetContext(taken{})
	return nil
}

// fit reports why a connection cannot be handed over, nil if it can.
func fit(c gnet.Conn) error {
	if a := c.LocalAddr(); a == nil || a.Network() != "tcp" && a.Network() != "unix" {
		return ErrNotStream
	}
	switch c.Context().(type) {
	case taken, *stream, *anchor:
		return ErrTaken
	}
	if c.OutboundBuffered() > 0 {
		return ErrUnsent
	}
	return nil
}

// give makes th own fd, at once if it lives here.
func give(th *core.Thread, here bool, fd int, c gnet.Conn, vh *core.VirtualHost) error {
	early, err := c.Peek(-1)
	if err != nil {
		return err
	}
	peer := peerOf(c)
	if here {
		_, err := th.AdoptSocket(fd, vh, peer, early)
		return err
	}
	early = append([]byte(nil), early...)
	return th.Post(func() {
		if _, err := th.AdoptSocket(fd, vh, peer, early); err != nil {
			vh.Log().Info("a connection from gnet is refused", "peer", peer, "err", err)
			unix.Close(fd)
		}
	})
}

// peerOf returns the remote address as core writes it.
func peerOf(c gnet.Conn) string {
	if a := c.RemoteAddr(); a != nil && a.Network() == "tcp" {
		return a.String()
	}
	return "unix"
}

// place is a thread's seat on an event loop.
type place struct {
	st *seat
	hl *hostLoop
}

// threadFor chooses the service thread for a connection of event loop el, and
// returns its place there, none if it lives elsewhere.
func (b *Bridge) threadFor(el gnet.EventLoop, vh *core.VirtualHost) (best *core.Thread, at place, err error) {
	if vh == nil {
		return nil, place{}, core.ErrNoVHost
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	eng := vh.Engine()
	hl := b.loopOf(el)
	for i, st := range b.seats {
		if st == nil || i >= eng.Threads() {
			continue
		}
		th := eng.Thread(i)
		if own, ok := st.s.(*core.Thread); ok && own != th {
			return nil, place{}, ErrOtherEngine
		}
		here := hl != nil && st.on == hl
		switch {
		case here && at.hl == nil: // better than any elsewhere
		case here == (at.hl != nil) && (best == nil || th.Stats().Conns < best.Stats().Conns):
		default:
			continue
		}
		best = th
		if here {
			at = place{st, hl}
		}
	}
	switch {
	case best == nil && over(eng.Done()):
		return nil, place{}, core.ErrStopped
	case best == nil:
		return nil, place{}, ErrNoThread
	case at.hl == nil && hl != nil && !hl.h.settled:
		return b.settle(eng, hl, best)
	}
	return best, at, nil
}

// settle gives an event loop a thread before all are found: its connections do not
// wait for that. Without a vacant one it is
// otherwise, elsewhere.
func (b *Bridge) settle(eng *core.Engine, hl *hostLoop, otherwise *core.Thread) (*core.Thread, place, error) {
	for i, st := range b.seats {
		if st.vacant() && !hl.h.down && i < eng.Threads() && b.seat(st, hl) == nil {
			return eng.Thread(i), place{st, hl}, nil
		}
	}
	return otherwise, place{}, nil
}
