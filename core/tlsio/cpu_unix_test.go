//go:build unix

package tlsio

import (
	"syscall"
	"time"
)

// processorTime is what the process has used, on all threads.
func processorTime() time.Duration {
	var r syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &r))
	return time.Duration(r.Utime.Nano() + r.Stime.Nano())
}
