//go:build linux

package echobench

import (
	"io"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"anyloop/examples/bench/internal/peer"
	"anyloop/examples/bench/internal/plain"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/report"
)

func TestMain(m *testing.M) {
	proc.Main(map[string]proc.Role{"peer": peer.Role, "plain": plain.Role})
	dir, err := os.MkdirTemp("", "anyloop-bench-test-")
	if err != nil {
		panic(err)
	}
	programs.dir = dir
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// programs builds the examples, once for all tests.
var programs = bench{programs: map[string]string{}}

// tiny is a run of a moment.
func tiny(t *testing.T) *bench {
	t.Helper()
	b := &bench{pairs: 1, slice: time.Millisecond, starts: 1, progress: io.Discard, programs: map[string]string{}, servers: servers()}
	for _, example := range []string{"echo", "server"} {
		p, err := programs.built(example)
		if err != nil {
			t.Fatal(err)
		}
		b.programs[example] = p
	}
	if err := b.prepare(); err != nil {
		t.Fatal(err)
	}
	dir := b.dir // a run makes another, and removes it
	t.Cleanup(func() { os.RemoveAll(dir) })
	return b
}

// small is a row with few connections and messages.
func small(kind, reference string) row {
	r := row{name: kind, unit: "unit", reference: reference, stretch: 1, work: plain.Work{Kind: kind, Conns: 3, Size: 70_000, Depth: 2}}
	if kind == plain.Get {
		r.work.Path, r.work.Depth = "/"+fileName, 1
	}
	return r
}

// TestEveryServer: each does all kinds of work that it is said to do, and every byte
// that comes back is the right one.
func TestEveryServer(t *testing.T) {
	b := tiny(t)
	for i := range b.servers {
		s := &b.servers[i]
		for _, kind := range s.kinds {
			if s.engine != "" && kind != plain.Echo {
				continue // what it is compared with its engine in
			}
			r := small(kind, "")
			if s.name == "rawpoll" {
				r.work.Size = 64
			}
			x, err := b.side(s.name, &r)
			if err != nil {
				t.Errorf("%s, %s: %v", s.name, kind, err)
				continue
			}
			var got plain.Slice
			if err := x.load.Ask("slice", b.slice, &got); err != nil || got.Units < 3 {
				t.Errorf("%s, %s: %+v, %v", s.name, kind, got, err)
			}
			if err := x.stop(); err != nil {
				t.Errorf("%s, %s: %v", s.name, kind, err)
			}
		}
	}
}

// TestRun: ours beside raw, as the command does it.
func TestRun(t *testing.T) {
	b := tiny(t)
	r := small(plain.Echo, "raw")
	memory := r
	memory.name, memory.memory, memory.work.Depth = "memory", true, 1
	b.rows, b.pairs = []row{r, memory}, 2
	if err := b.chooseServers("ours-poll,raw,rawws"); err != nil {
		t.Fatal(err)
	}
	rep, err := b.run()
	if err != nil {
		t.Fatal(err)
	}
	if bad := rep.Failures(); len(bad) > 0 {
		t.Fatal(bad)
	}
	if len(rep.Rows) != 2 || len(rep.Rows[0].Results) != 3 || len(rep.Rows[1].Results) != 3 {
		t.Fatalf("%+v", rep.Rows)
	}
	for _, name := range []string{"ours-poll", "rawws", "raw"} {
		ref := "raw"
		if name == ref {
			ref = ""
		}
		x, m := rep.Rows[0].Find(name, ref), rep.Rows[1].Find(name, ref)
		if x == nil || m == nil {
			t.Fatalf("%s is missing: %+v", name, rep.Rows)
		}
		if x.Units < 12 || x.CPU <= 0 || x.Rate <= 0 || x.P50 <= 0 || x.P999 < x.P50 || x.Util <= 0 || x.Util > 1.5 {
			t.Errorf("%+v", x)
		}
		if ref != "" && (len(x.Pairs) != 2 || x.Ratio.Median != (x.Pairs[0][0]/x.Pairs[0][1]+x.Pairs[1][0]/x.Pairs[1][1])/2) {
			t.Errorf("%s: the ratio %v is not of the pairs %v", name, x.Ratio, x.Pairs)
		}
		if own := rep.Rows[0].Find("raw", ""); ref != "" && (x.Pairs[0][0]+x.Pairs[1][0] != 2*x.CPU || x.Pairs[0][1]+x.Pairs[1][1] != 2*own.CPU) {
			t.Errorf("%s: %v us beside %v us, and the pairs %v", name, x.CPU, own.CPU, x.Pairs)
		}
		if m.Memory == nil || m.Memory.Base < 1<<20 {
			t.Errorf("%s: %+v", name, m.Memory)
		}
	}
	if _, err := os.Stat(b.dir); !os.IsNotExist(err) {
		t.Errorf("%s is left: %v", b.dir, err)
	}
}

// flipping is an echo server in this process whose second answer on each connection is wrong.
type flipping struct{ l net.Listener }

func (flipping) Pid() int      { return os.Getpid() }
func (f flipping) Stop() error { return f.l.Close() }

func startFlipping(_ *bench, _ *row, addr string) (process, error) {
	l, err := net.Listen("tcp4", addr)
	if err != nil {
		return nil, err
	}
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				buf := make([]byte, 1<<10)
				for n := 0; ; n++ {
					k, err := c.Read(buf)
					if err != nil {
						return
					}
					if n == 1 {
						buf[k-1] ^= 1
					}
					c.Write(buf[:k])
				}
			}()
		}
	}()
	return flipping{l}, nil
}

