package main

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"anyloop/core/flate"
	"anyloop/core/ws"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func small() *options {
	return &options{rounds: 2, slice: 20 * time.Millisecond, conns: 150, bomb: 96 << 20, loop: "poll",
		self: func() *exec.Cmd { return exec.Command(os.Args[0]) }}
}

// TestMessages: they have their size, are text, differ, and come again the same.
func TestMessages(t *testing.T) {
	a, b, seen := messages(3, 500, 256), messages(3, 500, 256), map[string]bool{}
	for i, m := range a {
		var u ws.UTF8
		if len(m) != 256 || !u.Add(m) || !u.Complete() || string(m) != string(b[i]) || seen[string(m)] {
			t.Fatalf("message %d: %q", i, m)
		}
		seen[string(m)] = true
	}
}

// TestCPU: every connection's answers are compared, all are compressed, and small.
// How long it takes is nobody's promise.
func TestCPU(t *testing.T) {
	for i, row := range []cpuRow{
		{"busy", shape{8, 8, 1, 256, 1}, 12, true, 0},
		{"in turn", shape{100, 10, 1, 256, 1}, 9, true, 0},
		{"deep", shape{8, 4, 8, 256, 1}, 15, true, 0},
		{"no takeover", shape{8, 8, 2, 256, 1}, 12, false, 0},
	} {
		if raceEnabled && i > 0 {
			break // one of them shows whether there is a race
		}
		t.Run(row.name, func(t *testing.T) {
			side, err := newSide(small(), serverConfig{}, row.shape, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer side.stop()
			if l := side.load; l.zipped != 0 || l.checked() != int(l.msgsIn) || l.msgsIn < int64(row.shape.conns) {
				t.Errorf("plain: %d compared of %d, %d compressed", l.checked(), l.msgsIn, l.zipped)
			}
			r, err := compare(small(), i, row)
			if err != nil {
				t.Fatal(err)
			}
			if r.checked < row.shape.conns*(1<<row.bits)/256 {
				t.Errorf("%d answers compared", r.checked)
			}
			most := 215.
			if row.takeover {
				most = 145
			}
			if r.in > most || r.out > most {
				t.Errorf("%.0f bytes in, %.0f out", r.in, r.out)
			}
		})
	}
}

// TestCheckerNotices: an answer that is another message is not taken.
func TestCheckerNotices(t *testing.T) {
	msgs := messages(1, 2, 256)
	var tables flate.Tables
	c := &checker{buf: make([]byte, 0, 257)}
	if err := c.add(&tables, &ws.Event{Payload: msgs[0], Final: true}, msgs); err != nil {
		t.Fatal(err)
	}
	if err := c.add(&tables, &ws.Event{Payload: msgs[0], Final: true}, msgs); err != errContent {
		t.Fatalf("the first message again: %v", err)
	}
}

// TestMemory: connections keep exactly their windows, nothing without takeover,
// and what they cost besides is little.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	plain, err := memoryRows[0].measure(small())
	if err != nil {
		t.Fatal(err)
	}
	if plain.kept != 0 || plain.tools != 0 {
		t.Errorf("without compression: %+v", plain)
	}
	for _, row := range memoryRows[1:] {
		f, err := row.measure(small())
		if err != nil {
			t.Fatal(err)
		}
		want := 0
		if row.takeover {
			want = 2 << row.bits
		}
		// Of so few connections each has a share of what the process allocates meanwhile.
		if more := f.heap - plain.heap; f.kept != want || more < want || more > want+8<<10 {
			t.Errorf("%s: %+v, without compression %+v", row.name, f, plain)
		}
		if most := 160<<10 + 16*9<<row.bits; f.tools == 0 || f.tools > most {
			t.Errorf("%s: tools of %d bytes, more than %d", row.name, f.tools, most)
		}
	}
}

// TestSize: with the same window, within 10 % of the standard library's level 6;
// with an eighth of it, within 30 %.
func TestSize(t *testing.T) {
	n := 4000
	if raceEnabled {
		n = 500
	}
	msgs := messages(1, n, 256)
	for _, takeover := range []bool{true, false} {
		std, err := stdSize(msgs, takeover)
		if err != nil {
			t.Fatal(err)
		}
		for bits, most := range map[int]int{15: 110, 12: 130} {
			if got := ourSize(msgs, bits, takeover); got*100 > std*most {
				t.Errorf("takeover %t, window of %d bits: %d bytes, compress/flate %d", takeover, bits, got, std)
			}
		}
	}
}

// TestBomb: each limit ends it with 1009, no byte beyond it is delivered, and the
// memory that it takes has nothing to do with its size.
func TestBomb(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own, and makes this take a minute")
	}
	o := small()
	want := []struct {
		code            int
		received, alloc int64
	}{{1009, 0, 8 << 20}, {1009, 64 << 20, 2 << 20}, {1009, 200 << 10, 2 << 20}, {1000, o.bomb, 2 << 20}}
	for i, row := range bombRows() {
		b, err := row.explode(o)
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		w := want[i]
		exact := i != 2
		if b.code != w.code || exact && b.received != w.received || b.received > w.received || b.allocated > w.alloc {
			t.Errorf("%s: %+v", row.name, b)
		}
	}
}

// TestPrint: the smallest of each table.
func TestPrint(t *testing.T) {
	if raceEnabled {
		t.Skip("the standard library alone takes half a minute")
	}
	var b strings.Builder
	if err := printSize(&b, small()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 11 {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}
