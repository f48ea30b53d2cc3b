package report

import (
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"anyloop/examples/bench/internal/stat"
)

func example() *Report {
	return &Report{
		When:     time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Machine:  Machine{CPU: "Some CPU", Cores: 2, Kernel: "Linux 1.2", Arch: "amd64"},
		Versions: map[string]string{"go": "1.26", "example.org/peer": "v1.2.3"},
		Pairs:    9, Slice: 200 * time.Millisecond, Took: 90 * time.Second, Notes: []string{"somebody is left out"},
		Rows: []Row{
			{Name: "e64", About: "echo | all", Unit: "message", Results: []Result{
				{Server: "raw", CPU: 3.456, Rate: 1000, P50: 10},
				{Server: "slow", Reference: "raw", CPU: 6, User: 0.5, Ratio: stat.Interval{Median: 2, Low: 1.9, High: 2.25}, Foreign: 0.3},
				{Server: "fast", Reference: "raw", CPU: 3, Ratio: stat.Interval{Median: 0.9, Low: 0.8, High: 1}, Util: 0.5, Pairs: [][2]float64{{3, 3.5}}},
				{Server: "gone", Reference: "raw", Failed: "not\nwhat was sent"},
				{Server: "ours-gnet", Reference: "baregnet", CPU: 4, Ratio: stat.Interval{Median: 1.05, Low: 1, High: 1.1}},
				{Server: "baregnet", Reference: "", CPU: 3.8},
			}},
			{Name: "idle", About: "memory", Results: []Result{
				{Server: "raw", Memory: &Memory{Base: 9e6, PerConn: stat.Interval{Median: 144, Low: 140, High: 150}, Collected: 120}},
				{Server: "x", Reference: "raw", Memory: &Memory{PerConn: stat.Interval{Median: 100, Low: 99, High: 101}}},
			}},
		},
	}
}

// TestPrint: the cheapest first, each reference with a table of its own, and what has
// failed is said at the end and has no figures.
func TestPrint(t *testing.T) {
	var b strings.Builder
	example().Print(&b)
	const want = `Measured 2026-01-02 in 1m30s on Some CPU, 2 cores, Linux 1.2, amd64; ratios are medians of 9 interleaved pairs of 200ms.

Versions: example.org/peer v1.2.3, go 1.26.

Note: somebody is left out.

### e64: echo \| all

| server | CPU µs/message | of it user | ratio to raw | per second | server busy | p50 µs | p99 µs | p99.9 µs | foreign cores |
|---|---|---|---|---|---|---|---|---|---|
| fast | 3.00 | 0.000 | 0.90 (0.80–1.00) | 0 | 50 % | 0 | 0 | 0 | 0.00 |
| raw | 3.46 | 0.000 | 1 | 1000 | 0 % | 10 | 0 | 0 | 0.00 |
| slow | 6.00 | 0.500 | 2.00 (1.90–2.25) | 0 | 0 % | 0 | 0 | 0 | 0.30 (!) |

(!) other processes used more than 0.15 cores meanwhile.

### e64: echo \| all

| server | CPU µs/message | of it user | ratio to baregnet | per second | server busy | p50 µs | p99 µs | p99.9 µs | foreign cores |
|---|---|---|---|---|---|---|---|---|---|
| baregnet | 3.80 | 0.000 | 1 | 0 | 0 % | 0 | 0 | 0 | 0.00 |
| ours-gnet | 4.00 | 0.000 | 1.05 (1.00–1.10) | 0 | 0 % | 0 | 0 | 0 | 0.00 |

### idle: memory

| server | bytes/connection (least–most) | after a collection | resident before, MB | CPU when idle, ms/s |
|---|---|---|---|---|
| x | 100 (99–101) | - | 0.0 | 0.00 |
| raw | 144 (140–150) | 120 | 9.0 | 0.00 |

**Failed:**
- e64, gone: not what was sent
`
	if got := b.String(); got != want {
		t.Errorf("got:\n%s\nwant:\n%s", got, want)
	}
}

// TestSaveAndLoad: what is loaded is what was saved, and no report takes another's
// place.
func TestSaveAndLoad(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "results")
	r := example()
	for _, name := range []string{"2026-01-02.json", "2026-01-02-2.json"} {
		file, err := r.Save(dir)
		if err != nil || file != filepath.Join(dir, name) {
			t.Fatalf("%s, %v, want %s", file, err, name)
		}
	}
	got, err := Load(filepath.Join(dir, "2026-01-02-2.json"))
	if err != nil || !reflect.DeepEqual(got, r) {
		t.Errorf("%v\n%+v\n%+v", err, got, r)
	}
	bad := filepath.Join(dir, "bad.json")
	if err := os.WriteFile(bad, []byte("{"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(bad); err == nil {
		t.Error("half a file is taken")
	}
}

func TestDigits(t *testing.T) {
	for x, want := range map[float64]string{0.2345: "0.234", 1.234: "1.23", 12.34: "12.3", 1234.5: "1234"} {
		if got := digits(x); got != want {
			t.Errorf("%v: %s, want %s", x, got, want)
		}
	}
}