// TestOneWrongByte: a server that sends one is said to have failed and gets no
// figures, and another beside it gets its own all the same.
func TestOneWrongByte(t *testing.T) {
	b := tiny(t)
	b.servers = append(b.servers, server{name: "flipping", raw: true, kinds: noMembers, start: startFlipping})
	r := small(plain.Echo, "raw")
	r.work.Size = 64
	b.rows = []row{r}
	if err := b.chooseServers("flipping,rawws"); err != nil {
		t.Fatal(err)
	}
	rep, err := b.run()
	if err != nil {
		t.Fatal(err)
	}
	bad := rep.Failures()
	if len(bad) != 1 || !strings.Contains(bad[0], "flipping") || !strings.Contains(bad[0], "not what was sent") {
		t.Errorf("failures: %q", bad)
	}
	if x := rep.Rows[0].Find("rawws", "raw"); x == nil || x.Units == 0 || x.Failed != "" {
		t.Errorf("rawws: %+v", x)
	}
	var table strings.Builder
	rep.Print(&table)
	if !strings.Contains(table.String(), "**Failed:**\n- echo, flipping: ") || strings.Contains(table.String(), "| flipping") {
		t.Errorf("the table:\n%s", table.String())
	}
}

// TestServerThatDoesNotStart: what it said is in the report.
func TestServerThatDoesNotStart(t *testing.T) {
	b := tiny(t)
	if err := b.extra("broken=sh -c 'echo' no.such.program.%a"); err != nil {
		t.Fatal(err)
	}
	b.rows = []row{small(plain.Echo, "raw")}
	if err := b.chooseServers("broken"); err != nil {
		t.Fatal(err)
	}
	rep, err := b.run()
	if err != nil {
		t.Fatal(err)
	}
	if x := rep.Rows[0].Find("broken", "raw"); x == nil || !strings.Contains(x.Failed, "has ended") {
		t.Errorf("%+v", x)
	}
}

