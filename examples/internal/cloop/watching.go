package cloop

import (
	"time"

	"anyloop/core/loop"
	"anyloop/loops/external"
)

// Watching returns a backend that watches each descriptor of core in l. Several
// engines, and several service threads of one, may share l.
func Watching(l Loop) loop.Backend {
	return external.Threads(func(int) external.Hooks { return (&domain{l: l}).hooks() })
}

// domain is one service thread in a loop.
type domain struct {
	l     Loop
	s     loop.Service
	watch map[int]Watcher
	timer Timer // nil once core has left
	due   int64 // what the timer is set for, in ns since 1970, or one of:
	pfd   loop.PollFD
}

const (
	unset    = -1
	nextTurn = 0
)

func (d *domain) hooks() external.Hooks {
	return external.Hooks{
		Name: d.l.Name(),
		Open: d.open,
		Add:  d.add,
		// The mask before does not matter to a loop that is told the new one.
		Change: func(fd int, _, ev loop.Events) { d.watch[fd].Set(ev) },
		Del: func(fd int) {
			d.watch[fd].Close()
			delete(d.watch, fd)
		},
		Rearm: d.arm,
		Close: func() {
			d.timer.Close()
			d.timer = nil
		},
	}
}

func (d *domain) open(s loop.Service) error {
	d.s, d.watch = s, map[int]Watcher{}
	d.timer = d.l.NewTimer(d.fired)
	d.timer.Set(0)
	d.due = nextTurn
	return nil
}

func (d *domain) add(fd int, ev loop.Events) error {
	w, err := d.l.Watch(fd, ev, func(ev loop.Events) { d.ready(fd, ev) })
	if err != nil {
		return err
	}
	d.watch[fd] = w
	return nil
}

// ready is called by the C loop.
func (d *domain) ready(fd int, ev loop.Events) {
	d.pfd = loop.PollFD{Fd: int32(fd), Events: int16(ev), Revents: int16(ev)}
	d.s.ServiceFD(&d.pfd)
	d.arm()
}

// fired is called by the C loop: a deadline, or work that no descriptor announces.
func (d *domain) fired() {
	d.due = unset
	d.s.ServicePending()
	d.arm()
}

// arm sets the timer for what core waits for next. Work that is due now is left
// to the next turn, so that the host's watchers have theirs in between.
func (d *domain) arm() {
	if d.timer == nil {
		return // core has left inside the call that we come from
	}
	due := int64(unset)
	wait := d.s.AdjustTimeout(-1)
	switch {
	case wait == 0:
		due = nextTurn
	case wait > 0:
		at, _ := d.s.NextDeadline()
		due = at.UnixNano()
	}
	if due == d.due {
		return
	}
	d.due = due
	if due == unset {
		d.timer.Stop()
		return
	}
	d.timer.Set(max(wait, time.Duration(0)))
}
