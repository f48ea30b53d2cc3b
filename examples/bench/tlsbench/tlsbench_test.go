//go:build linux

package tlsbench

import (
	"os"
	"strings"
	"testing"
	"time"

	"anyloop/examples/bench/internal/load"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/serve"
)

func TestMain(m *testing.M) {
	proc.Main(map[string]proc.Role{"serve": serve.Role, "load": load.Role})
	os.Exit(m.Run())
}

func small() *options {
	return &options{rounds: 1, procs: 1, slice: 20 * time.Millisecond, conns: 400, storm: 500 * time.Millisecond}
}

// within fails unless got is at most most and 15 % of it, and more than a third.
func within(t *testing.T, what string, got, most int) {
	t.Helper()
	if got > most*115/100 || got < most/3 {
		t.Errorf("%s: %d bytes, expected %d", what, got, most)
	}
}

// footprints of ours, as they were last looked at: idle, after 16 KiB, half a hello.
var ours = map[string][3]int{
	plainOurs.name: {7350, 23800, 290},
	lendOurs.name:  {3780, 3850, 290},
}

// TestMemory: our connections stay within the goals and have no goroutine, and the
// peers have one each.
func TestMemory(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector has memory of its own")
	}
	for _, row := range memoryRows {
		f, err := row.measure(small())
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		want := 1.
		if is, ok := ours[row.name]; ok {
			want = 0
			within(t, row.name+", idle", f.idle.all(), is[0])
			within(t, row.name+", after 16 KiB", f.after.all(), is[1])
			within(t, row.name+", half a hello", f.half.all(), is[2])
		}
		for what, got := range map[string]float64{"idle": f.idle.goroutines, "half a hello": f.half.goroutines} {
			if got < want-0.02 || got > want+0.02 {
				t.Errorf("%s, %s: %.3f goroutines for each connection", row.name, what, got)
			}
		}
		if row.c.Kind != serve.Ours && f.idle.stack < 2<<10 {
			t.Errorf("%s: %d bytes of stack are not seen", row.name, f.idle.stack)
		}
	}
}

// TestNothingIsLeft: when all clients have gone a server is what it was.
func TestNothingIsLeft(t *testing.T) {
	for _, srv := range []server{plainOurs, lendOurs} {
		s, before, err := memoryRow{server: srv}.start(small())
		if err != nil {
			t.Fatal(err)
		}
		ask := func(what string, arg any) {
			t.Helper()
			if err := s.load.Ask(what, arg, nil); err != nil {
				t.Error(err)
			}
		}
		ask("open", 300)
		ask("echo", load.Echo{Size: 16 << 10, Depth: 2, Rounds: 2})
		ask("half", 100)
		ask("shake", load.Shake{Count: 50, Parallel: 4})
		ask("close", nil)
		if err := s.settle(0); err != nil {
			t.Error(err)
		}
		after, err := s.memory()
		if err != nil {
			t.Error(err)
		}
		for end := time.Now().Add(time.Minute); err == nil && after.Goroutines > before.Goroutines && time.Now().Before(end); {
			after, err = s.memory() // one may be on its way out yet
		}
		st := after.Stats
		if after.Goroutines > before.Goroutines || st.Shaking != 0 || st.Adds-st.Dels != before.Stats.Adds-before.Stats.Dels-warm {
			t.Errorf("%s: %d goroutines, %d before; %d handshakes; %d descriptors in the loop", srv.name,
				after.Goroutines, before.Goroutines, st.Shaking, st.Adds-st.Dels)
		}
		if more := int(after.Heap) - int(before.Heap); !raceEnabled && more > 200<<10 {
			t.Errorf("%s: %d bytes of 450 connections are left", srv.name, more)
		}
		if err := s.stop(); err != nil {
			t.Error(err)
		}
	}
}

// TestShakes: both servers complete what the client does, resume all that are to be
// resumed, and a handshake of ours costs exactly these calls.
func TestShakes(t *testing.T) {
	for _, row := range shakeRows {
		r, err := row.compare(small())
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		want := 0
		if row.Resume {
			want = r.made
		}
		if r.made == 0 || r.resumed != want {
			t.Errorf("%s: %d made, %d resumed", row.name, r.made, r.resumed)
		}
		if c := r.cost; c.adds != 1 || c.deletes != 1 || c.changes != 0 {
			t.Errorf("%s: %v registrations, %v removals and %v changes of interest", row.name, c.adds, c.deletes, c.changes)
		}
		// hello, Finished, close_notify, the end: what comes together is read together.
		if c := r.cost; c.reads < 2 || c.reads > 4 || c.writes < 2 || c.writes > 3 {
			t.Errorf("%s: %v reads, %v writes", row.name, c.reads, c.writes)
		}
	}
}

// TestEchoes: every message comes back, from all servers, by one read and one write
// of ours for each burst, and without an allocation if buffers are lent.
func TestEchoes(t *testing.T) {
	for _, row := range echoRows {
		row.conns = min(row.conns, 100)
		all, err := row.compare(small())
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		for i, e := range all {
			if e.messages < row.conns*row.Depth {
				t.Errorf("%s, %s: %d messages", row.name, e.name, e.messages)
			}
			if raceEnabled || e.c.Kind != serve.Ours || row.Size > 1<<10 {
				continue
			}
			most := 1.03 / float64(row.Depth) // crypto/tls makes one for each read
			if e.c.Lend {
				most = 0.03
			}
			// Collections and the questions themselves allocate, too.
			if e.allocs > most+0.02 {
				t.Errorf("%s, %s: %.3f allocations per message", row.name, all[i].name, e.allocs)
			}
			if want := 2 / float64(row.Depth); e.calls < want*0.99 || e.calls > want*1.1 {
				t.Errorf("%s, %s: %.3f reads and writes per message, not %.3f", row.name, e.name, e.calls, want)
			}
		}
	}
}

// TestStorm: nothing is lost in it, and turns are measured.
func TestStorm(t *testing.T) {
	for _, row := range stormRows {
		o := small()
		r, err := row.measure(o)
		if err != nil {
			t.Fatalf("%s: %v", row.name, err)
		}
		if want := int(o.storm.Seconds() * float64(row.PerSecond)); r.shaken != want || len(r.took) != r.echoes {
			t.Errorf("%s: %d handshakes of %d, %d echoes of %d", row.name, r.shaken, want, len(r.took), r.echoes)
		}
		if r.turns.All() == 0 {
			t.Errorf("%s: no turns", row.name)
		}
	}
}

// TestPrint: a table of the rows that are asked for.
func TestPrint(t *testing.T) {
	o := small()
	o.row = "16 in flight"
	var b strings.Builder
	if err := printEchoes(&b, o); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(b.String(), "\n"); n != 3+len(echoServers) {
		t.Errorf("%d lines:\n%s", n, b.String())
	}
}
