//go:build linux

// Package crowd is clients that load a server: thousands of WebSockets in one
// process, by one thread that waits for all of them at once. It shares nothing with
// the library but the encoding of frames. Every byte that comes back is compared.
package crowd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/ws"
	"anyloop/examples/bench/internal/proc"
)

// Config says whom to load.
type Config struct {
	Addr string
	Nice int // priority of the process, as far as the system allows; see nice(1)
}

// Span is when something happened, in ns of CLOCK_MONOTONIC, which is the same for
// all processes of the machine.
type Span struct{ From, To int64 }

// Length returns how long it took.
func (s Span) Length() time.Duration { return time.Duration(s.To - s.From) }

// patience is how long a server may keep silent: a bound on a hang.
const patience = time.Minute

var errSilent = errors.New("the server says nothing")

// crowd is the clients and the epoll set that waits for them.
type crowd struct {
	to     unix.SockaddrInet4
	ep     int
	all    []*client // those that are open
	byFD   []*client
	made   int // sockets so far
	events [256]unix.EpollEvent
	buf    [256 << 10]byte
	lacks  bool  // the system has no epoll_pwait2
	heard  int64 // when something came, or was asked for, last
	enough atomic.Bool
}

// Role is the crowd's process. It answers
//
//	open Open   opens WebSockets; returns the Span
//	close How   ends all of them at once; returns the Span
//	idle For    answers Pings; returns how many there were
//	pace Pace   sends in regular intervals; returns Paced
//	full Full   keeps all busy; returns Filled
//	greed Greed takes as much as it gets, on a connection of its own; returns Greeded
func Role(config json.RawMessage) (answer proc.Answer, end func() error, err error) {
	var cfg Config
	if err := json.Unmarshal(config, &cfg); err != nil {
		return nil, nil, err
	}
	runtime.LockOSThread()
	if cfg.Nice != 0 {
		unix.Setpriority(unix.PRIO_PROCESS, 0, cfg.Nice)
	}
	unix.Prctl(unix.PR_SET_TIMERSLACK, 1, 0, 0, 0) // else it would wake 50 us late
	c, err := newCrowd(cfg.Addr)
	if err != nil {
		return nil, nil, err
	}
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, Enough)
	go func() {
		for range sig {
			c.enough.Store(true)
		}
	}()
	return c.answer, c.end, nil
}

func (c *crowd) answer(what string, arg json.RawMessage) (any, error) {
	c.heard = 0
	switch what {
	case "open":
		return with(arg, c.open)
	case "close":
		return with(arg, c.close)
	case "idle":
		return with(arg, c.idle)
	case "pace":
		return with(arg, c.pace)
	case "full":
		return with(arg, c.full)
	case "greed":
		return with(arg, c.greed)
	}
	return nil, fmt.Errorf("no answer to %q", what)
}

func with[A, B any](arg json.RawMessage, f func(A) (B, error)) (any, error) {
	var a A
	if err := json.Unmarshal(arg, &a); err != nil {
		return nil, err
	}
	return f(a)
}

// now returns ns of CLOCK_MONOTONIC.
func now() int64 {
	var t unix.Timespec
	unix.ClockGettime(unix.CLOCK_MONOTONIC, &t)
	return t.Nano()
}

// Now returns ns of the clock that Spans are of.
func Now() int64 { return now() }

// frames returns what asks for an echo of a message of size bytes, and what the
// answer must be. Those of different seeds differ, if there is a byte to differ in.
func frames(size, seed int) (ask, answer []byte) {
	p := make([]byte, size)
	for i := range p {
		p[i] = byte(i*7 + seed + seed>>8*i)
	}
	ask = ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, p)
	return ask, ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, p)
}
