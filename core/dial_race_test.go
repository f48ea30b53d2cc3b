package core

import (
	"errors"
	"net/netip"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core/loop"
	"anyloop/core/loop/sim"
)

func TestRaceAttemptsOverlap(t *testing.T) {
	w := newTrack(t, sim.Options{})
	threeAddrs(w)
	w.k.Answer(six, sim.Answer{Silent: true})
	w.k.Answer(one, sim.Answer{After: 400 * ms})
	w.k.Answer(two, sim.Answer{After: 300 * ms})
	r := w.up(tcp("three"))
	w.k.Advance(650*ms - 1)
	if w.k.Watched() != 4 || r.calls != 0 {
		t.Errorf("%d descriptors are watched while three attempts run", w.k.Watched())
	}
	before := w.eng.Stats()
	w.k.Advance(1)
	if got := w.went(); got != each {
		t.Errorf("tried %s\nwant  %s", got, each)
	}
	for i, a := range w.k.Attempts() {
		if a.Peer.Gone() != (a.Address != one) {
			t.Errorf("attempt %d: closed %v", i, a.Peer.Gone())
		}
	}
	after := w.eng.Stats()
	if a, d, c := after.Adds-before.Adds, after.Dels-before.Dels, after.Changes-before.Changes; a != 0 || d != 2 || c != 1 {
		t.Errorf("the end cost %d Add, %d Del, %d Change; want 0, the losers' 2, the winner's 1", a, d, c)
	}
	r.over(650*ms, one, "")
	w.k.Advance(time.Second) // the second address would have answered
	if r.calls != 1 {
		t.Error("done again")
	}
}

func TestRaceGoesOnAtOnceAfterAFailure(t *testing.T) {
	w := newTrack(t, sim.Options{})
	threeAddrs(w)
	w.k.Answer(six, sim.Answer{Err: syscall.ENETUNREACH, Now: true})
	w.k.Answer(one, sim.Answer{Err: syscall.ECONNREFUSED, After: 100 * ms})
	w.k.Answer(two, sim.Answer{After: 700 * ms})
	r := w.up(tcp("three"))
	w.k.Advance(time.Second)
	if got, want := w.went(), "0s "+six+", 0s "+one+", 100ms "+two; got != want {
		t.Errorf("tried %s\nwant  %s", got, want)
	}
	r.over(800*ms, two, "")
}

func TestRaceAllRefuse(t *testing.T) {
	for _, now := range []bool{false, true} {
		w := newTrack(t, sim.Options{})
		threeAddrs(w)
		w.k.Answer(six, sim.Answer{Err: syscall.EHOSTUNREACH, Now: now})
		w.k.Answer(one, sim.Answer{Err: syscall.ECONNREFUSED, Now: now})
		w.k.Answer(two, sim.Answer{Err: syscall.ETIMEDOUT, Now: now})
		r := w.up(tcp("three"))
		w.k.Drive()
		r.over(0, "", "connect [2001:db8::1]:80: no route to host; connect 10.0.0.1:80: connection refused; connect 10.0.0.2:80: connection timed out")
		for _, e := range []error{syscall.EHOSTUNREACH, syscall.ECONNREFUSED, syscall.ETIMEDOUT} {
			if !errors.Is(r.err, e) {
				t.Errorf("%v is not found in it", e)
			}
		}
	}
}

func TestRaceNamesAtMostEightAttempts(t *testing.T) {
	w := newTrack(t, sim.Options{})
	a := netip.MustParseAddr("10.1.0.0")
	for range 500 {
		a = a.Next()
		w.names.addrs["many"] = append(w.names.addrs["many"], a)
	}
	before := w.k.Counts().Turns
	r := w.up(tcp("many"))
	w.k.Drive()
	if n := len(w.k.Attempts()); n != 500 || w.k.Counts().Turns-before < 500 {
		t.Errorf("%d attempts in %d turns: all, and one at a time", n, w.k.Counts().Turns-before)
	}
	if r.calls != 1 || strings.Count(r.err.Error(), "connect ") != 8 || !strings.HasSuffix(r.err.Error(), "; and 492 more") {
		t.Errorf("%v", r.err)
	}
	w.idle()
}

func TestRaceFamilyAndLocalAddress(t *testing.T) {
	w := newTrack(t, sim.Options{})
	threeAddrs(w)
	for _, a := range []string{six, one} {
		w.k.Answer(a, sim.Answer{})
	}
	to := tcp("three")
	to.laddr, to.lport, to.iface = netip.MustParseAddr("::ffff:10.0.0.9"), 1234, "eth7"
	r := w.up(to)
	w.k.Drive()
	r.over(0, one, "")
	want := loop.ConnectTo{Network: "tcp", Address: one, LocalAddr: "10.0.0.9", LocalPort: 1234, Interface: "eth7"}
	if got := w.k.Attempts()[0].ConnectTo; got != want || w.names.asked[0] != "ip4 three" {
		t.Errorf("%+v, asked for %v", got, w.names.asked)
	}
	to = tcp("2001:db8::1")
	to.family = 4
	r = w.up(to)
	w.k.Drive()
	r.over(0, "", "lookup 2001:db8::1: the name has no address that can be used")
}

