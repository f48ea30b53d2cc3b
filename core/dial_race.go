package core

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// target is where a client wants to be connected to, and from where.
type target struct {
	network string // "tcp" or "unix"
	host    string // tcp: a name or an address, also "[::1]" and with a zone
	port    uint16
	path    string        // unix: a path, or "@name" in Linux's abstract namespace
	laddr   netip.Addr    // local address; the zero value lets the system choose
	lport   uint16        // local port; 0 lets the system choose
	iface   string        // the interface to leave by; "" lets the system choose
	family  int           // 4 or 6 for only that; 0 for any
	delay   time.Duration // AttemptDelay; 0 is the engine's, negative starts the next only when one fails
}

const (
	// lookupAgain is the time from a lookup that failed for now to the next.
	lookupAgain = time.Second
	// leastDelay is the least AttemptDelay (RFC 8305 8).
	leastDelay = 10 * time.Millisecond
)

// dialRace takes a client from a name to one connected descriptor (RFC 8305):
// it looks the name up, starts an attempt at each address, AttemptDelay apart or
// as soon as one fails, and ends with the first that is connected. All its steps
// are taken by one timer or by readiness, so in turns, and one at a time: what
// one turn does is bounded whatever a resolver answers.
type dialRace struct {
	th    *Thread
	t     target
	done  func(from *link, peer string, err error)
	timer timerNode
	asked context.CancelFunc // ends the lookup that runs
	found bool               // dests is what there is to try
	dests []dialDest
	next  int     // the first of dests that was not tried
	live  []*link // attempts underway, oldest first
	errs  []error // what has failed
	over  bool
}

// dialDest is one address to try.
type dialDest struct {
	addr netip.AddrPort // not valid: a unix socket
	path string
}

func (d dialDest) String() string {
	if d.addr.IsValid() {
		return d.addr.String()
	}
	return "unix:" + d.path
}

// reach connects to t and calls done exactly once, in a later turn of the
// thread, with no link in service, unless cancel comes first. On success from is
// the link of the attempt that won, connected and watched, and peer its address
// as text: done moves the descriptor and its registration to a link of its own by
// inherit; what it does not take is un-watched and closed when it returns. On a
// failure from is nil and err tells of every address that was tried. cancel ends it
// without done, and returns what has failed so far, nil if nothing has; after
// done, or a second time, it does nothing. Time limits are the caller's. Loop
// thread only, both.
func (th *Thread) reach(t target, done func(from *link, peer string, err error)) (cancel func() error) {
	r := &dialRace{th: th, t: t, done: done}
	r.timer.Owner = r.step
	switch {
	case t.delay == 0:
		r.t.delay = th.eng.limits.AttemptDelay
	case t.delay > 0:
		r.t.delay = max(t.delay, leastDelay)
	}
	if r.t.laddr = t.laddr.Unmap(); r.t.laddr.IsValid() && t.family == 0 {
		r.t.family = familyOf(r.t.laddr)
	}
	r.after(0)
	return r.cancel
}

// after sets the moment of the next step.
func (r *dialRace) after(d time.Duration) {
	r.th.timers.SetAt(&r.timer, r.th.now()+int64(d))
	r.th.deadlineMoved()
}

// step does what is due: the callback of the timer.
func (r *dialRace) step() {
	switch th := r.th; {
	case !th.hosted.Load():
		r.after(0) // left the loop in this very turn: it goes on in the next one
	case th.end.phase != endNot:
		r.fail(errShutdown)
	case !r.found:
		r.find()
	case r.next < len(r.dests):
		r.attempt()
	case len(r.live) == 0:
		r.fail(&dialError{r.errs})
	}
}

// find gets the addresses to try.
func (r *dialRace) find() {
	t := &r.t
	if t.network == "unix" {
		r.try([]dialDest{{path: t.path}})
		return
	}
	if a, ok := literal(t.host); ok {
		r.tryAddrs([]netip.Addr{a})
		return
	}
	if t.host == "" {
		r.fail(errNoHost)
		return
	}
	network := "ip"
	if t.family != 0 {
		network = fmt.Sprintf("ip%d", t.family)
	}
	var err error
	if r.asked, err = r.th.lookup(network, t.host, r.lookedUp); err != nil {
		r.lookedUp(nil, err)
	}
}

