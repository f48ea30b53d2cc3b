package wstest

import (
	"errors"
	"fmt"
	"io"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// Simulated starts an engine with this vhost in a simulator and returns how to
// connect to it: deterministic, without sockets, and silence is checked. At the
// test's end the engine must stop in good order and leave nothing behind.
func Simulated(t testing.TB, vh core.VHost) func() (Wire, error) {
	t.Helper()
	vh.Addr = "host:80"
	k, _ := engine(t, vh)
	return func() (Wire, error) {
		p := k.Dial("host:80")
		if p == nil {
			return nil, errors.New("wstest: nobody listens")
		}
		return &simWire{k: k, p: p}, nil
	}
}

// engine starts an engine on a simulated kernel of its own.
func engine(t testing.TB, vh core.VHost) (*sim.Kernel, *core.Engine) {
	t.Helper()
	k := sim.New(sim.Options{})
	eng, err := core.New(core.Config{Backend: k, VHosts: []core.VHost{vh}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		eng.Stop(0)
		k.Advance(time.Minute)
		select {
		case <-eng.Done():
		default:
			t.Errorf("the engine has not ended: %d descriptors watched", k.Watched())
		}
		if n := k.Files(); n != 0 {
			t.Errorf("%d descriptors are still open", n)
		}
		k.Check(t)
	})
	return k, eng
}

// simWire is a peer of the simulator.
type simWire struct {
	k *sim.Kernel
	p *sim.Peer
	// ends is set once both sides were asked to end: then nothing may be left.
	ends bool
	told bool // that there was a reset
}

func (w *simWire) Write(b []byte) error {
	for len(b) > 0 {
		n := w.p.Write(b)
		b = b[n:]
		w.k.Drive()
		if n > 0 {
			continue
		}
		if w.p.Gone() || w.p.ResetSeen() || w.p.EOF() {
			return nil
		}
		return errors.New("wstest: the testee takes no more bytes")
	}
	return nil
}

func (w *simWire) Poll() ([]byte, error) {
	w.k.Drive()
	if b := w.p.Read(); len(b) > 0 {
		return b, nil
	}
	if w.p.ResetSeen() {
		w.told = true
		return nil, fmt.Errorf("wstest: reset by the testee: %w", syscall.ECONNRESET)
	}
	if w.p.EOF() {
		return nil, io.EOF
	}
	return nil, nil
}

func (w *simWire) Read() ([]byte, error) {
	b, err := w.Poll()
	if len(b) == 0 && err == nil {
		err = ErrSilent
	}
	return b, err
}

func (w *simWire) CloseWrite() error {
	w.p.CloseWrite()
	w.k.Drive()
	w.ends = true
	return nil
}

// Close checks that both ends let go of a connection that has ended: at once,
// without any time passing.
func (w *simWire) Close() error {
	if w.ends && w.p.EOF() {
		if w.p.ResetSeen() && !w.told {
			return errors.New("wstest: reset by the testee")
		}
		if !w.p.Gone() {
			return errors.New("wstest: the testee keeps its descriptor")
		}
	}
	w.p.Close()
	w.k.Drive()
	return nil
}
