// Package report is what a run of the benchmark has measured: as data, and as tables.
package report

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"anyloop/examples/bench/internal/stat"
)

// Report is a whole run.
type Report struct {
	When     time.Time
	Machine  Machine
	Versions map[string]string // of servers, and of "go"
	Pairs    int               // interleaved pairs that a ratio is made of
	Slice    time.Duration     // length of one side of a pair
	Took     time.Duration
	Notes    []string `json:",omitempty"` // what a reader must know, such as who was left out
	Rows     []Row
}

// Machine is where it ran.
type Machine struct {
	CPU        string
	Cores      int // that the benchmark may use
	ServerCore int
	LoadCore   int
	Kernel     string
	Arch       string
}

// Row is one kind of work.
type Row struct {
	Name  string // such as "e64"
	About string // what is done
	Unit  string // what is counted, such as "message"
	// Servers that have not done it, or wrongly, have Failed set.
	Results []Result
}

// Result is one server at one kind of work.
type Result struct {
	Server    string
	Reference string // what it is compared with; "" for a reference itself
	Failed    string // why it has no figures; else ""

	CPU     float64 // of the server, microseconds per unit: median of its slices
	User    float64 // what of CPU is spent outside the kernel, by samples of the kernel's tick
	Ratio   stat.Interval
	Rate    float64 // units per second
	Util    float64 // part of its core that the server used
	P50     float64 // latency in microseconds
	P99     float64
	P999    float64
	Foreign float64      // cores that other processes used meanwhile
	Units   uint64       // in all slices
	Pairs   [][2]float64 `json:",omitempty"` // CPU of the server and of the reference, pair by pair

	Memory *Memory `json:",omitempty"` // of the row "idle", which has nothing of the above
}

// Memory is of a server with idle connections, in bytes.
type Memory struct {
	Base      int           // resident before
	PerConn   stat.Interval // growth of resident memory; Low and High are the least and the most of the runs
	Collected float64       // the same after a collection, of servers that can be asked for one; else 0
	IdleCPU   float64       // milliseconds per second
}

// Find returns a server's result compared with that reference, "" for the
// reference's own.
func (r *Row) Find(server, reference string) *Result {
	for i := range r.Results {
		if x := &r.Results[i]; x.Server == server && x.Reference == reference {
			return x
		}
	}
	return nil
}

// Failures lists what went wrong.
func (r *Report) Failures() (all []string) {
	for _, row := range r.Rows {
		for _, x := range row.Results {
			if x.Failed != "" {
				all = append(all, fmt.Sprintf("%s, %s: %s", row.Name, x.Server, x.Failed))
			}
		}
	}
	return all
}

// Save writes the report into a folder, to a file that has its date for a name, and
// returns that. Earlier reports are left.
func (r *Report) Save(dir string) (file string, err error) {
	b, err := json.MarshalIndent(r, "", " ")
	if err != nil {
		return "", err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	for n := 1; ; n++ {
		file = filepath.Join(dir, r.When.Format(time.DateOnly))
		if n > 1 {
			file += fmt.Sprintf("-%d", n)
		}
		file += ".json"
		f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644)
		if os.IsExist(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		if _, err = f.Write(append(b, '\n')); err == nil {
			err = f.Close()
		}
		return file, err
	}
}

// Load reads what Save has written.
func Load(file string) (*Report, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	r := &Report{}
	if err := json.Unmarshal(b, r); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return r, nil
}
