package looptest

import (
	"fmt"
	"testing"

	"anyloop/core"
	"anyloop/core/loop"
)

// StreamHost is a backend of tier Bytes, how to turn it, and what its engine
// cannot do. What is declared is checked where that is possible, so that nothing
// is declared needlessly.
type StreamHost struct {
	// Host's Backend implements loop.Acceptor.
	Host
	// NoEOF says that the engine takes the end of what a peer sends for the
	// end of the connection.
	NoEOF bool
	// NoPause says that the engine feeds paused connections. Late then bounds
	// what.
	NoPause bool
	// NoCloseWrite says that the engine cannot half-close.
	NoCloseWrite bool
	// Steals says that the engine gives a connection to core when it is paused
	// and the peer goes on sending. It must then happen before 4 MiB.
	Steals bool
	// Late is the most bytes that the engine feeds during one pause; 0:
	// 256 KiB.
	Late int
	// Unsent is the most bytes that the engine and the system take for a peer
	// that does not read, before the engine says "not now"; 0: 16 MiB.
	Unsent int
}

// streamLines are the tests, by the line of the contract that they hold.
var streamLines = []struct {
	name string
	test func(t TB, h *streamHarness)
}{
	{"S1_WritesOnlyWhereThereIsRoom", streamLine1},
	{"S2_MemoryOfOutput", streamLine2},
	{"S3_MemoryOfInput", streamLine3},
	{"S4_PausedInputIsKept", streamLine4},
	{"S5_OrderlyEndsWait", streamLine5},
	{"S5_OrderlyEndsAreBounded", streamLine5Bound},
	{"S6_CloseOnceAndLast", streamLine6},
	{"S7_ClosedOnceAndLast", streamLine7},
	{"S8_ReportsMayComeAtOnce", streamLine8},
	{"S9_TheEndWaitsForTheEngine", streamLine9},
	{"S10_StolenInOrder", streamLine10},
	{"S11_RefusedAtOnce", streamLine11},
	{"S12_HalfClose", streamLine12},
	{"S13_PendingWorkTurnsTheLoop", streamLine13},
}

// RunStreams runs the stream suite: the lines S1 to S13 of package loop, over
// fresh hosts, with a StreamWatch between core and the engine. In each test
// whatever the watch notes is a failure, of that line or another.
//
//	func TestMyStreams(t *testing.T) {
//		looptest.RunStreams(t, func(testing.TB) looptest.StreamHost {
//			return looptest.StreamHost{Host: looptest.Host{Backend: myloop.Streams()}, NoEOF: true}
//		})
//	}
func RunStreams(t *testing.T, newHost func(t testing.TB) StreamHost) {
	t.Helper()
	for _, l := range streamLines {
		t.Run(l.name, func(t *testing.T) {
			h := newStreamHarness(t, newHost(t), nil)
			l.test(t, h)
			h.finish("")
		})
	}
}

// StreamLines returns the names of the stream suite's tests.
func StreamLines() []string {
	var all []string
	for _, l := range streamLines {
		all = append(all, l.name)
	}
	return all
}

// RunStreamLine runs one test of the stream suite by name, with wrap between core
// and the watch, and fails only for faults of that line: for packages that show
// what the suite finds.
func RunStreamLine(t TB, name string, sh StreamHost, wrap func(loop.Backend) loop.Backend) {
	for _, l := range streamLines {
		if l.name == name {
			h := newStreamHarness(t, sh, wrap)
			l.test(t, h)
			h.finish(name)
			return
		}
	}
	t.Fatalf("looptest: no test %s", name)
}

// streamHarness is a host with its watch, before an engine is made.
type streamHarness struct {
	*harness
	can    StreamHost
	watch  *StreamWatch
	serve  *streamServer
	filter func(*core.VirtualHost, string) bool // Config.FilterConn
	fed    int                                  // bytes that have been sent by the clients of a test that counts
	r      *running
}

func newStreamHarness(t TB, sh StreamHost, wrap func(loop.Backend) loop.Backend) *streamHarness {
	if sh.Late == 0 {
		sh.Late = 256 << 10
	}
	if sh.Unsent == 0 {
		sh.Unsent = 16 << 20
	}
	a, ok := sh.Backend.(loop.Acceptor)
	if !ok {
		t.Fatalf("looptest: backend %s is no loop.Acceptor", sh.Backend.Info().Name)
	}
	w := NewStreamWatch()
	host := sh.Host
	host.Backend = w.Watch(a)
	return &streamHarness{harness: newHarness(t, host, wrap), can: sh, watch: w}
}

// start runs an engine that serves what streamServer does.
func (h *streamHarness) start(lim core.Limits) *running {
	h.t.Helper()
	h.serve = newStreamServer()
	h.probe = newProbe(h.host.Backend)
	b := asBackend(h.probe, h.host.Backend)
	if h.wrap != nil {
		b = h.wrap(b)
	}
	vh := h.serve.vhost()
	vh.Name, vh.Addr = "test", h.host.Addr
	h.recordConns(&vh.Protocols[0])
	eng, err := core.New(core.Config{Backend: b, Limits: unhurried(lim), VHosts: []core.VHost{vh}, FilterConn: h.filter})
	if err != nil {
		h.t.Fatalf("core.New: %v", err)
	}
	h.r = &running{h: h.harness, eng: eng, probe: h.probe, addr: eng.VHost("test").Addr(), ended: make(chan error, 1)}
	go func() { h.r.ended <- h.host.Run(eng) }()
	h.t.Cleanup(h.r.stop)
	return h.r
}

// finish stops the engine and reports the faults: all, or those of one line.
func (h *streamHarness) finish(name string) {
	h.t.Helper()
	h.r.stop()
	for _, f := range h.watch.Faults() {
		if name == "" || lineOf(name) == f.Line {
			h.t.Errorf("%s", f)
		}
	}
	if name != "" {
		return
	}
	if n := h.r.eng.Stats().Misuses; n != 0 {
		h.t.Errorf("S8: %d misuses of core", n)
	}
	for _, f := range h.probe.faults() {
		h.t.Errorf("%s", f)
	}
}

// lineOf returns "S1" of "S1_Name".
func lineOf(name string) string {
	var n int
	fmt.Sscanf(name, "S%d", &n)
	return fmt.Sprintf("S%d", n)
}
