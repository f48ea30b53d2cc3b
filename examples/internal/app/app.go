// Package app is what the example servers share: the -loop flag, the log, and
// running until a signal.
package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/extpoll"
	"anyloop/loops/poll"
)

// Host is a loop by name: its backend, and how to turn it.
type Host struct {
	Name    string
	Backend loop.Backend
	// Run turns the loop until the engine has ended.
	Run func(ctx context.Context, eng *core.Engine) error
}

// hosts makes each loop for a number of service threads. Files of this package
// add what they have in init.
var hosts = map[string]func(threads int) (Host, error){
	"poll":     func(int) (Host, error) { return own(poll.Backend()), nil },
	"poll2":    func(int) (Host, error) { return own(poll.Backend(poll.WithPoller(poll.Poll2))), nil },
	"external": func(int) (Host, error) { return external(), nil },
}

// Names returns the names for -loop, sorted.
func Names() []string { return slices.Sorted(maps.Keys(hosts)) }

// Loops lists the names for -loop in one line.
func Loops() string { return strings.Join(Names(), ", ") }

// NewHost returns the loop of that name, for an engine with that many service
// threads.
func NewHost(name string, threads int) (Host, error) {
	f := hosts[name]
	if f == nil {
		return Host{}, fmt.Errorf("no loop is called %q; there are: %s", name, Loops())
	}
	h, err := f(max(threads, 1))
	if err != nil {
		return Host{}, fmt.Errorf("loop %s: %w", name, err)
	}
	h.Name = name
	return h, nil
}

// own is a loop that the engine turns itself.
func own(b loop.Backend) Host {
	return Host{Backend: b, Run: func(ctx context.Context, eng *core.Engine) error { return eng.Run(ctx) }}
}

// external is a poll(2) array that this program owns and turns.
func external() Host {
	set := extpoll.New()
	return Host{Backend: set.Backend(), Run: func(ctx context.Context, eng *core.Engine) error {
		stop := context.AfterFunc(ctx, func() { eng.Stop(0) })
		defer stop()
		for hosted(eng) {
			if err := set.Turn(-1, func(p *loop.PollFD) {}); err != nil {
				return err
			}
		}
		return nil
	}}
}

// hosted reports whether any service thread is still in its loop: not after the
// engine's end, nor after Detach.
func hosted(eng *core.Engine) bool {
	for i := range eng.Threads() {
		if eng.Thread(i).Hosted() {
			return true
		}
	}
	return false
}

// Log returns a logger at the named level, nil for "off".
func Log(level string) (*slog.Logger, error) {
	if level == "off" {
		return nil, nil
	}
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("-log %s: use debug, info, warn, error or off", level)
	}
	return slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: l})), nil
}

// RaiseFileLimit raises the open-file limit to what is allowed, since every
// connection is a descriptor.
func RaiseFileLimit() {
	var r unix.Rlimit
	if unix.Getrlimit(unix.RLIMIT_NOFILE, &r) == nil && r.Cur < r.Max {
		r.Cur = r.Max
		unix.Setrlimit(unix.RLIMIT_NOFILE, &r)
	}
}

// Serve runs the engine until SIGINT or SIGTERM, then stops it in good order; a
// second signal cuts it off.
func Serve(h Host, eng *core.Engine) error {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	sig := make(chan os.Signal, 2)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(sig)
	go func() {
		<-sig
		cancel()
		select {
		case <-sig:
			os.Exit(1)
		case <-time.After(time.Minute):
		}
	}()
	err := h.Run(ctx, eng)
	if errors.Is(err, context.Canceled) {
		err = nil
	}
	return err
}

// Fatal prints err and ends the program.
func Fatal(err error) {
	fmt.Fprintln(os.Stderr, err)
	os.Exit(1)
}
