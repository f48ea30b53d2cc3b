package poll

import "golang.org/x/sys/unix"

// When very many peers leave at the same moment, the kernel's list of what is ready
// is as long as they are many, and who sends something then stands behind all of
// them. So a wait that finds its batch full of them looks further into the list: who
// has sent something is served before those who have left. They are left in the
// list, which is level-triggered, and are found again in the next turns.

const (
	// left says that a peer has gone, or sends nothing more.
	left = unix.EPOLLRDHUP | unix.EPOLLHUP | unix.EPOLLERR
	// furtherTimes is how far is looked in a turn: past so many times as many as
	// it serves. The list goes round, so that the next turn looks behind these, and
	// who sends waits for a sixteenth of those who leave. To look at one costs a
	// small part of what closing it does; further would cost more than it saves.
	furtherTimes = 16
)

// crowded reports whether half of a full batch or more are such as leave.
func crowded(evs []unix.EpollEvent) bool {
	gone := 0
	for i := range evs {
		if evs[i].Events&left != 0 {
			gone++
		}
	}
	return gone > 0 && 2*gone >= len(evs)
}

// lookPast puts those first who have not left, and puts further ones of them in the
// place of at most half of those who have.
func (e *epoll) lookPast(evs []unix.EpollEvent) {
	first := evs[0]
	stay := 0
	for i := range evs {
		if evs[i].Events&left == 0 {
			evs[stay], evs[i] = evs[i], evs[stay]
			stay++
		}
	}
	end := stay + (len(evs)-stay)/2
	if e.further == nil {
		e.further = make([]unix.EpollEvent, batch)
	}
	for looked := 0; looked < furtherTimes*len(evs); looked += batch {
		n, errno := ask(e.ep, e.further)
		if errno != 0 {
			return
		}
		for i := range e.further[:n] {
			ev := &e.further[i]
			if ev.Fd == first.Fd && ev.Pad == first.Pad {
				return // once round
			}
			if ev.Events&left != 0 {
				continue
			}
			if stay >= end {
				return
			}
			evs[stay] = *ev
			stay++
		}
		if n < len(e.further) {
			return
		}
	}
}
