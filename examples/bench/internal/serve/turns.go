//go:build linux

package serve

import (
	"runtime"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/loop"
	"anyloop/loops/poll"
)

// TurnStep is how finely turns are told apart.
const TurnStep = 25 * time.Microsecond

// Turns counts turns by the CPU time that the loop's thread spent in them: those
// below TurnStep, below twice that, and so on, and the rest.
type Turns [81]uint64

// All returns how many turns there were.
func (t *Turns) All() int { return t.Between(0, time.Hour) }

// Between returns how many turns took from a to less than b, both whole TurnSteps.
func (t *Turns) Between(a, b time.Duration) (n int) {
	for i := int(a / TurnStep); i < min(int(b/TurnStep), len(t)); i++ {
		n += int(t[i])
	}
	return n
}

// From returns which part of the turns took d or more, rounded down to TurnStep.
func (t *Turns) From(d time.Duration) float64 {
	return float64(t.Between(d, time.Hour)) / float64(max(t.All(), 1))
}

// turnClock measures turns: from the first thing a loop has core do after it has
// slept, until it asks how long it may sleep again.
type turnClock struct {
	loop.Service
	began  time.Duration
	inside bool

	mu    sync.Mutex
	turns Turns
}

// ThreadCPU returns the CPU time of the calling goroutine's thread.
func ThreadCPU() time.Duration {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) != nil {
		return 0
	}
	return time.Duration(t.Nano())
}

func (c *turnClock) begin() {
	if !c.inside {
		c.inside, c.began = true, ThreadCPU()
	}
}

func (c *turnClock) ServiceFD(p *loop.PollFD) bool {
	c.begin()
	return c.Service.ServiceFD(p)
}

func (c *turnClock) ServicePending() {
	c.begin()
	c.Service.ServicePending()
}

func (c *turnClock) AdjustTimeout(d time.Duration) time.Duration {
	if c.inside {
		c.inside = false
		c.note(ThreadCPU() - c.began)
	}
	return c.Service.AdjustTimeout(d)
}

func (c *turnClock) note(d time.Duration) {
	c.mu.Lock()
	c.turns[min(int(d/TurnStep), len(c.turns)-1)]++
	c.mu.Unlock()
}

// take returns the turns since it was last called.
func (c *turnClock) take() Turns {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.turns
	c.turns = Turns{}
	return t
}

// timedLoops are poll's loops with a clock.
type timedLoops struct {
	*poll.Loops
	clock *turnClock
}

func (b timedLoops) Open(thread int, s loop.Service) (loop.Loop, error) {
	b.clock.Service = s
	l, err := b.Loops.Open(thread, b.clock)
	if err != nil {
		return nil, err
	}
	return timedLoop{l.(*poll.Loop)}, nil
}

// timedLoop is locked to its thread, so that the thread's CPU time is the turn's.
// A loop that says RunsHere must not be locked, since core may move its
// connections to another loop while a handshake is suspended; this one is never
// left before the engine ends. Said nothing, handshakes would run on other
// threads, and what they cost would not be seen.
type timedLoop struct{ *poll.Loop }

func (l timedLoop) Run() error {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	return l.Loop.Run()
}
