// Package e2e is the end-to-end suite for loop backends: real clients over real
// sockets against a whole engine, the same cases over every backend and number
// of service threads. looptest asks whether a backend keeps the contract with
// core; this asks whether what users build on top works.
//
//	func TestMyLoop(t *testing.T) {
//		newHost := func(t testing.TB, threads int) e2e.Host {
//			return e2e.Host{Backend: myloop.Backend()}
//		}
//		e2e.Run(t, 1, newHost)
//		e2e.Run(t, 2, newHost)
//		e2e.RunTLS(t, []int{1, 2}, newHost) // once more over TLS
//	}
//
// Over TLS the cases are the same, but for those of which PlainOnly says why not,
// and there are more, about TLS itself. A backend's limits hold on every wire.
//
// What a backend cannot do is declared in Host.Limits and held against it: what
// is said to be refused must be refused, with that error; where a substitute is
// declared, the substitute is tested. Every handler of every case runs behind a
// guard: callbacks of one conn never overlap, a conn never changes its thread,
// nothing comes after Closed, and Closed comes once. After every case the
// process has the descriptors and goroutines that it had before.
package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
)

// Bound is how long the suite waits for something that must happen: far longer
// than it takes, since only a hang needs it.
const Bound = time.Minute

// Host is a backend and how to turn its loop.
type Host struct {
	// Backend is a fresh backend for one engine.
	Backend loop.Backend
	// Run turns the loops until the engine has ended, or has been detached;
	// the end of ctx stops the engine with the default grace. nil: Engine.Run.
	Run func(ctx context.Context, eng *core.Engine) error
	// Addr tells where a vhost can be reached; nil: VirtualHost.Addr. It is
	// called after core.New and again until it is not "", at most for Bound.
	Addr func(eng *core.Engine, vhost string) string
	// Listen is the address that vhosts are given; default "127.0.0.1:0".
	Listen string
	// Held is the most that engine and core together keep in memory of one
	// connection, per direction, in bytes; default 256 KiB.
	Held int
	// Bound is how long to wait for what must happen; default Bound.
	Bound time.Duration
	// Wire is what the engine and its peers speak; default Plain.
	Wire Wire
	// Limits declares, by case, what the backend does not do.
	Limits map[string]Result
	// Err, if set, is why there is no such host: the case "threads" is then
	// refused with it, and the other cases cannot be had.
	Err error
}

// Verdict is how a case ended.
type Verdict uint8

const (
	// Yes: the case holds.
	Yes Verdict = iota
	// Instead: a substitute for it holds.
	Instead
	// Refused: the backend says no with an error.
	Refused
	// Lacks: the question does not arise, or cannot be asked.
	Lacks
)

// String returns the verdict as the tables have it.
func (v Verdict) String() string {
	return [...]string{"yes", "instead", "refused", "n.a."}[v&3]
}

// Result is a verdict, and why it is not Yes.
type Result struct {
	Verdict Verdict
	Why     string
}

// String returns "yes", or the verdict and why.
func (r Result) String() string {
	if r.Why == "" {
		return r.Verdict.String()
	}
	return r.Verdict.String() + ": " + r.Why
}

// Refuses declares that a case is refused with an error that contains text.
func Refuses(text string) Result { return Result{Refused, text} }

// Does declares that instead of a case's demand something else holds, which the
// case tests; why says what.
func Does(why string) Result { return Result{Instead, why} }

// Has declares that a case cannot be asked of the backend.
func Has(why string) Result { return Result{Lacks, why} }

// Results are the results of a run by case.
type Results map[string]Result

// kase is one case. run returns what the backend refused, nil if all holds;
// what does not hold it reports to s.t.
type kase struct {
	name    string
	shows   string // for tables
	run     func(s *scene) error
	instead func(s *scene) error // what must hold where the case cannot
}

var cases = []kase{
	{"threads", "connections spread over all service threads, and stay", threads, nil},
	{"ws-echo", "text and binary, 0 B to 1 MiB, 16 in flight", wsEcho, nil},
	{"ws-fragments", "fragments both ways with Pings between, cut anywhere", wsFragments, nil},
	{"ws-flow", "Pause closes the sender's window, Resume gives all in order", wsFlow, wsFlowInstead},
	{"ws-slow-reader", "1 GiB for a peer that does not read costs a bounded part", wsSlowReader, wsSlowReaderInstead},
	{"ws-close", "closing handshakes either way, and the ways to end without", wsClose, nil},
	{"ws-limits", "CloseTimeout, PingInterval, timers of handlers", wsLimits, nil},
	{"dial", "clients in the loop: open, echo compressed, close, fail, drop", dialling, nil},
	{"dial-where", "clients by address, name and unix socket; either side closes", dialWhere, nil},
	{"dial-ends", "clients of servers that do not answer, and given up anywhere", dialEnds, nil},
	{"dial-flow", "Pause closes the server's window, Resume gives all in order", dialFlow, nil},
	{"dial-detach", "clients on their way survive a change of loop", dialDetach, nil},
	{"dial-stop", "Stop ends twenty clients that are underway", dialStop, nil},
	{"http", "keep-alive, bodies, pipelining, Connection: close", httpKeepAlive, nil},
	{"http-files", "whole, ranges, HEAD, 404, pipelined", httpFiles, nil},
	{"http-slow-file", "16 MiB to a slow client, in bounded memory", httpSlowFile, nil},
	{"http-half-close", "an answer after the client has sent its end of stream", httpHalfClose, httpHalfCloseInstead},
	{"http-limits", "HandshakeTimeout ends a silent connection", httpLimits, nil},
	{"raw-echo", "bytes of no protocol of ours, 1 MiB, and our end behind them", rawEchoing, nil},
	{"raw-fallback", "HTTP, WebSockets, and what is neither, on one port", rawFallback, nil},
	{"raw-half-close", "an answer after the peer has sent its end of stream", rawHalfClose, rawHalfCloseInstead},
	{"wake", "Wake from four goroutines reaches every thread", wake, nil},
	{"post", "Post, Conn.Post and SendFrom keep their order", post, nil},
	{"panic", "a panic costs one connection", panics, nil},
	{"churn", "clients come and go in every way, and the neighbours do not notice", churn, nil},
	{"capacity", "at MaxConns others wait, and get in later", capacity, capacityInstead},
	{"add-vhost", "a vhost comes and goes on an address of its own", addVHost, nil},
	{"adopt-file", "pipes in the loop: read, write, pause, close", adoptFile, nil},
	{"detach", "connections survive a change of loop", detach, nil},
	{"cancel", "the end of Run's context is an orderly Stop", cancelled, nil},
	{"shutdown", "Stop says 1001, waits for the peers, leaves nothing", shutdown, nil},
}