// TestPlan: who is measured where, and compared with whom.
func TestPlan(t *testing.T) {
	b := &bench{servers: servers(), rows: rows, pairs: 9, slice: 200 * time.Millisecond, starts: 3}
	with := map[string][]string{} // "row/reference": servers
	for _, s := range b.plan() {
		with[s.row.name+"/"+s.reference] = s.servers
	}
	for what, want := range map[string][]string{
		"e64/baregnet":  {"ours-gnet", "ours-gnet-engine", "ours-gnet-stream"},
		"p16/bareevio":  {"ours-evio", "ours-evio-stream"},
		"p16/rawpoll":   {"ours-external", "ours-poll2"},
		"http/fasthttp": {"ours-poll", "nethttp"},
		"bcast/gnet":    {"ours-poll", "gobwas", "gobwas-epoll", "gws", "gorilla", "coder", "nbio", "nbio-inline"},
		"conn/raw":      {"ours-poll", "rawws", "gnet", "gobwas", "gobwas-epoll", "gws", "gorilla", "coder", "nbio", "nbio-inline"},
	} {
		got := slices.DeleteFunc(slices.Clone(with[what]), func(s string) bool { return s == "lws" })
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	if all := with["e64/raw"]; !slices.Contains(all, "baregnet") || slices.Contains(all, "raw") || slices.Contains(all, "ours-gnet") {
		t.Errorf("e64/raw: %v", all)
	}
	if most := 15 * time.Minute; b.expected(b.plan()) > most {
		t.Errorf("all of it takes %s, more than %s", b.expected(b.plan()), most)
	}
	b.chooseServers("ours-evio")
	for _, s := range b.plan() {
		if s.row.work.Kind == plain.Echo && !s.row.memory && s.reference != "bareevio" || !slices.Equal(s.servers, []string{"ours-evio"}) {
			t.Errorf("asked for by name: %s beside %s: %v", s.row.name, s.reference, s.servers)
		}
	}
}

// TestChoices: what there is not is refused, and the message says what there is.
func TestChoices(t *testing.T) {
	usual := func(r *row) bool { return r.name == "http" }
	b := &bench{servers: servers()}
	if err := b.chooseRows("e64,e65", usual); err == nil || !strings.Contains(err.Error(), `"e65"`) || !strings.Contains(err.Error(), "p16") {
		t.Errorf("%v", err)
	}
	if err := b.chooseServers("ours-poll,nobody"); err == nil || !strings.Contains(err.Error(), `"nobody"`) || !strings.Contains(err.Error(), "gorilla") {
		t.Errorf("%v", err)
	}
	for only, want := range map[string][]string{"": {"http"}, "p16, e64": {"e64", "p16"}} {
		b := &bench{}
		err := b.chooseRows(only, usual)
		var got []string
		for _, r := range b.rows {
			got = append(got, r.name)
		}
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("%q: %v, %v", only, got, err)
		}
	}
}

// TestFewDescriptors: rows that cannot be are left out, and that is said.
func TestFewDescriptors(t *testing.T) {
	b := &bench{rows: slices.Clone(rows)}
	notes := b.fit(10_099)
	if len(notes) != 3 || !strings.Contains(notes[0], "e10k is left out") || len(b.rows) != len(rows)-3 {
		t.Errorf("%q, %d rows of %d", notes, len(b.rows), len(rows))
	}
	b = &bench{rows: slices.Clone(rows)}
	if notes := b.fit(10_100); notes != nil || len(b.rows) != len(rows) {
		t.Errorf("%q, %d rows of %d", notes, len(b.rows), len(rows))
	}
}

// TestFrom: a report that was saved is printed and drawn without measuring.
func TestFrom(t *testing.T) {
	dir := t.TempDir()
	r := &report.Report{When: time.Now(), Rows: []report.Row{{Name: "e64", Unit: "message", Results: []report.Result{{Server: "raw", CPU: 1}}}}}
	file, err := r.Save(dir)
	if err != nil {
		t.Fatal(err)
	}
	svg := filepath.Join(dir, "x.svg")
	if err := All([]string{"-from", file, "-svg", svg}); err != nil {
		t.Fatal(err)
	}
	if b, err := os.ReadFile(svg); err != nil || !strings.Contains(string(b), "bare epoll") {
		t.Errorf("%v: %.200s", err, b)
	}
}