// lookedUp: the lookup has come to its end. It is not inside the caller's reach.
func (r *dialRace) lookedUp(addrs []netip.Addr, err error) {
	if r.over {
		return
	}
	r.endLookup()
	switch {
	case err == nil:
		r.tryAddrs(addrs)
	case loopbackName(r.t.host):
		r.tryAddrs(loopbackAddrs())
	case passing(err):
		r.errs = []error{lookupError(r.t.host, err)}
		r.after(lookupAgain)
	default:
		r.errs = []error{lookupError(r.t.host, err)}
		r.try(nil)
	}
}

func (r *dialRace) endLookup() {
	if r.asked != nil {
		r.asked()
		r.asked = nil
	}
}

func (r *dialRace) tryAddrs(addrs []netip.Addr) {
	r.errs = nil
	var dests []dialDest
	for _, a := range takeTurns(addrs, r.t.family) {
		dests = append(dests, dialDest{addr: netip.AddrPortFrom(a, r.t.port)})
	}
	if len(dests) == 0 {
		r.errs = []error{lookupError(r.t.host, errNoAddresses)}
	}
	r.try(dests)
}

// try begins the attempts.
func (r *dialRace) try(dests []dialDest) {
	r.dests, r.found = dests, true
	r.after(0)
}

// attempt starts the next attempt and sets the time of the one after it.
func (r *dialRace) attempt() {
	d := r.dests[r.next]
	r.next++
	l, err := r.th.attempt(r, d)
	if err != nil {
		r.failed(d, err)
		return
	}
	r.live = append(r.live, l)
	if r.next < len(r.dests) && r.t.delay >= 0 {
		r.after(r.t.delay)
	}
}

// failed: an attempt has come to nothing. The next step follows at once.
func (r *dialRace) failed(d dialDest, err error) {
	if r.over {
		return
	}
	r.errs = append(r.errs, &attemptError{d.String(), err})
	r.after(0)
}

// lost takes an attempt off the list.
func (r *dialRace) lost(l *link) {
	if i := slices.Index(r.live, l); i >= 0 {
		r.live = slices.Delete(r.live, i, i+1)
	}
}

// won: an attempt is connected. Everything else of the race is over before done
// runs, which may end anything, or panic.
func (r *dialRace) won(l *link, d dialDest) {
	th, done := r.th, r.done
	r.lost(l)
	r.finish()
	if th.kernel == nil && d.addr.IsValid() {
		th.eng.tune(int(l.fd), false)
	}
	th.cur = nil // the attempt's service has nothing left to send
	defer th.dropAttempt(l)
	done(l, d.String(), nil)
}

func (r *dialRace) fail(err error) {
	done := r.done
	r.finish()
	done(nil, "", err)
}

// finish ends the race and whatever of it still runs.
func (r *dialRace) finish() {
	r.over = true
	r.th.timers.Stop(&r.timer)
	r.endLookup()
	for _, l := range r.live {
		r.th.dropAttempt(l)
	}
	r.live, r.done = nil, nil
}

// cancel is what reach returns.
func (r *dialRace) cancel() error {
	if r.over {
		return nil
	}
	errs := r.errs
	for _, l := range r.live {
		errs = append(errs, &attemptError{l.role.(*dialRole).dest.String(), errNoAnswerYet})
	}
	if r.asked != nil {
		errs = append(errs, fmt.Errorf("lookup %s: %w", r.t.host, errNoAnswerYet))
	}
	r.finish()
	if len(errs) == 0 {
		return nil
	}
	return &dialError{errs}
}

var errNoAnswerYet = errors.New("no answer yet")

// attemptError is what one attempt came to.
type attemptError struct {
	dest string
	err  error
}

func (e *attemptError) Error() string { return "connect " + e.dest + ": " + e.err.Error() }
func (e *attemptError) Unwrap() error { return e.err }

// dialError is what all attempts came to.
type dialError struct{ errs []error }

// dialErrorTexts is how many attempts are named in the text of an error.
const dialErrorTexts = 8

func (e *dialError) Error() string { return e.list(error.Error) }

// list joins what text makes of the errors.
func (e *dialError) list(text func(error) string) string {
	var b strings.Builder
	for i, err := range e.errs {
		if i == dialErrorTexts {
			fmt.Fprintf(&b, "; and %d more", len(e.errs)-i)
			break
		}
		if i > 0 {
			b.WriteString("; ")
		}
		b.WriteString(text(err))
	}
	return b.String()
}

func (e *dialError) Unwrap() []error { return e.errs }
