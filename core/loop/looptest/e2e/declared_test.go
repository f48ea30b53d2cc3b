package e2e_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest/e2e"
	"anyloop/loops/poll"
)

// noting is a test that keeps its failures to itself.
type noting struct {
	*testing.T
	mu   sync.Mutex
	errs []string
}

func (n *noting) Errorf(format string, args ...any) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.errs = append(n.errs, fmt.Sprintf(format, args...))
}

// Fatalf ends the goroutine that noted runs the case in.
func (n *noting) Fatalf(format string, args ...any) {
	n.Errorf(format, args...)
	panic(n)
}

func (n *noting) Failed() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.errs) > 0
}

func (n *noting) Logf(string, ...any) {}

// noted runs a case and returns its result and failures.
func noted(t *testing.T, name string, threads int, newHost func(testing.TB, int) e2e.Host) (res e2e.Result, failures string) {
	t.Helper()
	n := &noting{T: t}
	func() {
		defer func() {
			if v := recover(); v != nil && v != any(n) {
				panic(v)
			}
		}()
		res = e2e.RunCase(n, name, threads, newHost)
	}()
	return res, strings.Join(n.errs, "\n")
}

// picky is a backend that does not do all that poll does.
type picky struct {
	*poll.Loops
	lim picks
}

type picks struct {
	pipes   error // what adopting a descriptor is refused with, once conns are there
	threads error // what a second thread is refused with
	skipOut bool  // interest Out is forgotten
}

type pickyLoop struct {
	*poll.Loop
	lim   picks
	added int
}

func (b picky) Open(i int, s loop.Service) (loop.Loop, error) {
	if i > 0 && b.lim.threads != nil {
		return nil, b.lim.threads
	}
	l, err := b.Loops.Open(i, s)
	if err != nil {
		return nil, err
	}
	return &pickyLoop{Loop: l.(*poll.Loop), lim: b.lim}, nil
}

func (l *pickyLoop) AddPollFD(fd int, ev loop.Events) error {
	if l.added++; l.added > 2 && l.lim.pipes != nil { // after the wake-up and the listener
		return l.lim.pipes
	}
	return l.Loop.AddPollFD(fd, ev)
}

func (l *pickyLoop) ChangeModePollFD(fd int, prev, next loop.Events) {
	if l.lim.skipOut {
		next &^= loop.Out
	}
	l.Loop.ChangeModePollFD(fd, prev, next)
}

// within tries f with a short bound, if it waits for the bound to be over, and with a
// longer one where a busy machine has let the bound end something else.
func within(waits bool, f func(bound time.Duration) (ok bool)) {
	bound := e2e.Bound
	if waits {
		bound = 2 * time.Second
	}
	for !f(bound) && bound < e2e.Bound {
		bound *= 3
	}
}

// TestDeclarationsAreHeld: what a host says of itself must be so, and what is so
// must be said.
func TestDeclarationsAreHeld(t *testing.T) {
	noPipes := errors.New("picky: sockets only")
	for _, k := range []struct {
		name     string
		kase     string
		threads  int
		lim      picks
		declared map[string]e2e.Result
		want     e2e.Result
		failure  string // part of it; "" means that none is wanted
		waits    bool   // it comes when the bound is over
	}{
		{"refused as declared", "adopt-file", 1, picks{pipes: noPipes}, map[string]e2e.Result{"adopt-file": e2e.Refuses("sockets only")}, e2e.Refuses("sockets only"), "", false},
		{"refused, not declared", "adopt-file", 1, picks{pipes: noPipes}, nil, e2e.Refuses(""), "refused, which the host does not declare", false},
		{"refused otherwise", "adopt-file", 1, picks{pipes: noPipes}, map[string]e2e.Result{"adopt-file": e2e.Refuses("files only")}, e2e.Refuses("files only"), `declared is "files only"`, false},
		{"works all the same", "adopt-file", 1, picks{}, map[string]e2e.Result{"adopt-file": e2e.Refuses("sockets only")}, e2e.Result{}, "works, though", false},
		{"one thread", "threads", 2, picks{threads: errors.New("picky: alone")}, map[string]e2e.Result{"threads": e2e.Refuses("alone")}, e2e.Refuses("alone"), "", false},
		{"no other case with two", "ws-echo", 2, picks{threads: errors.New("picky: alone")}, map[string]e2e.Result{"threads": e2e.Refuses("alone")}, e2e.Has("alone"), "", false},
		{"no substitute is known", "ws-echo", 1, picks{}, map[string]e2e.Result{"ws-echo": e2e.Does("something")}, e2e.Result{}, "no substitute", false},
		{"the substitute does not hold", "capacity", 1, picks{}, map[string]e2e.Result{"capacity": e2e.Does("others are closed")}, e2e.Result{}, "not closed", true},
		{"a question that is not asked", "ws-echo", 1, picks{}, map[string]e2e.Result{"ws-echo": e2e.Has("no reason")}, e2e.Has("no reason"), "", false},
		{"writes that are never taken up again", "http-slow-file", 1, picks{skipOut: true}, nil, e2e.Result{}, "timeout", true},
	} {
		var res e2e.Result
		var failures string
		within(k.waits, func(bound time.Duration) bool {
			res, failures = noted(t, k.kase, k.threads, func(testing.TB, int) e2e.Host {
				return e2e.Host{Backend: picky{poll.Backend(), k.lim}, Limits: k.declared, Bound: bound}
			})
			return strings.Contains(failures, k.failure)
		})
		if k.failure == "" && failures != "" || !strings.Contains(failures, k.failure) {
			t.Errorf("%s: failures: %q", k.name, failures)
		}
		if res != k.want && (k.failure == "" || k.want != e2e.Result{}) {
			t.Errorf("%s: %v", k.name, res)
		}
	}
}

// TestLeftoversAreFound: a goroutine and a descriptor that a host leaves behind.
func TestLeftoversAreFound(t *testing.T) {
	failures := ""
	found := func() bool {
		return strings.Contains(failures, "1 goroutines") && strings.Contains(failures, os.DevNull)
	}
	within(true, func(bound time.Duration) bool {
		hold, over := make(chan struct{}), make(chan struct{})
		var file *os.File
		_, failures = noted(t, "cancel", 1, func(testing.TB, int) e2e.Host {
			return e2e.Host{Backend: poll.Backend(), Bound: bound, Run: func(ctx context.Context, eng *core.Engine) error {
				go func() { defer close(over); <-hold }()
				file, _ = os.Open(os.DevNull)
				return eng.Run(ctx)
			}}
		})
		close(hold)
		<-over
		file.Close()
		return found()
	})
	if !found() {
		t.Errorf("%q", failures)
	}
}
