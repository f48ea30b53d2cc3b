package sim

import (
	"time"

	"anyloop/core/loop"
)

// spinAfter is how many turns at one moment, with nothing arriving, count as a
// spin.
const spinAfter = 10000

// Turn makes one turn of every thread's loop and reports whether anything was
// delivered or done.
func (k *Kernel) Turn() bool {
	any := k.arrive()
	k.heardBells()
	for i := 0; i < len(k.threads); i++ {
		th := k.threads[i]
		if th.closed || !th.s.Hosted() {
			continue
		}
		if th.turn() {
			any = true
		}
	}
	return any
}

// heardBells makes rung doorbells ready: they are rung from other goroutines,
// which may not touch the ready set.
func (k *Kernel) heardBells() {
	k.mu.Lock()
	rung := k.rung
	k.rung = false
	k.mu.Unlock()
	if !rung {
		return
	}
	for _, f := range k.bells {
		k.touch(f)
	}
}

func (th *thread) turn() bool {
	k := th.k
	k.counts.Turns++
	d := th.timeout()
	ready := k.ready(th)
	if len(ready) == 0 && d != 0 && !k.opt.Chaos {
		return false
	}
	real := len(ready) > 0
	if k.opt.Chaos {
		ready = th.scramble(ready)
	}
	for _, r := range ready {
		th.deliver(r)
	}
	if th.s.Hosted() {
		th.s.ServicePending()
	}
	return real || d == 0
}

// timeout asks how long to sleep, twice: the answer must not depend on being
// asked, nor be later than the next deadline.
func (th *thread) timeout() time.Duration {
	d := th.s.AdjustTimeout(-1)
	if again := th.s.AdjustTimeout(-1); again != d {
		th.k.violation("line 5: AdjustTimeout said %v, then %v", d, again)
	}
	if at, ok := th.s.NextDeadline(); ok {
		left := max(0, at.Sub(th.k.now))
		if d != 0 && d != left {
			th.k.violation("line 5: AdjustTimeout said %v, the next deadline is in %v", d, left)
		}
	} else if d > 0 {
		th.k.violation("line 5: AdjustTimeout said %v without a deadline", d)
	}
	if d > time.Hour && d != -1 {
		return d
	}
	if short := th.s.AdjustTimeout(time.Nanosecond); d != 0 && short != time.Nanosecond && short != d {
		th.k.violation("line 5: AdjustTimeout(1ns) said %v", short)
	}
	return d
}

func (th *thread) deliver(r delivered) {
	k := th.k
	f := k.file(r.fd)
	mine := f != nil && f.watched && f.owner == th
	app := f != nil && f.kind == kindApp
	p := &th.fd
	*p = loop.PollFD{Fd: int32(r.fd), Revents: int16(r.ev), Events: int16(r.ev)}
	if k.opt.Chaos && k.rnd.IntN(2) == 0 {
		p.Events = 0
	}
	k.note(step{what: "ready", fd: r.fd, ev: r.ev})
	owned := th.s.ServiceFD(p)
	switch {
	case app && owned:
		k.violation("line 3: ServiceFD took the application's descriptor %d", r.fd)
	case app && p.Revents != int16(r.ev):
		k.violation("line 3: ServiceFD changed the Revents of the application's descriptor %d", r.fd)
	case mine && !owned:
		k.violation("line 3: ServiceFD refused its own descriptor %d", r.fd)
	case owned && p.Revents != 0:
		k.violation("line 3: ServiceFD left the Revents of its own descriptor %d", r.fd)
	}
}

// scramble makes a batch of what a loop may legally deliver: in any order, some
// of it late, some twice, some that is not true (any more), and the
// application's own.
func (th *thread) scramble(ready []delivered) []delivered {
	k := th.k
	out := make([]delivered, 0, len(ready)+4)
	for _, r := range ready {
		switch k.rnd.IntN(8) {
		case 0: // late: a level-triggered loop says it again
			continue
		case 1:
			out = append(out, r, r)
		case 2: // the two directions apart, writing first
			if r.ev&loop.In != 0 && r.ev&loop.Out != 0 {
				out = append(out, delivered{r.fd, loop.Out}, delivered{r.fd, r.ev &^ loop.Out})
				continue
			}
			out = append(out, r)
		default:
			out = append(out, r)
		}
	}
	// What was true for an earlier owner of the number, or never.
	if len(th.stale) > 0 && k.rnd.IntN(3) == 0 {
		out = append(out, th.stale[k.rnd.IntN(len(th.stale))])
	}
	if k.rnd.IntN(4) == 0 && len(k.files) > 3 {
		fd := 3 + k.rnd.IntN(len(k.files)-3)
		ev := loop.Events(0)
		for _, bit := range []loop.Events{loop.In, loop.Out, loop.Hup, loop.Err} {
			if k.rnd.IntN(2) == 0 {
				ev |= bit
			}
		}
		out = append(out, delivered{fd, ev})
	}
	th.stale = append(th.stale, ready...)
	if len(th.stale) > 16 {
		th.stale = th.stale[len(th.stale)-16:]
	}
	k.rnd.Shuffle(len(out), func(i, j int) { out[i], out[j] = out[j], out[i] })
	return out
}

// Drive turns the loops until nothing more happens at this moment. A loop that
// never comes to rest is a violation.
func (k *Kernel) Drive() {
	before := k.counts
	quiet := 0
	for n := 0; ; n++ {
		if !k.Turn() {
			quiet++
			// Under chaos a turn may have dropped what was ready.
			if !k.opt.Chaos || quiet > 32 && !k.anyReady() {
				return
			}
			continue
		}
		quiet = 0
		c := k.counts
		if c.BytesIn != before.BytesIn || c.BytesOut != before.BytesOut || c.Adds != before.Adds || c.Dels != before.Dels {
			before, n = c, 0
		}
		if n > spinAfter {
			k.violation("line 5: the loop spins: %d turns without a byte moving", n)
			return
		}
	}
}

func (k *Kernel) anyReady() bool {
	for _, th := range k.threads {
		if th.closed || !th.s.Hosted() {
			continue
		}
		if len(k.ready(th)) > 0 || th.s.AdjustTimeout(-1) == 0 {
			return true
		}
	}
	return false
}

// Advance lets d of virtual time pass, stopping at every deadline and arrival on
// the way, so that each thing happens exactly when it is due.
func (k *Kernel) Advance(d time.Duration) {
	end := k.now.Add(d)
	k.Drive()
	for {
		next, ok := k.nextMoment()
		if !ok || next.After(end) {
			break
		}
		if next.After(k.now) {
			k.now = next
		}
		k.Drive()
	}
	k.now = end
	k.Drive()
}

// Skip lets d pass at once, as if the machine had slept.
func (k *Kernel) Skip(d time.Duration) {
	k.now = k.now.Add(d)
	k.Drive()
}

// nextMoment is the earliest deadline or arrival.
func (k *Kernel) nextMoment() (time.Time, bool) {
	var best time.Time
	found := false
	consider := func(t time.Time) {
		if !found || t.Before(best) {
			best, found = t, true
		}
	}
	for _, th := range k.threads {
		if th.closed || !th.s.Hosted() {
			continue
		}
		if at, ok := th.s.NextDeadline(); ok {
			consider(at)
		}
	}
	if len(k.due) > 0 {
		consider(k.due[0].at)
	}
	return best, found
}
