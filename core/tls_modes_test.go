package core_test

import (
	"crypto/tls"
	"fmt"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/sim"
	"anyloop/core/tlsio"
)

// below is what a server's TLS stands on.
type below uint8

const (
	onDescriptor below = iota
	onStream           // of an engine that copies
	onHolder           // of a completion engine
)

// tlsMode is how TLS is spoken.
type tlsMode struct {
	version      uint16
	lend, steady bool
	below        below
	mock         looptest.MockMode // of streams
}

func (m tlsMode) String() string {
	return fmt.Sprintf("%s,lend=%v,steady=%v,%s", tls.VersionName(m.version), m.lend, m.steady,
		[...]string{"descriptor", "stream", "holder"}[m.below])
}

// tlsModes has every pair of choices.
var tlsModes = []tlsMode{
	{tls.VersionTLS13, true, true, onDescriptor, looptest.MockMode{}},
	{tls.VersionTLS13, false, false, onStream, looptest.MockMode{}},
	{tls.VersionTLS13, true, false, onHolder, looptest.MockMode{Inside: true}},
	{tls.VersionTLS12, false, true, onHolder, looptest.MockMode{Spurious: true}},
	{tls.VersionTLS12, true, true, onStream, looptest.MockMode{Inside: true, LateFeeds: 3}},
	{tls.VersionTLS12, true, false, onDescriptor, looptest.MockMode{}},
	{tls.VersionTLS13, false, false, onDescriptor, looptest.MockMode{}},
}

// everyMode runs f as a subtest in each mode.
func everyMode(t *testing.T, f func(t *testing.T, m tlsMode)) {
	for _, m := range tlsModes {
		t.Run(m.String(), func(t *testing.T) { f(t, m) })
	}
}

// modal is a world in a mode.
type modal struct {
	*world
	m    tlsMode
	mock *looptest.Mock
}

// open starts an engine in the mode; vh is its vhost, completed as by secure.
func (m tlsMode) open(t *testing.T, o sim.Options, lim core.Limits, vh core.VHost) *modal {
	t.Helper()
	makeCerts(t)
	if vh.TLS == nil {
		vh.TLS = serves(certs.a)
	}
	vh.TLS.LendBuffers = m.lend
	w := &modal{world: secure(t, o, lim, vh), m: m}
	th := w.eng.Thread(0)
	th.Steady(m.steady)
	if m.below == onDescriptor {
		return w
	}
	m.mock.Holds = m.below == onHolder
	w.mock = looptest.NewMock(m.mock, w.k)
	_, l, err := w.mock.Listen("tcp", "engine:1", func(_ int, s loop.Stream, peer string) (loop.StreamConn, error) {
		return th.AdoptStream(s, w.eng.VHost("default"), peer)
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		l.Close()
		w.eng.Stop(-1)
		w.drive()
		for _, wrong := range w.mock.Wrong() {
			t.Error(wrong)
		}
	})
	return w
}

// drive turns all loops until nothing is left to do.
func (w *modal) drive() {
	for {
		w.k.Drive()
		if w.mock == nil {
			return
		}
		if before := w.k.Counts(); !w.mock.Turn() || w.m.mock.Spurious && before == w.k.Counts() {
			return
		}
	}
}

// secret dials, and has said nothing yet.
func (w *modal) secret() *tlsPeer {
	w.t.Helper()
	cfg := trusts("a.test")
	cfg.MinVersion, cfg.MaxVersion = w.m.version, w.m.version
	return w.secretOf(cfg)
}

// secretOf is secret with a config.
func (w *modal) secretOf(cfg *tls.Config) *tlsPeer {
	w.t.Helper()
	addr := host
	if w.mock != nil {
		addr = "engine:1"
	}
	p := w.k.Dial(addr)
	if p == nil {
		w.t.Fatal("nobody listens")
	}
	return newTLSPeer(w.t, p, tlsio.Client(cfg, tlsio.Options{}), w.drive)
}

// tls dials and completes the handshake.
func (w *modal) tls() *tlsPeer {
	w.t.Helper()
	p := w.secret()
	p.shake()
	return p
}

// ws dials and makes a WebSocket.
func (w *modal) ws() *tlsPeer {
	w.t.Helper()
	p := w.tls()
	p.upgrade()
	return p
}
