package gnetloop

import (
	"errors"
	"time"

	"github.com/panjf2000/gnet/v2/pkg/netpoll"
	"golang.org/x/sys/unix"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

const mustNest = false

// retryEvery is how often a registration that the kernel refused in the middle
// of a change is tried again.
const retryEvery = 100 * time.Millisecond

// direct registers each descriptor of core with the poller.
//
// The poller calls back once per event and tells neither the beginning nor the
// end of a batch. So each event is a small turn: core serves the descriptor, and
// if that left pending work, the doorbell makes the poller come back for it. All
// events of a batch share that one ring, so what they asked for is done
// together, and with nothing pending the doorbell is not touched.
type direct struct {
	p     registrar
	s     loop.Service
	n     *Counts
	regs  []*reg // by descriptor
	pfd   loop.PollFD
	check [1]unix.PollFd

	bell    *sys.Doorbell
	bellFD  int
	rung    bool
	timerFD int
	at      time.Time // what the timer is set for; zero: nothing

	round uint64 // see stale
	lost  []*reg // to be registered again
	done  bool
}

// reg is a descriptor number's record. It is kept for the number's next owner,
// and with it the attachment that the poller was given.
type reg struct {
	att  netpoll.PollAttachment
	mask loop.Events
	live bool   // core's, or the doorbell's or the timer's
	on   bool   // the poller knows it; not while mask is none
	seen uint64 // round in which it was last reported
	died uint64 // round in which its number's former owner left; 0: long ago
}

func newDirect(p registrar, l *Loop) (watcher, error) {
	d := &direct{p: p, s: l.s, n: &l.n, bellFD: -1, timerFD: -1, round: 2}
	if err := d.open(); err != nil {
		return nil, errors.Join(err, d.close())
	}
	return d, nil
}

func (d *direct) open() (err error) {
	if d.bell, err = sys.NewDoorbell(); err != nil {
		return err
	}
	if err = d.AddPollFD(d.bell.FD(), loop.In); err != nil {
		return err
	}
	d.bellFD = d.bell.FD()
	fd, err := unix.TimerfdCreate(unix.CLOCK_MONOTONIC, unix.TFD_NONBLOCK|unix.TFD_CLOEXEC)
	if err != nil {
		return err
	}
	if err = d.AddPollFD(fd, loop.In); err != nil {
		unix.Close(fd)
		return err
	}
	d.timerFD = fd
	d.ring() // the first turn initialises the protocols
	return nil
}

// close leaves the poller as it was found.
func (d *direct) close() (err error) {
	d.done = true
	if d.timerFD >= 0 {
		d.DelPollFD(d.timerFD)
		err = unix.Close(d.timerFD)
	}
	if d.bellFD >= 0 {
		d.DelPollFD(d.bellFD)
	}
	if d.bell != nil {
		err = errors.Join(err, d.bell.Close())
	}
	return err
}

// AddPollFD implements loop.Loop.
func (d *direct) AddPollFD(fd int, ev loop.Events) error {
	for fd >= len(d.regs) {
		d.regs = append(d.regs, make([]*reg, max(64, len(d.regs)))...)
	}
	r := d.regs[fd]
	if r == nil {
		r = &reg{att: netpoll.PollAttachment{FD: fd}}
		d.regs[fd] = r
	}
	if err := d.set(r, ev); err != nil {
		return err
	}
	r.mask, r.live, r.seen = ev, true, 0
	return nil
}

// ChangeModePollFD implements loop.Loop.
func (d *direct) ChangeModePollFD(fd int, _, next loop.Events) {
	r := d.regs[fd]
	r.mask = next
	if d.set(r, next) != nil {
		d.lost = append(d.lost, r)
		d.ring()
	}
}

// DelPollFD implements loop.Loop.
func (d *direct) DelPollFD(fd int) {
	r := d.regs[fd]
	d.set(r, 0)
	r.mask, r.live, r.died = 0, false, d.round
}

// set gives the poller an interest. It fails only where something is added; the
// descriptor is then unknown to the poller.
func (d *direct) set(r *reg, next loop.Events) (err error) {
	next &= loop.In | loop.Out
	switch {
	case next == 0:
		d.delete(r)
	case !r.on:
		err = d.add(r, next)
	case next == loop.Out: // there is no ModWrite
		d.delete(r)
		err = d.add(r, next)
	case next == loop.In:
		d.n.Mods++
		err = d.p.ModRead(&r.att, false)
	default:
		d.n.Mods++
		err = d.p.ModReadWrite(&r.att, false)
	}
	return err
}

func (d *direct) add(r *reg, next loop.Events) (err error) {
	d.n.Adds++
	switch next {
	case loop.In:
		err = d.p.AddRead(&r.att, false)
	case loop.Out:
		err = d.p.AddWrite(&r.att, false)
	default:
		err = d.p.AddReadWrite(&r.att, false)
	}
	r.on = err == nil
	return err
}

func (d *direct) delete(r *reg) {
	if !r.on {
		return
	}
	d.n.Deletes++
	d.p.Delete(r.att.FD)
	r.on = false
}

// event implements watcher.
func (d *direct) event(fd int, ev netpoll.IOEvent) bool {
	if uint(fd) >= uint(len(d.regs)) {
		return false
	}
	r := d.regs[fd]
	if r == nil || !r.live {
		return false
	}
	d.n.Events++
	if r.seen == d.round {
		d.round++
	}
	r.seen = d.round
	if r.mask == 0 || r.died != 0 && d.stale(r) {
		return true
	}
	switch fd {
	case d.bellFD:
		d.turn()
	case d.timerFD:
		d.silence()
		d.turn()
	default:
		re := readiness(ev)
		d.pfd = loop.PollFD{Fd: int32(fd), Events: int16(re), Revents: int16(re)}
		d.s.ServiceFD(&d.pfd)
		d.settle()
	}
	return true
}

// readiness translates an event. The values are those of poll(2). The poller
// asks for urgent data along with reading; reading is also what ends that state,
// so it is passed on as In.
func readiness(ev netpoll.IOEvent) loop.Events {
	re := loop.Events(ev) & (loop.In | loop.Out | loop.Err | loop.Hup)
	if ev&unix.EPOLLPRI != 0 {
		re |= loop.In
	}
	return re
}

// stale reports whether an event is for the former owner of a descriptor number:
// it was collected, then the number was closed and used again in the same batch.
// The event itself does not tell, and neither does the poller tell batches
// apart. But a batch has at most one event of each descriptor, so one that is
// reported twice in a round has begun a new batch, and a new round. What died
// two rounds ago therefore died in an earlier batch; else the kernel is asked,
// once per registration.
func (d *direct) stale(r *reg) bool {
	recent := d.round < r.died+2
	r.died = 0
	if !recent {
		return false
	}
	d.n.Checks++
	d.check[0] = unix.PollFd{Fd: int32(r.att.FD), Events: int16(r.mask)}
	if r.mask&loop.In != 0 {
		d.check[0].Events |= unix.POLLPRI
	}
	if n, err := unix.Poll(d.check[:], 0); n != 0 || err != nil {
		return false // it is ready, whoever the event was for
	}
	d.n.Stale++
	return true
}

// turn does what no descriptor announces. The doorbell stays as it is while more
// of it is left.
func (d *direct) turn() {
	d.retry()
	d.s.ServicePending()
	if d.done || !d.s.Hosted() {
		return
	}
	if d.settle() && d.rung {
		d.rung = false
		d.n.Clears++
		d.bell.Clear()
	}
}

// settle asks core how long it would sleep: it rings if there is pending work,
// and sets the timer if the earliest deadline is before what it is set for. A
// deadline that has moved away is left to come, for nothing: once in a while
// that costs a turn, where following it would cost a system call per message.
func (d *direct) settle() (quiet bool) {
	if d.done || !d.s.Hosted() {
		return true
	}
	left := d.s.AdjustTimeout(-1)
	if left == 0 {
		d.ring()
		return false
	}
	if left > 0 {
		at, _ := d.s.NextDeadline()
		d.arm(at, left)
	}
	if len(d.lost) > 0 {
		d.arm(sys.Now().Add(retryEvery), retryEvery)
	}
	return true
}

// arm sets the timer unless it comes early enough anyway.
func (d *direct) arm(at time.Time, left time.Duration) {
	if !d.at.IsZero() && !at.Before(d.at) {
		return
	}
	d.at = at
	d.n.Timers++
	spec := unix.ItimerSpec{Value: unix.NsecToTimespec(int64(left))}
	unix.TimerfdSettime(d.timerFD, 0, &spec, nil)
}

// silence hears the timer.
func (d *direct) silence() {
	var b [8]byte
	unix.Read(d.timerFD, b[:])
	d.at = time.Time{}
}

// ring makes the poller come back, without a system call if it will anyway.
func (d *direct) ring() {
	if d.rung || d.done {
		return
	}
	d.rung = true
	d.n.Rings++
	d.bell.Ring()
}

func (d *direct) rearm() { d.ring() }

// retry registers what the kernel refused in the middle of a change. What has
// left meanwhile has interest none.
func (d *direct) retry() {
	again := d.lost
	d.lost = nil
	for _, r := range again {
		if !r.on && d.set(r, r.mask) != nil {
			d.lost = append(d.lost, r)
		}
	}
}
