package sim

import (
	"fmt"

	"anyloop/core/loop"
)

// traceLen is how many of the last steps Trace tells.
const traceLen = 60

// step is one line of the trace, written out when somebody reads it.
type step struct {
	what     string // "add", "del", "change", "ready", "close"; else text says it all
	fd       int
	ev, next loop.Events
	text     string
}

// String returns the line.
func (s step) String() string {
	switch s.what {
	case "change":
		return fmt.Sprintf("change %d %v -> %v", s.fd, s.ev, s.next)
	case "add", "ready":
		return fmt.Sprintf("%s %d %v", s.what, s.fd, s.ev)
	case "del", "close":
		return fmt.Sprintf("%s %d", s.what, s.fd)
	}
	return s.what + " " + s.text
}

func (k *Kernel) note(s step) {
	if len(k.trace) >= 2*traceLen {
		k.trace = append(k.trace[:0], k.trace[traceLen:]...)
	}
	k.trace = append(k.trace, s)
}

// Trace returns the last steps, a line each.
func (k *Kernel) Trace() string {
	s := ""
	for _, l := range k.trace[max(0, len(k.trace)-traceLen):] {
		s += l.String() + "\n"
	}
	return s
}

func (k *Kernel) violation(format string, args ...any) {
	v := fmt.Sprintf(format, args...)
	k.note(step{what: "VIOLATION", text: v})
	if len(k.violations) < 100 {
		k.violations = append(k.violations, v)
	}
}
