//go:build linux

package proc

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// CPU is what a process has used so far.
type CPU struct {
	All time.Duration // user and system time, exact to nanoseconds
	// What the kernel's tick found the process in: exact enough only in sums of
	// seconds, and of the same scale as each other only.
	UserTicks, AllTicks time.Duration
}

// Sub returns what was used since b.
func (a CPU) Sub(b CPU) CPU {
	return CPU{a.All - b.All, a.UserTicks - b.UserTicks, a.AllTicks - b.AllTicks}
}

// Add returns the sum.
func (a CPU) Add(b CPU) CPU {
	return CPU{a.All + b.All, a.UserTicks + b.UserTicks, a.AllTicks + b.AllTicks}
}

// UserPart returns which part was user time.
func (a CPU) UserPart() float64 {
	if a.AllTicks == 0 {
		return 0
	}
	return float64(a.UserTicks) / float64(a.AllTicks)
}

// The CPU clocks of a process, as the kernel names them in clock ids.
const (
	clockProf  = 0 // user and system time by ticks
	clockVirt  = 1 // user time by ticks
	clockSched = 2 // what the scheduler has counted
)

// Used reads the CPU clocks of a process: all its threads, those that have ended too.
func Used(pid int) (c CPU, err error) {
	for which, to := range map[int]*time.Duration{clockProf: &c.AllTicks, clockVirt: &c.UserTicks, clockSched: &c.All} {
		var t unix.Timespec
		if err := unix.ClockGettime(int32(^pid<<3|which), &t); err != nil {
			return c, fmt.Errorf("CPU time of process %d: %w", pid, err)
		}
		*to = time.Duration(t.Nano())
	}
	return c, nil
}

// Busy returns how long all cores together have been busy since the machine started.
// It counts ticks of 10 ms.
func Busy() (time.Duration, error) {
	b, err := os.ReadFile("/proc/stat")
	if err != nil {
		return 0, err
	}
	line, _, _ := strings.Cut(string(b), "\n")
	var ticks uint64
	for i, s := range strings.Fields(line) {
		// cpu user nice system idle iowait irq softirq steal guest guest_nice
		if i >= 1 && i <= 8 && i != 4 && i != 5 {
			n, err := strconv.ParseUint(s, 10, 64)
			if err != nil {
				return 0, err
			}
			ticks += n
		}
	}
	return time.Duration(ticks) * 10 * time.Millisecond, nil
}

// Resident returns the resident memory of a process, in bytes.
func Resident(pid int) (int, error) {
	name := fmt.Sprintf("/proc/%d/smaps_rollup", pid)
	b, err := os.ReadFile(name)
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(b) {
		if f := bytes.Fields(line); len(f) > 1 && string(f[0]) == "Rss:" {
			kb, err := strconv.Atoi(string(f[1]))
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("%s: no Rss", name)
}
