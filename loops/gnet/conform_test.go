//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && !poll_opt

package gnetloop_test

import (
	"errors"
	"testing"

	gneterrors "github.com/panjf2000/gnet/v2/pkg/errors"
	"github.com/panjf2000/gnet/v2/pkg/netpoll"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/loops/gnet"
)

func TestConformancePoller(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host { return looptest.Host{Backend: gnetloop.Backend()} })
}

func TestConformanceNested(t *testing.T) {
	looptest.Run(t, func(testing.TB) looptest.Host {
		return looptest.Host{Backend: gnetloop.Backend(gnetloop.Nested())}
	})
}

func TestConformanceShared(t *testing.T) {
	looptest.Run(t, func(t testing.TB) looptest.Host { return sharedHost(t) })
}

func TestConformanceSharedNested(t *testing.T) {
	looptest.Run(t, func(t testing.TB) looptest.Host { return sharedHost(t, gnetloop.Nested()) })
}

// sharedHost is an application that drives a poller and has nothing of its own in
// it.
func sharedHost(t testing.TB, opts ...gnetloop.Option) looptest.Host {
	p := openPoller(t)
	b := gnetloop.Backend(append(opts, gnetloop.Shared(p))...)
	return looptest.Host{Backend: b, Run: func(e *core.Engine) error {
		return drive(p, b.Thread(0), e.Thread(0).Hosted)
	}}
}

// drive turns an application's poller while it hosts core.
func drive(p *netpoll.Poller, l *gnetloop.Loop, while func() bool) error {
	err := p.Polling(func(fd int, ev netpoll.IOEvent, flags netpoll.IOFlags) error {
		l.Dispatch(fd, ev, flags)
		if !while() {
			return gneterrors.ErrEngineShutdown
		}
		return nil
	})
	if errors.Is(err, gneterrors.ErrEngineShutdown) {
		return nil
	}
	return err
}

func openPoller(t testing.TB) *netpoll.Poller {
	t.Helper()
	p, err := netpoll.OpenPoller()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Close() })
	return p
}