// Cases returns the names of the cases.
func Cases() []string {
	var all []string
	for _, k := range slices.Concat(cases, tlsCases) {
		all = append(all, k.name)
	}
	return all
}

// Shows returns what a case shows, in a few words.
func Shows(name string) string { return find(name).shows }

func find(name string) kase {
	for _, k := range slices.Concat(cases, tlsCases) {
		if k.name == name {
			return k
		}
	}
	return kase{}
}

// Run runs every case that is asked without TLS as a subtest, each over a fresh
// host with that many service threads, and returns how they ended.
func Run(t *testing.T, threads int, newHost func(t testing.TB, threads int) Host) Results {
	t.Helper()
	Warm(t, threads, newHost)
	all := Results{}
	for _, name := range Cases() {
		if Wires(name)[0] != Plain {
			continue
		}
		t.Run(name, func(t *testing.T) { all[name] = RunCase(t, name, threads, newHost) })
	}
	return all
}

// Warm runs an engine over a host and ends it: libraries make some things once
// and keep them (libuv: a pipe), which is no leak of a case. Run does it by
// itself; before the first RunCase it is the caller's to do.
func Warm(t testing.TB, threads int, newHost func(t testing.TB, threads int) Host) {
	t.Helper()
	s := &scene{t: t, threads: max(threads, 1), newHost: newHost}
	s.host = newHost(t, s.threads).or()
	if s.up(echoing(), core.Limits{}) == nil { // else the cases say what is wrong
		s.ws()
	}
	s.finish()
}

// RunCase runs one case. A result that differs from what the host declares is an
// error of t.
func RunCase(t testing.TB, name string, threads int, newHost func(t testing.TB, threads int) Host) (res Result) {
	t.Helper()
	k := find(name)
	if k.run == nil {
		t.Fatalf("e2e: no case %s", name)
	}
	before := settledStock()
	s := &scene{t: t, threads: max(threads, 1), newHost: newHost}
	defer func() {
		s.finish()
		before.compare(t, s.host.Bound)
	}()
	s.host = newHost(t, s.threads).or()
	declared, limited := s.host.Limits[name]
	if !slices.Contains(Wires(name), s.host.Wire) {
		t.Fatalf("e2e: %s is not asked over %v", name, s.host.Wire)
	}
	if why := s.unavailable(name); why != "" {
		return Result{Lacks, why}
	}
	run := k.run
	switch {
	case declared.Verdict == Lacks && limited:
		return declared
	case declared.Verdict == Instead:
		if run = k.instead; run == nil {
			t.Fatalf("e2e: there is no substitute for %s", name)
		}
	}
	return judge(t, declared, run(s))
}

// unavailable says why a case cannot be asked of a host without its threads.
func (s *scene) unavailable(name string) string {
	if name == "threads" {
		return ""
	}
	if s.host.Err != nil {
		return s.host.Err.Error()
	}
	if r, ok := s.host.Limits["threads"]; ok && s.threads > 1 {
		return r.Why
	}
	return ""
}

// judge holds what happened against what was declared.
func judge(t testing.TB, declared Result, err error) Result {
	t.Helper()
	var na *notApplicable
	switch {
	case errors.As(err, &na):
		return Result{Lacks, na.why}
	case err == nil && declared.Verdict == Refused:
		t.Errorf("works, though it is declared to be refused: %s", declared.Why)
		return Result{Verdict: Yes}
	case err == nil:
		return declared
	case declared.Verdict != Refused:
		t.Errorf("refused, which the host does not declare: %v", err)
	case !strings.Contains(err.Error(), declared.Why):
		t.Errorf("refused with %q; declared is %q", err, declared.Why)
	}
	return Result{Refused, declared.Why}
}

// notApplicable is returned by a case that a kind of backend is not asked.
type notApplicable struct{ why string }

func (e *notApplicable) Error() string { return "e2e: not applicable: " + e.why }

// or fills in the defaults.
func (h Host) or() Host {
	if h.Run == nil {
		h.Run = func(ctx context.Context, eng *core.Engine) error { return eng.Run(ctx) }
	}
	if h.Addr == nil {
		h.Addr = func(eng *core.Engine, vhost string) string {
			if vh := eng.VHost(vhost); vh != nil {
				return vh.Addr()
			}
			return ""
		}
	}
	if h.Listen == "" {
		h.Listen = "127.0.0.1:0"
	}
	if h.Bound == 0 {
		h.Bound = Bound
	}
	if h.Held == 0 {
		h.Held = 256 << 10
	}
	return h
}

// failed makes an error of a check in a goroutine that must not end the test.
func failed(format string, args ...any) error { return fmt.Errorf(format, args...) }
