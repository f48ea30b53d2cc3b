package e2e_test

import (
	"testing"

	"anyloop/core/loop/looptest/e2e"
	"anyloop/loops/poll"
)

func TestPoll(t *testing.T) {
	for _, threads := range []int{1, 2} {
		e2e.Run(t, threads, func(testing.TB, int) e2e.Host { return e2e.Host{Backend: poll.Backend()} })
	}
}
