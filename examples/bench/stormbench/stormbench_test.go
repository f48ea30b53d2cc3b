//go:build linux

package stormbench

import (
	"os"
	"strings"
	"testing"
	"time"

	"anyloop/examples/bench/internal/peer"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/stormbench/crowd"
	"anyloop/examples/bench/stormbench/target"
)

func TestMain(m *testing.M) {
	proc.Main(map[string]proc.Role{"peer": peer.Role, "crowd": crowd.Role})
	os.Exit(m.Run())
}

func small() *options {
	return &options{
		servers: "ours-poll,gnet", rounds: 1, steady: 10, rate: 500, quiet: 50 * time.Millisecond, storm: 300, parallel: 100,
		conns: 8, full: 50 * time.Millisecond, open: 50 * time.Millisecond, greed: 100 * time.Millisecond, patience: time.Minute,
	}
}

// TestStorms: a row for each server and weather, with echoes in it; the commands
// check the rest themselves.
func TestStorms(t *testing.T) {
	var b strings.Builder
	if err := small().printStorms(&b); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"ours-poll", "gnet"} {
		for _, what := range weather {
			if !strings.Contains(b.String(), "| "+name+" | "+what+" | ") {
				t.Errorf("no row of %s, %s", name, what)
			}
		}
	}
	t.Logf("%s", &b)
}

// TestLatency: the greedy get something, and the others, too.
func TestLatency(t *testing.T) {
	o := small()
	b, err := target.NewBuilder()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	for _, name := range strings.Split(o.servers, ",") {
		l := newLoaded()
		if err := o.load(b, name, &l); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if l.messages < o.conns || l.messages != l.full.Count() || l.open.took.Count() < 10 {
			t.Errorf("%s: %d messages at full load, %d counted, %d on a schedule", name, l.messages, l.full.Count(), l.open.took.Count())
		}
		for i, g := range greeds {
			if l.greedy[i] < g.size || l.beside[i].took.Count() < 10 {
				t.Errorf("%s: %d bytes of %s, %d messages beside it", name, l.greedy[i], g.name, l.beside[i].took.Count())
			}
		}
	}
}

// TestDuringNotices: echoes that begin after what is to be measured do not count for
// it.
func TestDuringNotices(t *testing.T) {
	o := small()
	b, err := target.NewBuilder()
	if err != nil {
		t.Fatal(err)
	}
	defer b.Close()
	s, err := b.Start("gnet")
	if err != nil {
		t.Fatal(err)
	}
	defer s.Stop()
	c, err := o.startSteady(b, s, o.steady)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Stop()
	early := func() (crowd.Span, error) { return crowd.Span{From: 1, To: crowd.Now()}, nil }
	if err := o.during(c, early, &times{}); err == nil {
		t.Error("not noticed")
	}
}

func TestUnknownServer(t *testing.T) {
	o := small()
	o.servers = "ours-none"
	if err := o.printStorms(&strings.Builder{}); err == nil {
		t.Error("accepted")
	}
}
