//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package poll

import (
	"golang.org/x/sys/unix"

	"anyloop/core/loop"
)

// poll2 watches with poll(2): an array that is walked. Entries removed while it
// is walked are only marked, and the array is compacted before the next wait.
type poll2 struct {
	fds   []unix.PollFd
	index []int32 // of each descriptor in fds, plus one; 0: none
	holes int
	at    int
	left  int // entries with readiness still to be found
	taken int
	max   int
}

func newPoll2() (poller, error) { return &poll2{}, nil }

func (p *poll2) add(fd int, ev loop.Events) error {
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return err
	}
	if st.Mode&unix.S_IFMT == unix.S_IFREG {
		return unix.EPERM // always ready: as epoll, refuse what cannot be waited for
	}
	for fd >= len(p.index) {
		p.index = append(p.index, make([]int32, max(64, len(p.index)))...)
	}
	if p.index[fd] != 0 {
		return unix.EEXIST
	}
	p.fds = append(p.fds, unix.PollFd{Fd: int32(fd), Events: int16(ev)})
	p.index[fd] = int32(len(p.fds))
	return nil
}

func (p *poll2) change(fd int, _, next loop.Events) {
	p.fds[p.index[fd]-1].Events = int16(next)
}

func (p *poll2) del(fd int) {
	p.fds[p.index[fd]-1] = unix.PollFd{Fd: -1}
	p.index[fd] = 0
	p.holes++
}

// compact closes the holes.
func (p *poll2) compact() {
	if p.holes == 0 {
		return
	}
	n := 0
	for _, f := range p.fds {
		if f.Fd >= 0 {
			p.fds[n] = f
			p.index[f.Fd] = int32(n + 1)
			n++
		}
	}
	p.fds, p.holes = p.fds[:n], 0
}

func (p *poll2) wait(ms, limit int) error {
	p.compact()
	n, err := unix.Poll(p.fds, ms)
	if err == unix.EINTR {
		// poll(2) leaves the old Revents in place then.
		n, err = 0, nil
	}
	p.left, p.taken, p.max = max(n, 0), 0, limit
	if p.at >= len(p.fds) || limit == 0 {
		p.at = 0 // with a limit, go on where the last pass stopped
	}
	return err
}

func (p *poll2) next() (int, loop.Events, bool) {
	if p.max > 0 && p.taken == p.max {
		return 0, 0, false
	}
	for looked := 0; p.left > 0 && looked < len(p.fds); looked++ {
		if p.at >= len(p.fds) {
			p.at = 0
		}
		f := &p.fds[p.at]
		p.at++
		if f.Revents == 0 || f.Fd < 0 {
			continue
		}
		ev := loop.Events(f.Revents)
		f.Revents = 0
		p.left--
		p.taken++
		return int(f.Fd), ev, true
	}
	return 0, 0, false
}

func (p *poll2) fd() int      { return -1 }
func (p *poll2) close() error { return nil }
