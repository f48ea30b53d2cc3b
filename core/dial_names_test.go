package core

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"testing"
	"time"

	"anyloop/core/loop/sim"
)

func TestRaceOrderAndFamilies(t *testing.T) {
	in := addrs("10.0.0.1", "10.0.0.2", "10.0.0.3", "fe80::1%1", "::ffff:10.0.0.2", "2001:db8::2", "10.0.0.1")
	for _, c := range []struct {
		family int
		want   []netip.Addr
	}{
		{0, addrs("fe80::1%1", "10.0.0.1", "2001:db8::2", "10.0.0.2", "10.0.0.3")},
		{4, addrs("10.0.0.1", "10.0.0.2", "10.0.0.3")},
		{6, addrs("fe80::1%1", "2001:db8::2")},
	} {
		if got := takeTurns(in, c.family); !slices.Equal(got, c.want) {
			t.Errorf("family %d: %v, want %v", c.family, got, c.want)
		}
	}
}

func TestRaceLiteralsNeedNoLookup(t *testing.T) {
	w := newTrack(t, sim.Options{})
	for host, want := range map[string]string{
		"10.0.0.1": one, "::ffff:10.0.0.1": one, "2001:db8::1": six, "[2001:db8::1]": six,
		"fe80::1%eth0": "[fe80::1%eth0]:80", "[fe80::1%25]": "[fe80::1%25]:80",
	} {
		w.k.Answer(want, sim.Answer{})
		r := w.reach(tcp(host))
		w.k.Drive()
		r.over(0, want, "")
	}
	w.k.Answer("@name", sim.Answer{})
	r := w.reach(target{network: "unix", path: "@name"})
	w.k.Drive()
	r.over(0, "unix:@name", "")
	if n, _ := w.names.count(); n != 0 {
		t.Errorf("%d lookups", n)
	}
	r = w.reach(tcp(""))
	w.k.Drive()
	r.over(0, "", "no host name")
}

func TestRaceLookups(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.names.addrs["good"] = addrs("10.0.0.1")
	w.names.addrs["none"] = nil
	w.k.Answer(one, sim.Answer{})
	w.names.errs["bad"] = []error{errors.New("the file is broken")}
	w.names.errs["bug"] = []error{errPanics}
	for _, c := range []struct{ host, want string }{
		{"good", ""},
		{"nowhere", "lookup nowhere: no such host"},
		{"none", "lookup none: the name has no address that can be used"},
		{"bad", "lookup bad: the file is broken"},
		{"bug", "lookup bug: panic in LookupNetIP: a resolver's bug"},
	} {
		r := w.up(tcp(c.host))
		w.until(c.host, func() bool { return r.calls > 0 })
		peer := ""
		if c.want == "" {
			peer = one
		}
		r.over(0, peer, c.want)
	}
}

func TestRaceLocalhostNeedsNoResolver(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.names.errs["later.LocalHost."] = []error{errLater}
	for _, host := range []string{"localhost", "a.localhost", "later.LocalHost."} {
		w.k.Answer("127.0.0.1:80", sim.Answer{})
		r := w.up(tcp(host))
		w.until(host, func() bool { return r.calls > 0 })
		r.over(0, "127.0.0.1:80", "")
	}
	if got, want := w.went()[:34], "0s [::1]:80, 0s 127.0.0.1:80, 0s ["; got != want {
		t.Errorf("tried %q", got)
	}
	w.names.addrs["localhost"] = addrs("10.0.0.1")
	w.k.Answer(one, sim.Answer{})
	r := w.reach(tcp("localhost"))
	w.until("the resolver's word counts", func() bool { return r.calls > 0 })
	r.over(0, one, "")
}

func TestRaceLookupIsTriedAgainEverySecond(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.names.errs["flaky"] = []error{errLater, context.DeadlineExceeded, errLater}
	w.names.addrs["flaky"] = addrs("10.0.0.1")
	w.k.Answer(one, sim.Answer{})
	r := w.reach(tcp("flaky"))
	for i := range 3 {
		w.until("a failed lookup", func() bool { return w.th.timers.Len() == 1 })
		if asked, _ := w.names.count(); asked != i+1 || r.calls != 0 {
			t.Fatalf("after %v: %d lookups, %d calls", time.Duration(i)*time.Second, asked, r.calls)
		}
		w.k.Advance(time.Second - 1)
		if asked, _ := w.names.count(); asked != i+1 {
			t.Fatal("too early")
		}
		w.k.Advance(1)
	}
	w.until("done", func() bool { return r.calls > 0 })
	r.over(3*time.Second, one, "")

	w.names.errs["flaky"] = []error{errLater}
	r = w.reach(tcp("flaky"))
	w.until("a failed lookup", func() bool { return w.th.timers.Len() == 1 })
	if err := r.cancel(); err == nil || err.Error() != "lookup flaky: server misbehaving" || r.calls != 0 {
		t.Errorf("cancel says %v", err)
	}
	w.idle()
}

