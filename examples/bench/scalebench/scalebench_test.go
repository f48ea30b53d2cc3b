//go:build linux

package scalebench

import (
	"os"
	"strings"
	"testing"
	"time"

	"anyloop/examples/bench/internal/peer"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/stormbench/crowd"
)

func TestMain(m *testing.M) {
	proc.Main(map[string]proc.Role{"peer": peer.Role, "crowd": crowd.Role, "counted": Role})
	os.Exit(m.Run())
}

// TestScale: the command checks itself; this runs it small.
func TestScale(t *testing.T) {
	o := options{servers: counted + ";gnet", levels: "200,400", idle: 50 * time.Millisecond, patience: time.Minute}
	var b strings.Builder
	err := o.print(&b)
	// With so few connections a thread that Go's runtime starts meanwhile shows in the
	// heap of each, and a signal to one among turns: but not every time.
	for range 2 {
		if err == nil || !strings.Contains(err.Error(), "of the heap") && !strings.Contains(err.Error(), "turns of the loop") {
			break
		}
		b.Reset()
		err = o.print(&b)
	}
	if err != nil && !(raceEnabled && strings.Contains(err.Error(), "of the heap")) {
		t.Fatal(err)
	}
	for _, row := range []string{"| " + counted + " | 0 | ", "| " + counted + " | 400 | ", "| gnet | 200 | "} {
		if !strings.Contains(b.String(), row) {
			t.Errorf("no row that begins with %q:\n%s", row, &b)
		}
	}
}

// TestFlatNotices: that connections cost more where there are more of them.
func TestFlatNotices(t *testing.T) {
	if err := flat([]level{{conns: 1000, heap: 285}, {conns: 10_000, heap: 290}}); err != nil {
		t.Error(err)
	}
	if err := flat([]level{{conns: 1000, heap: 285}, {conns: 10_000, heap: 330}}); err == nil {
		t.Error("growth is not noticed")
	}
}

func TestLevels(t *testing.T) {
	for _, s := range []string{"", "x", "0", "2,1", "1,1"} {
		if _, err := parseLevels(s); err == nil {
			t.Errorf("%q is accepted", s)
		}
	}
}
