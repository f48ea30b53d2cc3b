//go:build linux

package plain

import (
	"bytes"
	"fmt"
	"time"
)

// opening is how many connections are opened at a time.
const opening = 128

// openAll opens n connections.
func (l *loop) openAll(n int) error {
	l.makeConns(n)
	heard, seen := now(), 0
	for next := 0; l.opens < n; {
		for ; next < n && next-l.opens < opening; next++ {
			if err := l.dial(&l.conns[next]); err != nil {
				return err
			}
		}
		if err := l.poll(10); err != nil {
			return err
		}
		if t := now(); l.opens > seen {
			heard, seen = t, l.opens
		} else if t-heard > int64(l.Patience) {
			return fmt.Errorf("%w: %d of %d connections are open", errSilent, l.opens, n)
		}
	}
	if l.Kind == Broadcast {
		return l.prepareBroadcast()
	}
	return nil
}

func (l *loop) makeConns(n int) {
	l.conns = make([]conn, n)
	times := make([]int64, n*l.Depth)
	for i := range l.conns {
		l.conns[i].i = i
		l.conns[i].times = times[i*l.Depth : (i+1)*l.Depth : (i+1)*l.Depth]
	}
}

// slice works for d, and until all that was begun has ended.
func (l *loop) slice(d time.Duration) (Slice, error) {
	l.ending = false
	t := now()
	began, heard, units, reads := t, t, l.units, l.reads
	seen := units
	if err := l.start(t); err != nil {
		return Slice{}, err
	}
	for l.busy > 0 {
		for range 16 {
			if err := l.poll(0); err != nil {
				return Slice{}, err
			}
			if l.between != nil {
				if err := l.between(t); err != nil {
					return Slice{}, err
				}
			}
		}
		t = now()
		l.ending = l.ending || t-began >= int64(d)
		if l.units != seen {
			heard, seen = t, l.units
		} else if t-heard > int64(l.Patience) {
			return Slice{}, fmt.Errorf("%w: %d of what was begun has not ended", errSilent, l.busy)
		}
	}
	return Slice{Units: l.units - units, Elapsed: time.Duration(now() - began), Reads: l.reads - reads}, nil
}

// startEcho sends Depth messages on each connection that is to send.
func (l *loop) startEcho(t int64) error {
	step := 1
	if l.Active > 0 {
		step = max(1, len(l.conns)/l.Active)
	}
	for i := 0; i < len(l.conns); i += step {
		l.allow(&l.conns[i], l.Depth, t)
		if err := l.flush(&l.conns[i]); err != nil {
			return err
		}
	}
	return nil
}

// touch sends one message on each connection, for at most 64 at a time, so that the
// server needs buffers for few of them.
func (l *loop) touch() error {
	l.ending = true
	for i := range l.conns {
		l.allow(&l.conns[i], 1, now())
		if err := l.flush(&l.conns[i]); err != nil {
			return err
		}
		most := 63
		if i == len(l.conns)-1 {
			most = 0
		}
		for t := now(); l.busy > most; {
			if err := l.poll(10); err != nil {
				return err
			}
			if now()-t > int64(l.Patience) {
				return fmt.Errorf("%w: %d connections were not answered", errSilent, l.busy)
			}
		}
	}
	return nil
}

// prepareConnect keeps Conns handshakes under way. Without WebSocket the request must
// come back as it is.
func (l *loop) prepareConnect() {
	l.makeConns(l.Conns)
	again := make([]*conn, 0, l.Conns)
	finish := func(c *conn) error {
		l.done(now() - c.began)
		l.reset(c)
		if !l.ending {
			again = append(again, c)
		}
		return nil
	}
	l.nowOpen = finish
	if l.Raw {
		l.stream = newRequests(l.request, 1)
		l.nowOpen = func(c *conn) error {
			c.state = open
			c.allowed = uint64(len(l.request))
			return nil
		}
		l.message = func(c *conn, _ int64) error { return finish(c) }
	}
	begin := func(c *conn) error {
		l.busy++
		return l.dial(c)
	}
	l.start = func(int64) error {
		for i := range l.conns {
			if err := begin(&l.conns[i]); err != nil {
				return err
			}
		}
		return nil
	}
	l.between = func(int64) error {
		for _, c := range again {
			if l.ending {
				break
			}
			if err := begin(c); err != nil {
				return err
			}
		}
		again = again[:0]
		return nil
	}
}

// prepareBroadcast lets the server know all connections, by an echo on each, which
// comes only when it does. From then on the first connection sends "B<Size>", and
// once more when all have got what it asked for.
func (l *loop) prepareBroadcast() error {
	if err := l.touch(); err != nil {
		return err
	}
	want := bytes.Repeat([]byte{'x'}, l.Size)
	order := appendMasked(nil, opText, 0xa1b2c3d4, fmt.Appendf(nil, "B%d", l.Size))
	first := &l.conns[0]
	var asked int64
	ask := func(t int64) error {
		asked = t
		l.busy += len(l.conns)
		first.extra = append(first.extra, order...)
		return l.flush(first)
	}
	l.kind = opText
	l.expect = func(*conn) []byte { return want }
	l.start = ask
	l.message = func(_ *conn, t int64) error {
		l.units++
		if l.busy--; l.busy > 0 {
			return nil
		}
		l.lat.add(t - asked) // until the last has it
		if l.ending {
			return nil
		}
		return ask(t)
	}
	return nil
}
