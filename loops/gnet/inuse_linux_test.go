//go:build !poll_opt

package gnetloop_test

import (
	"errors"
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/loops/gnet"
)

// TestASecondEngineIsRefused: in pollers of the application a backend serves one
// engine at a time, since Dispatch would reach the last one only. The first does
// not suffer; when it has left, another may come.
func TestASecondEngineIsRefused(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			h := newHost(t, core.Config{VHosts: []core.VHost{echoVHost()}}, opts...)
			fd := h.dial()
			defer unix.Close(fd)
			registered := watched(t, h.fence)
			if _, err := core.New(core.Config{Backend: h.back}); !errors.Is(err, gnetloop.ErrInUse) {
				t.Fatalf("a second engine: %v", err)
			}
			if n := watched(t, h.fence); n != registered {
				t.Errorf("%d descriptors are registered, before it was %d", n, registered)
			}
			h.echo(fd)

			h.eng.Detach()
			first := h.eng
			second, err := core.New(core.Config{Backend: h.back})
			if err != nil {
				t.Fatal(err)
			}
			h.settle()
			if err := first.Attach(h.back); !errors.Is(err, gnetloop.ErrInUse) {
				t.Errorf("Attach beside a second engine: %v", err)
			}
			h.eng = second
			h.stop()
			h.eng = first
			if err := first.Attach(h.back); err != nil {
				t.Fatal(err)
			}
			h.echo(fd)
		})
	}
}

// TestPrivatePollersAreNotShared: with pollers of their own two engines do not get
// in each other's way.
func TestPrivatePollersAreNotShared(t *testing.T) {
	for name, opts := range ways {
		t.Run(name, func(t *testing.T) {
			leaks(t)
			b := gnetloop.Backend(opts...)
			one, ranOne := start(t, core.Config{Backend: b, VHosts: []core.VHost{tcpVHost()}})
			two, ranTwo := start(t, core.Config{Backend: b, VHosts: []core.VHost{tcpVHost()}})
			echo(t, dial(t, one))
			echo(t, dial(t, two))
			finish(t, one, ranOne)
			finish(t, two, ranTwo)
		})
	}
}
