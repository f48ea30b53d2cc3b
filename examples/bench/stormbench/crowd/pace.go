//go:build linux

package crowd

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Pace asks for messages in regular intervals on the open connections, one after
// the other: a schedule that waits for nobody. A message is sent when its time has
// come, whether or not earlier ones have been answered.
type Pace struct {
	PerSecond int           // on all connections together
	Size      int           // bytes
	Start     int64         // when the first is due, ns; 0: at once
	For       time.Duration // at most: what is due when the process gets the signal Enough is the last
}

// Enough is the signal that ends a Pace.
const Enough = unix.SIGUSR1

// Paced is what came of it, one element for each message.
type Paced struct {
	At   []int64 // when it was to be sent, ns
	Took []int64 // from then until it was back, ns: what a stall costs those that had to wait is in it
	Late []int64 // how much later than that it was sent, ns: the fault of the crowd
}

// In returns how long the echoes of messages of a span took, and how late these
// were sent.
func (p *Paced) In(s Span) (took, late []int64) {
	for i, at := range p.At {
		if s.From <= at && at < s.To {
			took, late = append(took, p.Took[i]), append(late, p.Late[i])
		}
	}
	return took, late
}

func (c *crowd) pace(p Pace) (r Paced, err error) {
	if len(c.all) == 0 || p.PerSecond <= 0 {
		return r, errors.New("nobody is there, or nothing to send")
	}
	c.prepare(p.Size)
	n := int(p.For.Seconds() * float64(p.PerSecond))
	r = Paced{At: make([]int64, n), Took: make([]int64, n), Late: make([]int64, n)}
	interval := int64(time.Second) / int64(p.PerSecond)
	if p.Start == 0 {
		p.Start = now()
	}
	for i := range r.At {
		r.At[i] = p.Start + int64(i)*interval
	}
	c.enough.Store(false)
	for sent, back := 0, 0; back < n; {
		if c.enough.Load() {
			due := int((now()-p.Start)/interval) + 1
			if n = min(n, max(sent, due)); back == n {
				break
			}
			c.enough.Store(false)
		}
		for t := now(); sent < n && r.At[sent] <= t; t = now() {
			to := c.all[sent%len(c.all)]
			r.Late[sent] = t - r.At[sent]
			to.push(int64(sent))
			if err := to.write(to.ask); err != nil {
				return r, fmt.Errorf("message %d: %w", sent, err)
			}
			sent++
		}
		d := patience
		if sent < n {
			d = min(d, time.Duration(r.At[sent]-now()))
		}
		events, err := c.wait(d)
		if err != nil {
			return r, err
		}
		for _, ev := range events {
			from := c.byFD[ev.Fd]
			err := from.receive(c.buf[:], func() {
				if i, ok := from.pop(); ok {
					r.Took[i] = now() - r.At[i]
					back++
				}
			})
			if err != nil {
				return r, err
			}
		}
	}
	return Paced{r.At[:n], r.Took[:n], r.Late[:n]}, nil
}

// prepare gives each open connection messages of its own.
func (c *crowd) prepare(size int) {
	for i, p := range c.all {
		p.ask, p.answer = frames(size, i)
	}
}

// Full asks for messages on the open connections, Depth in flight on each all the
// time.
type Full struct {
	Size, Depth int
	For         time.Duration
}

// Filled is what came of it.
type Filled struct {
	Messages int
	Span     Span
	Took     Hist // from when a message was sent until it was back
}

func (c *crowd) full(f Full) (r Filled, err error) {
	c.prepare(f.Size)
	r.Span.From = now()
	until := r.Span.From + int64(f.For)
	under := 0
	send := func(p *client, t int64) error {
		p.push(t)
		under++
		return p.write(p.ask)
	}
	for _, p := range c.all {
		for range f.Depth {
			if err := send(p, now()); err != nil {
				return r, err
			}
		}
	}
	for under > 0 {
		events, err := c.wait(patience)
		if err != nil {
			return r, err
		}
		for _, ev := range events {
			p, t, back := c.byFD[ev.Fd], now(), 0
			err := p.receive(c.buf[:], func() {
				if at, ok := p.pop(); ok {
					r.Took.Add(t - at)
					under--
					back++
				}
			})
			for ; back > 0 && err == nil && t < until; back-- {
				err = send(p, t)
			}
			if err != nil {
				return r, err
			}
			r.Messages = r.Took.Count()
		}
	}
	r.Span.To = now()
	return r, nil
}
