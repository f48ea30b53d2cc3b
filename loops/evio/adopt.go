//go:build linux || darwin || freebsd

package evioloop

import (
	"fmt"
	"io"
	"slices"
	"syscall"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/core/loop"
)

// gift is the context of a connection that is on its way to core.
type gift struct {
	vh    *core.VirtualHost
	early []byte
}

// given returns the gift that a connection is, nil if it is none.
func given(c evio.Conn) *gift {
	g, _ := c.Context().(*gift)
	return g
}

// Adopt hands a connection that evio has accepted to core, which serves it on vh
// from then on as if it had accepted it: HTTP, and from it WebSockets. Call it in
// Opened, or in Data with what has been received so far as early, which is
// copied, and return the action that it returns:
//
//	func data(c evio.Conn, in []byte) (out []byte, action evio.Action) {
//		if action, err := bridge.Adopt(c, vhost, in); err == nil {
//			return nil, action
//		}
//		...
//	}
//
// Bytes that Opened or Data return along with the action are sent before: evio
// detaches a connection when nothing of its output is pending. (What a Data that
// Conn.Wake caused returns replaces pending output; that is evio's.) The
// application hears no more of the connection, and its context is replaced.
//
// vh belongs to an engine of this bridge, and may have an empty Addr. The
// connection is served by a thread on the same evio loop if there is one, else
// by any, to which it is posted; if that refuses it, for MaxConns or because the
// engine ends, it is closed, and vh's log says so. FilterConn is not asked.
//
// On an error nothing has happened, and the action is None: ErrShape,
// ErrNotSocket, ErrNotServing if no engine is in the bridge, core.ErrNoVHost if vh is
// nil, or core.ErrOtherEngine if it is of another engine than the bridge's. evio's
// goroutine, in a callback for c.
func (b *Bridge) Adopt(c evio.Conn, vh *core.VirtualHost, early []byte) (evio.Action, error) {
	loop, err := loopOf(c)
	switch {
	case err != nil:
		return evio.None, err
	case loop == 0:
		return evio.None, ErrNotSocket
	}
	select {
	case <-b.Left():
		return evio.None, ErrNotServing
	default:
	}
	if vh == nil {
		return evio.None, core.ErrNoVHost
	}
	if b.otherThan(vh.Engine()) {
		return evio.None, core.ErrOtherEngine
	}
	c.SetContext(&gift{vh, slices.Clone(early)})
	return evio.Detach, nil
}

// otherThan reports whether a thread of another engine than eng is in the bridge.
func (b *Bridge) otherThan(eng *core.Engine) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, st := range b.seats {
		if st == nil {
			continue
		}
		// Not all are core's own: somebody may have put a loop.Service around one.
		if th, ok := st.s.(*core.Thread); ok && th.Engine() != eng {
			return true
		}
	}
	return false
}

// receive gives the descriptor of a detached connection to core.
func (b *Bridge) receive(c evio.Conn, rwc io.ReadWriteCloser, g *gift) {
	fd, err := detachedFD(rwc)
	if err != nil {
		rwc.Close()
		g.vh.Log().Warn("a connection of evio's was not adopted", "err", err)
		return
	}
	peer := peerOf(c)
	// From here on the descriptor is not evio's: rwc is forgotten, unclosed.
	adopt := func(th *core.Thread) {
		if _, err := th.AdoptSocket(fd, g.vh, peer, g.early); err != nil {
			syscall.Close(fd)
			g.vh.Log().Warn("a connection of evio's was not adopted", "peer", peer, "err", err)
		}
	}
	eng := g.vh.Engine()
	i := int(b.next.Add(1))
	if here, _ := loopOf(c); here != 0 {
		if sp, th := b.hereabouts(here, eng, i); sp != nil && sp.enter(func() { adopt(th) }) {
			return
		}
	}
	th := eng.Thread(i % eng.Threads())
	if err := th.Post(func() { adopt(th) }); err != nil {
		syscall.Close(fd)
		g.vh.Log().Warn("a connection of evio's was not adopted", "peer", peer, "err", fmt.Errorf("evioloop: %w", err))
	}
}

// hereabouts returns a service thread of eng that is turned by an evio loop, the
// i-th in turn if there are several.
func (b *Bridge) hereabouts(here uintptr, eng *core.Engine, i int) (*span, *core.Thread) {
	b.mu.Lock()
	defer b.mu.Unlock()
	var spans []*span
	var threads []*core.Thread
	for n, st := range b.seats {
		if st == nil || st.span == nil || st.span.loop != here || n >= eng.Threads() {
			continue
		}
		if th := eng.Thread(n); st.s == loop.Service(th) {
			spans, threads = append(spans, st.span), append(threads, th)
		}
	}
	if len(spans) == 0 {
		return nil, nil
	}
	return spans[i%len(spans)], threads[i%len(threads)]
}
