package core_test

import (
	"bytes"
	"errors"
	"log/slog"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// lateKernel has an address that comes later.
type lateKernel struct {
	*sim.Kernel
	err   error
	tries int
}

func (k *lateKernel) Listen(network, addr string) (int, string, error) {
	k.tries++
	if k.err != nil {
		return -1, "", k.err
	}
	return k.Kernel.Listen(network, addr)
}

// newLate makes an engine of vhosts at an address where listening fails with err.
func newLate(t *testing.T, err error, threads int, vhosts ...core.VHost) (*world, *lateKernel, error) {
	w := &world{t: t, k: sim.New(sim.Options{}), log: &bytes.Buffer{}}
	k := &lateKernel{Kernel: w.k, err: err}
	for i := range vhosts {
		vhosts[i].Addr = host
	}
	log := slog.New(slog.NewTextHandler(w.log, nil))
	eng, err := core.New(core.Config{Backend: k, Threads: threads, ReusePort: threads > 1, Log: log, VHosts: vhosts})
	if w.eng = eng; err == nil {
		t.Cleanup(w.stop)
	}
	return w, k, err
}

func later(name string) core.VHost {
	vh := named(name)
	vh.BindLater = true
	return vh
}

func TestBindLater_27(t *testing.T) {
	w, k, err := newLate(t, syscall.EADDRNOTAVAIL, 1, later("a.test"), later("b.test"))
	if err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	if a := w.eng.VHost("a.test").Addr(); a != "" || w.k.Dial(host) != nil {
		t.Errorf("it listens on %q", a)
	}
	for range 5 {
		w.k.Advance(time.Second)
	}
	if k.tries != 6 {
		t.Errorf("%d tries in five seconds, one for both vhosts at a time and one at first", k.tries)
	}
	if n := strings.Count(w.log.String(), "level=WARN"); n != 1 || strings.Contains(w.log.String(), "msg=listening ") {
		t.Errorf("logged: %s", w.log)
	}
	k.err = nil
	w.k.Advance(time.Second)
	if a := w.eng.VHost("b.test").Addr(); a != host || w.servedBy("b.test") != "b.test" || w.servedBy("x") != "a.test" {
		t.Errorf("it listens on %q", a)
	}
	if n := strings.Count(w.log.String(), "msg=listening "); n != 1 {
		t.Errorf("logged %d times: %s", n, w.log)
	}
	tries := k.tries
	w.k.Advance(10 * time.Second)
	if k.tries != tries {
		t.Error("it still tries")
	}
}

func TestBindLaterIsForWhatCanCome_27(t *testing.T) {
	for _, fails := range []error{syscall.EADDRINUSE, syscall.EACCES} {
		if w, _, err := newLate(t, fails, 1, later("a.test")); !errors.Is(err, fails) || w.k.Files() != 0 {
			t.Errorf("%v: New says %v", fails, err)
		}
	}
	if w, _, err := newLate(t, syscall.EADDRNOTAVAIL, 1, named("a.test")); !errors.Is(err, syscall.EADDRNOTAVAIL) || w.k.Files() != 0 {
		t.Errorf("without BindLater: %v", err)
	}
}

// TestBindLaterOfAnotherVHost: who cannot wait is told why it does not listen.
func TestBindLaterOfAnotherVHost(t *testing.T) {
	w, k, err := newLate(t, syscall.EADDRNOTAVAIL, 1, later("a.test"))
	if err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	cfg := named("b.test")
	cfg.Addr = host
	if _, err := w.eng.AddVHost(cfg); !errors.Is(err, syscall.EADDRNOTAVAIL) {
		t.Errorf("a vhost that cannot wait: %v", err)
	}
	k.err = nil
	w.k.Advance(time.Second)
	if _, err := w.eng.AddVHost(cfg); err != nil || w.servedBy("b.test") != "b.test" {
		t.Errorf("when it listens: %v", err)
	}
}

// TestBindLaterGoesOnPastOtherErrors: once New has succeeded nobody else is there
// to try again.
func TestBindLaterGoesOnPastOtherErrors(t *testing.T) {
	w, k, err := newLate(t, syscall.EADDRNOTAVAIL, 1, later("a.test"))
	if err != nil {
		t.Fatal(err)
	}
	k.err = syscall.EADDRINUSE
	for range 3 {
		w.k.Advance(time.Second)
	}
	if n := strings.Count(w.log.String(), "still not listening"); n != 1 {
		t.Errorf("logged %d times: %s", n, w.log)
	}
	k.err = nil
	w.k.Advance(time.Second)
	if got := w.servedBy("a.test"); got != "a.test" {
		t.Errorf("%q", got)
	}
}

func TestBindLaterEndsWithTheVHost(t *testing.T) {
	w, k, err := newLate(t, syscall.EADDRNOTAVAIL, 1, later("a.test"))
	if err != nil {
		t.Fatal(err)
	}
	w.k.Drive()
	again := later("b.test")
	again.Addr = host
	// One that comes in time takes the wait over.
	w.eng.VHost("a.test").Remove()
	if _, err := w.eng.AddVHost(again); err != nil {
		t.Fatal(err)
	}
	w.k.Advance(3 * time.Second)
	if k.tries != 4 {
		t.Errorf("%d tries", k.tries)
	}
	w.eng.VHost("b.test").Remove()
	w.k.Advance(3 * time.Second)
	if k.tries != 4 {
		t.Errorf("%d tries, it waits for nobody", k.tries)
	}
	k.err = nil
	if _, err := w.eng.AddVHost(again); err != nil || w.servedBy("x") != "b.test" {
		t.Errorf("a new one: %v", err)
	}
}

// TestBindLaterOnEveryThread: all their sockets come at once.
func TestBindLaterOnEveryThread(t *testing.T) {
	w := &world{t: t, k: sim.New(sim.Options{}), log: &bytes.Buffer{}}
	k := &portsKernel{lateKernel: lateKernel{Kernel: w.k, err: syscall.EADDRNOTAVAIL}}
	cfg := later("a.test")
	cfg.Addr = host
	eng, err := core.New(core.Config{Backend: k, Threads: 3, ReusePort: true, VHosts: []core.VHost{cfg}})
	if err != nil {
		t.Fatal(err)
	}
	w.eng = eng
	t.Cleanup(w.stop)
	w.k.Drive()
	files := w.k.Files()
	k.err = nil
	w.k.Advance(time.Second)
	w.k.Drive()
	if n := w.k.Files() - files; n != 3 {
		t.Errorf("%d sockets", n)
	}
	if got := w.servedBy("a.test"); got != "a.test" {
		t.Errorf("%q", got)
	}
}

// portsKernel lets sockets share an address, by other names.
type portsKernel struct {
	lateKernel
	n int
}

func (k *portsKernel) Listen(network, addr string) (int, string, error) {
	k.n++
	if k.err == nil && k.n%3 != 1 {
		fd, _, err := k.Kernel.Listen(network, addr+strings.Repeat("'", k.n))
		return fd, addr, err
	}
	return k.lateKernel.Listen(network, addr)
}
