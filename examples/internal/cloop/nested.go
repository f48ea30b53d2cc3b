package cloop

import (
	"log/slog"

	"anyloop/core/loop"
	"anyloop/loops/poll"
)

// PassMax bounds how many descriptors are served between two callbacks of the host.
const PassMax = 64

// Nested returns a backend that watches a single descriptor in l: that of a poll
// set, which has core's descriptors, its deadlines and its wake-ups.
func Nested(l Loop) loop.Backend { return nested{l, poll.Backend(poll.Nested())} }

type nested struct {
	l   Loop
	set *poll.Loops
}

func (n nested) Info() loop.Info {
	info := n.set.Info()
	info.Name = n.l.Name() + "/nested"
	return info
}

func (n nested) Open(thread int, s loop.Service) (loop.Loop, error) {
	lp, err := n.set.Open(thread, s)
	if err != nil {
		return nil, err
	}
	inner := n.set.Thread(thread)
	w, err := n.l.Watch(inner.FD(), loop.In, func(loop.Events) {
		if _, err := inner.Pass(PassMax); err != nil {
			slog.Error("cloop: the nested set", "err", err)
		}
	})
	if err != nil {
		inner.Close()
		return nil, err
	}
	return nestedLoop{lp, inner, w}, nil
}

// nestedLoop is the set, and the watcher that turns it.
type nestedLoop struct {
	loop.Loop
	set *poll.Loop
	w   Watcher
}

// Rearm implements loop.Rearmer.
func (n nestedLoop) Rearm() { n.Loop.(loop.Rearmer).Rearm() }

// Close implements loop.Closer. The watcher goes first: its descriptor is the set.
func (n nestedLoop) Close() error {
	n.w.Close()
	return n.set.Close()
}
