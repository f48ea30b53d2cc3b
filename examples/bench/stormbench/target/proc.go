//go:build linux

package target

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"time"

	"golang.org/x/sys/unix"
)

// Files returns how many descriptors the process has open.
func (s *Server) Files() (int, error) {
	dir := fmt.Sprintf("/proc/%d/fd", s.Pid())
	var st unix.Stat_t
	if err := unix.Stat(dir, &st); err != nil {
		return 0, err
	}
	if st.Size > 0 { // since Linux 6.2
		return int(st.Size), nil
	}
	all, err := os.ReadDir(dir)
	return len(all), err
}

// Settle waits until it has at most so many open: until it has noticed that its
// peers are gone, and closed them.
func (s *Server) Settle(files int, patience time.Duration) error {
	for until := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		n, err := s.Files()
		if err != nil || n <= files {
			return err
		}
		if time.Now().After(until) {
			return fmt.Errorf("%s still has %d descriptors, not %d", s.Name, n, files)
		}
	}
}

// Switches returns how often threads of the process have gone to sleep: as often
// they have been woken.
func (s *Server) Switches() (n int, err error) {
	dir := fmt.Sprintf("/proc/%d/task", s.Pid())
	tasks, err := os.ReadDir(dir)
	if err != nil {
		return 0, err
	}
	for _, t := range tasks {
		b, err := os.ReadFile(dir + "/" + t.Name() + "/status")
		if err != nil {
			return 0, err
		}
		_, rest, _ := strings.Cut(string(b), "\nvoluntary_ctxt_switches:")
		line, _, _ := strings.Cut(rest, "\n")
		k, err := strconv.Atoi(strings.TrimSpace(line))
		if err != nil {
			return 0, err
		}
		n += k
	}
	return n, nil
}