func TestRaceDelay(t *testing.T) {
	for _, c := range []struct {
		delay time.Duration
		want  string
	}{
		{100 * ms, "0s " + six + ", 100ms " + one + ", 200ms " + two},
		{1, "0s " + six + ", 10ms " + one + ", 20ms " + two},
		{-1, "0s " + six + ", 600ms " + one},
	} {
		w := newTrack(t, sim.Options{})
		threeAddrs(w)
		w.k.Answer(six, sim.Answer{After: 600 * ms, Err: syscall.ECONNREFUSED})
		w.k.Answer(one, sim.Answer{Silent: true})
		w.k.Answer(two, sim.Answer{Silent: true})
		to := tcp("three")
		to.delay = c.delay
		r := w.up(to)
		w.k.Advance(time.Minute)
		if got := w.went(); got != c.want {
			t.Errorf("delay %v: tried %s\nwant %s", c.delay, got, c.want)
		}
		if err := r.cancel(); r.calls != 0 || err == nil || !strings.HasSuffix(err.Error(), one+": no answer yet") && c.delay < 0 {
			t.Errorf("%d calls, %v", r.calls, err)
		}
		w.idle()
	}
}

func TestRaceOutOfDescriptors(t *testing.T) {
	w := newTrack(t, sim.Options{Files: 2})
	threeAddrs(w)
	w.k.Answer(six, sim.Answer{After: 600 * ms, Err: syscall.ECONNREFUSED})
	r := w.up(tcp("three"))
	w.k.Advance(time.Second)
	r.over(600*ms, "", "connect 10.0.0.1:80: too many open files; connect 10.0.0.2:80: too many open files; connect [2001:db8::1]:80: connection refused")
	w.k.SetFileLimit(1)
	r = w.reach(tcp("10.0.0.1"))
	w.k.Drive()
	if !errors.Is(r.err, syscall.EMFILE) || r.calls != 1 {
		t.Errorf("%v", r.err)
	}
	w.idle()
}

// TestRaceChaos runs many races at a time over a loop that says what it likes, and
// cancels some: each ends once, by what its addresses do, and nothing is left.
func TestRaceChaos(t *testing.T) {
	for seed := range uint64(40) {
		w := newTrack(t, sim.Options{Seed: seed, Chaos: true})
		threeAddrs(w)
		w.k.Answer(six, sim.Answer{After: 600 * ms, Err: syscall.ECONNREFUSED})
		w.k.Answer(one, sim.Answer{After: 400 * ms})
		w.k.Answer(two, sim.Answer{After: 300 * ms, Err: syscall.ECONNREFUSED})
		var rs []*runner
		for i := range 20 {
			if i%3 == 0 {
				rs = append(rs, w.reach(tcp("three")))
			} else {
				rs = append(rs, w.reach(tcp([]string{"", "10.0.0.1", "10.0.0.2"}[i%3])))
			}
		}
		w.until("the lookups", func() bool { _, n := w.names.count(); return n == 7 && w.eng.Stats().Posts == 7 })
		w.k.Advance(350 * ms)
		for i, r := range rs {
			if i%5 == 0 {
				r.cancel()
			}
		}
		w.k.Advance(time.Second)
		for i, r := range rs {
			switch want := []time.Duration{650 * ms, 400 * ms, 300 * ms}[i%3]; {
			case i%5 == 0 && i%3 != 2 && r.calls != 0:
				t.Errorf("seed %d, %d: done was called after cancel", seed, i)
			case i%5 != 0 && (r.calls != 1 || r.at != want || (r.err != nil) != (i%3 == 2)):
				t.Errorf("seed %d, %d: %d calls, at %v, want %v, %v", seed, i, r.calls, r.at, want, r.err)
			}
			if r.own != nil {
				r.own.doom(nil)
				w.th.buryLink(r.own)
			}
		}
		w.idle()
	}
}

// TestRaceReachesOurselves: a listener of the same kernel.
func TestRaceReachesOurselves(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.eng.Stop(-1)
	w.k.Drive()
	eng, err := New(Config{Backend: w.k, VHosts: []VHost{{Addr: one, Protocols: []Protocol{{Name: "h", HTTP: HTTPFunc(func(_ *Conn, _ *Request, hw *HTTPWriter) error {
		return hw.Respond(200, nil, []byte("hello"))
	})}}}}})
	if err != nil {
		t.Fatal(err)
	}
	w.eng, w.th = eng, eng.Thread(0)
	r := w.reach(tcp("10.0.0.1"))
	w.k.Drive()
	if r.calls != 1 || r.err != nil || eng.Stats().Conns != 1 {
		t.Fatalf("%d calls, %v, %d conns", r.calls, r.err, eng.Stats().Conns)
	}
	w.k.Write(int(r.own.fd), []byte("GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"), nil)
	w.k.Drive()
	got := r.own.role.(*takerRole)
	if s := string(got.got); !strings.HasPrefix(s, "HTTP/1.1 200 ") || !strings.HasSuffix(s, "hello") || !got.end {
		t.Errorf("%q, end %v", s, got.end)
	}
	r.own.doom(nil)
	w.th.buryLink(r.own)
	w.k.Drive()
	if n := eng.Stats().Conns; n != 0 {
		t.Errorf("%d conns are left", n)
	}
	r = w.reach(target{network: "tcp", host: "10.0.0.1", port: 81})
	w.k.Drive()
	if !errors.Is(r.err, syscall.ECONNREFUSED) {
		t.Errorf("nobody listens there, but %v", r.err)
	}
}

// muteKernel never says how a connection came out.
type muteKernel struct{ *sim.Kernel }

func (muteKernel) Connected(int) error { return syscall.EINPROGRESS }

// TestRaceHungUpIsOver: an attempt that the system reports as over, without saying
// how, is not asked for ever.
func TestRaceHungUpIsOver(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.th.kernel = muteKernel{w.k}
	w.k.Answer(one, sim.Answer{Err: syscall.ECONNREFUSED})
	r := w.reach(tcp("10.0.0.1"))
	w.k.Drive()
	r.over(0, "", "connect 10.0.0.1:80: "+syscall.ENOTCONN.Error())
}
