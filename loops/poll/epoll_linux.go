package poll

import (
	"golang.org/x/sys/unix"

	"anyloop/core/fds"
	"anyloop/core/loop"
)

const defaultPoller = Epoll

var pollers = map[Poller]func() (poller, error){
	Epoll: newEpoll,
	Poll2: newPoll2,
}

// batch is how many events one wait collects.
const batch = 256

// epoll watches with epoll(7), level-triggered.
type epoll struct {
	ep     int
	gens   fds.Table[int32] // generation of each descriptor's registration, 0: none
	gen    int32
	events []unix.EpollEvent
	n, at  int
	busy   bool // the last wait found something
	spin   spin

	further []unix.EpollEvent // for lookPast, made when it is needed
}

func newEpoll() (poller, error) {
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return nil, err
	}
	return &epoll{ep: ep, events: make([]unix.EpollEvent, batch), spin: spin{clock: ticks}}, nil
}

func (e *epoll) ctl(op, fd int, ev loop.Events) error {
	// The masks of epoll and poll(2) have the same values.
	mask := uint32(ev)
	if ev&loop.In != 0 {
		mask |= unix.EPOLLRDHUP // tells those who leave from those who send: see lookPast
	}
	return unix.EpollCtl(e.ep, op, fd, &unix.EpollEvent{Events: mask, Fd: int32(fd), Pad: e.gens.Get(fd)})
}

func (e *epoll) add(fd int, ev loop.Events) error {
	e.gen = e.gen&(1<<31-2) + 1 // never 0
	e.gens.Set(fd, e.gen)
	if err := e.ctl(unix.EPOLL_CTL_ADD, fd, ev); err != nil {
		e.gens.Set(fd, 0)
		return err
	}
	return nil
}

func (e *epoll) change(fd int, _, next loop.Events) { e.ctl(unix.EPOLL_CTL_MOD, fd, next) }

func (e *epoll) del(fd int) {
	e.ctl(unix.EPOLL_CTL_DEL, fd, 0)
	e.gens.Set(fd, 0)
}

// wait: while there is work, the set is asked without telling Go's scheduler, once
// or for a moment (see spin); only when that finds nothing does the ordinary,
// blocking call follow, in which other goroutines have the processor.
func (e *epoll) wait(ms, limit int) error {
	evs := e.events
	if limit > 0 && limit < len(evs) {
		evs = evs[:limit]
	}
	e.at = 0
	if e.busy || ms == 0 {
		n, errno := e.spin.wait(e.ep, evs, ms != 0)
		if errno == 0 && (n > 0 || ms == 0) {
			e.found(evs, n)
			return nil
		}
	}
	n, err := unix.EpollWait(e.ep, evs, ms)
	if err == unix.EINTR {
		n, err = 0, nil
	}
	e.found(evs, n)
	return err
}

// found notes what a wait has collected.
func (e *epoll) found(evs []unix.EpollEvent, n int) {
	e.n, e.busy = max(n, 0), n > 0
	if n == len(evs) && crowded(evs) {
		e.lookPast(evs)
	}
}

func (e *epoll) next() (int, loop.Events, bool) {
	for e.at < e.n {
		ev := &e.events[e.at]
		e.at++
		// What was collected for a registration that is gone is dropped.
		if fd := int(ev.Fd); e.gens.Get(fd) == ev.Pad {
			return fd, loop.Events(ev.Events &^ unix.EPOLLRDHUP), true
		}
	}
	return 0, 0, false
}

func (e *epoll) fd() int      { return e.ep }
func (e *epoll) close() error { return unix.Close(e.ep) }
