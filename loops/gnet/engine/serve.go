//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import (
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"

	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"

	"anyloop/core"
)

// Serve runs a gnet engine of its own for eng, with an event loop per service
// thread, until eng has ended: for a program that has no gnet engine yet. When
// ctx ends, eng is stopped with the default grace. The options come after the
// bridge's own; a gnet logger among them replaces the silent one. It returns nil
// after an orderly end or a Detach, and what ended gnet otherwise; eng then lives
// on, unturned. If eng is not in the bridge, it returns at once: ErrNoThread if no
// engine is, ErrOtherEngine if another one is. Call it once at a time. Any
// goroutine.
func (b *Bridge) Serve(ctx context.Context, eng *core.Engine, opts ...gnet.Option) error {
	if over(eng.Done()) {
		return nil
	}
	if err := b.holds(eng); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "anyloop") // gnet wants to listen: where only we can connect
	if err != nil {
		return fmt.Errorf("gnetengine: %w", err)
	}
	defer os.RemoveAll(dir)
	path := filepath.Join(dir, "s")
	h := &handler{b: b, visits: make(chan gnet.EventLoop, maxAnchors), dial: func() (net.Conn, error) { return net.Dial("unix", path) }}
	opts = append(append(Options(), gnet.WithNumEventLoop(eng.Threads()), gnet.WithLogger(Silent)), opts...)
	empty := b.emptied()
	r := newRunning(h)
	go func() { r.ended(gnet.Run(r, "unix://"+path, opts...), "unix://"+path) }()
	select {
	case <-r.booted:
		err = b.Start()
	case <-r.done:
	}
	if err == nil {
		stop := context.AfterFunc(ctx, func() { eng.Stop(0) })
		defer stop()
		select {
		case <-eng.Done():
		case <-empty:
		case <-r.done:
		}
	}
	alone := over(r.booted) && over(h.host.gone) // it ended by itself
	r.stop()
	<-r.done
	switch {
	case over(eng.Done()):
		return nil
	case err != nil:
		return err
	case r.err != nil:
		return r.err
	case alone:
		return ErrHostGone
	}
	return nil // detached
}

// holds reports why the bridge has no thread of eng's, nil if it has. One that is
// left while others have ended is enough.
func (b *Bridge) holds(eng *core.Engine) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	err := ErrNoThread
	for i, st := range b.seats {
		if st == nil {
			continue
		}
		// Another kind of service is a thread in a wrapping that we do not know.
		if th, ok := st.s.(*core.Thread); !ok || i < eng.Threads() && th == eng.Thread(i) {
			return nil
		}
		err = ErrOtherEngine
	}
	return err
}

func over(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// running is a gnet engine that we run.
type running struct {
	gnet.EventHandler
	booted chan struct{}
	done   chan struct{}
	eng    gnet.Engine
	err    error // after done
}

func newRunning(h gnet.EventHandler) *running {
	return &running{EventHandler: h, booted: make(chan struct{}), done: make(chan struct{})}
}

// OnBoot implements gnet.EventHandler.
func (r *running) OnBoot(e gnet.Engine) gnet.Action {
	r.eng = e
	act := r.EventHandler.OnBoot(e)
	close(r.booted)
	return act
}

// ended notes that gnet has returned. It keeps every engine that it ever ran, by
// address, until the old Stop is called with that.
func (r *running) ended(err error, urls ...string) {
	for _, u := range urls {
		//lint:ignore SA1019 nothing else makes it forget an engine that is over
		gnet.Stop(context.Background(), u)
	}
	if err != nil {
		r.err = fmt.Errorf("gnetengine: %w", err)
	}
	close(r.done)
}

// stop begins gnet's end, if it has begun at all, and does not wait: gnet would
// look every half second whether it is over.
func (r *running) stop() {
	if over(r.booted) {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		r.eng.Stop(now)
	}
}

// Silent is a logger for gnet.WithLogger that drops everything. gnet's own writes
// to the standard output; what it logs there is for one logger per process.
var Silent logging.Logger = silent{}

type silent struct{}

func (silent) Debugf(string, ...any) {}
func (silent) Infof(string, ...any)  {}
func (silent) Warnf(string, ...any)  {}
func (silent) Errorf(string, ...any) {}
func (silent) Fatalf(string, ...any) {}
