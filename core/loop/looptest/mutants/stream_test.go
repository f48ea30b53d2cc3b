package mutants_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/mutants"
	"anyloop/loops/poll"
)

// TestEveryStreamMutantIsFoundByItsOwnLine: each broken side of a stream fails
// exactly the tests named after its line.
func TestEveryStreamMutantIsFoundByItsOwnLine(t *testing.T) {
	for _, m := range mutants.Streams {
		t.Run(m.Name(), func(t *testing.T) {
			t.Parallel() // they wait for bounds, most of the time
			found := false
			for _, line := range looptest.StreamLines() {
				own := strings.HasPrefix(line, m.Line)
				failures := tryStream(line, m, boundOf(own))
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
	for _, line := range looptest.StreamLines() {
		if !slices.ContainsFunc(mutants.Streams, func(m mutants.StreamMutant) bool { return strings.HasPrefix(line, m.Line) }) {
			t.Errorf("no mutant for %s", line)
		}
	}
}

// tryStream runs one test of the suite against a mutant and returns its failures.
func tryStream(line string, m mutants.StreamMutant, bound time.Duration) []string {
	n := &note{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer n.end()
		inner := poll.Backend(poll.Nested())
		h := looptest.MockHost(m.Mode, inner, func() looptest.Nested { return inner.Thread(0) })
		h.Bound = bound
		looptest.RunStreamLine(n, line, m.Host(h), m.Wrap)
	}()
	<-done
	return n.failures
}
