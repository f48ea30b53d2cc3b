//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package poll

import (
	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

const defaultPoller = Kqueue

var pollers = map[Poller]func() (poller, error){
	Kqueue: newKqueue,
	Poll2:  newPoll2,
}

const batch = 256

// kqueue watches with kqueue(2), level-triggered, with one filter for reading
// and one for writing. Interest none is no filter at all: Hup cannot come then,
// which the contract allows.
type kqueue struct {
	kq     int
	on     []bool // by descriptor
	events []unix.Kevent_t
	n, at  int
}

func newKqueue() (poller, error) {
	kq, err := unix.Kqueue()
	if err != nil {
		return nil, err
	}
	unix.CloseOnExec(kq)
	return &kqueue{kq: kq, events: make([]unix.Kevent_t, batch)}, nil
}

func (k *kqueue) filter(fd int, filter, flags int) error {
	var ev [1]unix.Kevent_t
	unix.SetKevent(&ev[0], fd, filter, flags)
	_, err := unix.Kevent(k.kq, ev[:], nil, nil)
	return err
}

func (k *kqueue) add(fd int, ev loop.Events) error {
	for fd >= len(k.on) {
		k.on = append(k.on, make([]bool, max(64, len(k.on)))...)
	}
	if ev&loop.In != 0 {
		if err := k.filter(fd, unix.EVFILT_READ, unix.EV_ADD); err != nil {
			return err
		}
	}
	if ev&loop.Out != 0 {
		if err := k.filter(fd, unix.EVFILT_WRITE, unix.EV_ADD); err != nil {
			k.filter(fd, unix.EVFILT_READ, unix.EV_DELETE)
			return err
		}
	}
	k.on[fd] = true
	return nil
}

func (k *kqueue) change(fd int, prev, next loop.Events) {
	for _, f := range []struct {
		bit    loop.Events
		filter int
	}{{loop.In, unix.EVFILT_READ}, {loop.Out, unix.EVFILT_WRITE}} {
		switch {
		case next&f.bit != 0 && prev&f.bit == 0:
			k.filter(fd, f.filter, unix.EV_ADD)
		case next&f.bit == 0 && prev&f.bit != 0:
			k.filter(fd, f.filter, unix.EV_DELETE)
		}
	}
}

// del removes both filters; one that is not there answers ENOENT.
func (k *kqueue) del(fd int) {
	k.filter(fd, unix.EVFILT_READ, unix.EV_DELETE)
	k.filter(fd, unix.EVFILT_WRITE, unix.EV_DELETE)
	k.on[fd] = false
}

func (k *kqueue) wait(ms, limit int) error {
	evs := k.events
	if limit > 0 && limit < len(evs) {
		evs = evs[:limit]
	}
	var ts *unix.Timespec
	if ms >= 0 {
		t := unix.NsecToTimespec(int64(ms) * 1e6)
		ts = &t
	}
	n, err := unix.Kevent(k.kq, nil, evs, ts)
	if err == unix.EINTR {
		n, err = 0, nil
	}
	k.n, k.at = max(n, 0), 0
	return err
}

func (k *kqueue) next() (int, loop.Events, bool) {
	for k.at < k.n {
		ev := &k.events[k.at]
		k.at++
		fd := int(ev.Ident)
		if fd >= len(k.on) || !k.on[fd] {
			continue
		}
		// EV_EOF may come with bytes still to be read, so it is only a
		// hint: In, and read(2) says the rest.
		if ev.Filter == unix.EVFILT_READ {
			return fd, loop.In, true
		}
		if ev.Flags&unix.EV_EOF != 0 {
			return fd, loop.Out | loop.Hup, true
		}
		return fd, loop.Out, true
	}
	return 0, 0, false
}

func (k *kqueue) fd() int      { return k.kq }
func (k *kqueue) close() error { return unix.Close(k.kq) }
