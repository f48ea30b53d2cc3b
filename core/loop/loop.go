package loop

import "time"

// Events is an interest mask (what core asks of the loop) or a readiness mask
// (what the loop tells core). The values are those of poll(2).
type Events int16

const (
	In  Events = 0x01 // readable, or a connection can be accepted
	Out Events = 0x04 // writable, or a connect has finished
	Err Events = 0x08 // an error is pending; never asked for, may always arrive
	Hup Events = 0x10 // the peer has hung up; never asked for, may always arrive
	// Nval says that the descriptor is not open. Core never causes it; a
	// loop that sees it passes it on like Hup.
	Nval Events = 0x20
)

// PollFD has the memory layout of the kernel's struct pollfd and the fields of
// unix.PollFd, so that (*PollFD)(&fds[i]) converts without unsafe.
type PollFD struct {
	Fd      int32
	Events  int16
	Revents int16
}

// Loop is what core needs of an event loop that watches descriptors, one per
// service thread. Core calls it on the loop's thread only, and not before
// Backend.Open has returned it. The three methods must not call back into
// core. Watching is level-triggered: a descriptor that stays ready is reported
// again.
type Loop interface {
	// AddPollFD starts watching fd. events may be 0: Hup and Err may still
	// be reported, nothing else. An error closes the connection (or fails
	// the listener) with that error.
	AddPollFD(fd int, events Events) error
	// DelPollFD stops watching fd, which is still open. It cannot fail.
	DelPollFD(fd int)
	// ChangeModePollFD replaces the interest in fd. prev is what was asked
	// before and differs from next. It cannot fail.
	ChangeModePollFD(fd int, prev, next Events)
}

// Rearmer is implemented by a Loop whose sleep cannot be adjusted turn by turn
// because its timer belongs to another library. Core calls Rearm once when,
// outside a turn, work becomes pending or the earliest deadline moves earlier;
// the loop then asks AdjustTimeout again. Rearm must not call back into core.
type Rearmer interface {
	Rearm()
}

// Service is core's side of one service thread. All methods but Wake are called
// on the loop's thread only: from any goroutine, but never two at a time.
type Service interface {
	// ServiceFD handles one ready descriptor and reports whether it is core's.
	// Any descriptor may be passed in. See lines 3, 4 and 6 of the contract.
	ServiceFD(p *PollFD) bool
	// AdjustTimeout says how long the loop may sleep, given that it would
	// sleep at most d; d < 0 means for ever, and is returned unchanged if
	// nothing is due. It calls nothing back and costs no system call.
	AdjustTimeout(d time.Duration) time.Duration
	// ServicePending runs ripe timers and all work that no descriptor
	// announces. Call it once per turn, also when no descriptor was ready; a
	// loop that reports events one by one may call it whenever AdjustTimeout
	// returns 0 instead.
	ServicePending()
	// NextDeadline returns when the earliest timer is due, false if there is
	// none. The time is on the backend's clock.
	NextDeadline() (time.Time, bool)
	// Hosted is false once the engine has ended or left this loop: stop
	// calling the other methods.
	Hosted() bool
	// Wake makes the loop turn and runs WaitCancelled on every protocol.
	// Any goroutine.
	Wake()
}

// Millis turns a duration into the timeout argument of poll(2) and epoll_wait(2):
// rounded up, so that a timer is never early and a wait never spins; negative
// means for ever, and more than 2^31-1 ms is cut to that.
func Millis(d time.Duration) int {
	if d < 0 {
		return -1
	}
	ms := (d + time.Millisecond - 1) / time.Millisecond
	if d > 1<<62 || ms > 1<<31-1 {
		return 1<<31 - 1
	}
	return int(ms)
}