func TestRaceCancelBeforeAndDuringTheLookup(t *testing.T) {
	w := newTrack(t, sim.Options{})
	threeAddrs(w)
	r := w.reach(tcp("three"))
	if err := r.cancel(); err != nil {
		t.Errorf("nothing has failed, but %v", err)
	}
	w.idle()
	w.k.Advance(time.Minute)
	if asked, _ := w.names.count(); asked != 0 || r.calls != 0 {
		t.Errorf("%d lookups, %d calls", asked, r.calls)
	}
	w.names.hold = make(chan struct{})
	r = w.reach(tcp("three"))
	w.until("the lookup", func() bool { n, _ := w.names.count(); return n == 1 })
	w.k.Advance(time.Minute)
	if err := r.cancel(); err == nil || err.Error() != "lookup three: no answer yet" {
		t.Errorf("cancel says %v", err)
	}
	w.until("the resolver's return", func() bool { _, n := w.names.count(); return n == 1 })
	w.until("its answer", func() bool { return w.eng.Stats().Posts == 1 })
	w.idle()
	if len(w.k.Attempts()) != 0 || r.calls != 0 {
		t.Error("the answer counted")
	}
}

// TestRaceStopDuringTheLookup: the engine ends as soon as the resolver has
// returned, which the end of its context makes it do.
func TestRaceStopDuringTheLookup(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.names.hold = make(chan struct{})
	r := w.reach(tcp("three"))
	w.until("the lookup", func() bool { n, _ := w.names.count(); return n == 1 })
	w.eng.Stop(time.Second)
	w.until("the end", func() bool { return w.th.end.phase == endOver })
	if _, ended := w.names.count(); ended != 1 || r.calls > 1 {
		t.Errorf("%d lookups have ended, %d calls", ended, r.calls)
	}
	r.cancel()
}

// TestRaceStopWaitsForTheResolver: one that does not look at its context is not
// left behind.
func TestRaceStopWaitsForTheResolver(t *testing.T) {
	w := newTrack(t, sim.Options{})
	deaf := &deafResolver{called: make(chan struct{}), answer: make(chan struct{})}
	w.eng.names.resolver = deaf
	r := w.reach(tcp("three"))
	w.k.Drive()
	<-deaf.called
	r.cancel()
	w.eng.Stop(-1)
	w.k.Advance(time.Minute)
	if w.th.end.phase != endDrained {
		t.Fatalf("phase %d with a lookup running", w.th.end.phase)
	}
	close(deaf.answer)
	w.until("the end", func() bool { return w.th.end.phase == endOver })
}

type deafResolver struct{ called, answer chan struct{} }

func (d *deafResolver) LookupNetIP(context.Context, string, string) ([]netip.Addr, error) {
	close(d.called)
	<-d.answer
	return nil, errLater
}

// TestRaceLookupsAreBounded: Lookups goroutines, WorkQueue waiting, and who comes
// then tries again in a second.
func TestRaceLookupsAreBounded(t *testing.T) {
	w := newTrack(t, sim.Options{})
	w.eng.names.max, w.eng.names.limit = 1, 1
	w.names.hold = make(chan struct{})
	threeAddrs(w)
	var rs []*runner
	for range 3 {
		rs = append(rs, w.reach(tcp("three")))
		w.k.Drive()
	}
	w.until("the lookup", func() bool { n, _ := w.names.count(); return n == 1 })
	w.k.Advance(999 * ms)
	if err := rs[2].cancel(); !errors.Is(err, ErrFull) {
		t.Errorf("the third one: %v", err)
	}
	rs[1].cancel() // it waits for a goroutine, and will not ask
	w.names.addrs["three"] = addrs("10.0.0.1")
	close(w.names.hold)
	w.until("done", func() bool { return rs[0].calls == 1 })
	w.until("the pool is empty", func() bool {
		w.eng.names.mu.Lock()
		defer w.eng.names.mu.Unlock()
		return w.eng.names.running == 0
	})
	if n, _ := w.names.count(); n != 1 {
		t.Errorf("%d lookups", n)
	}
	w.until("posts", func() bool { return w.eng.Stats().Posts == 2 })
	w.idle()
}
