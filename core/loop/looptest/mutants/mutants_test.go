package mutants_test

import (
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/mutants"
	"anyloop/loops/poll"
)

// TestEveryMutantIsFoundByItsOwnLine: each broken pair fails exactly the tests
// named after its line.
func TestEveryMutantIsFoundByItsOwnLine(t *testing.T) {
	seen := map[string]bool{}
	for _, m := range mutants.All {
		seen[m.Line] = true
		t.Run(m.Name(), func(t *testing.T) {
			found := false
			for _, line := range looptest.Lines() {
				own := strings.HasPrefix(line, m.Line)
				failures := try(line, m, boundOf(own))
				switch {
				case own && len(failures) == 0:
					t.Errorf("%s does not see it", line)
				case own:
					found = true
					t.Logf("%s: %s", line, failures[0])
				case len(failures) > 0:
					t.Errorf("%s fails too: %s", line, failures[0])
				}
			}
			if !found {
				t.Error("not found")
			}
		})
	}
	for _, line := range looptest.Lines() {
		if !seen[line[:strings.Index(line, "_")+1]] {
			t.Errorf("no mutant for %s", line)
		}
	}
}

// boundOf is short for the test that is to fail, which may take all of it, and long for
// those that are not.
func boundOf(own bool) time.Duration {
	if own {
		return 5 * time.Second
	}
	return looptest.Bound
}

// try runs one test of the suite against a mutant and returns its failures.
func try(line string, m mutants.Mutant, bound time.Duration) []string {
	n := &note{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer n.end()
		looptest.RunLine(n, line, looptest.Host{Backend: poll.Backend(), Bound: bound}, m.Wrap)
	}()
	<-done
	return n.failures
}

// note is a test that keeps its failures to itself.
type note struct {
	mu       sync.Mutex
	failures []string
	cleanup  []func()
}

func (n *note) Helper()             {}
func (n *note) Logf(string, ...any) {}
func (n *note) Cleanup(f func())    { n.cleanup = append(n.cleanup, f) }
func (n *note) Errorf(f string, a ...any) {
	n.mu.Lock()
	n.failures = append(n.failures, fmt.Sprintf(f, a...))
	n.mu.Unlock()
}
func (n *note) Fatalf(f string, a ...any) {
	n.Errorf(f, a...)
	runtime.Goexit()
}

func (n *note) end() {
	for i := len(n.cleanup) - 1; i >= 0; i-- {
		n.cleanup[i]()
	}
}
