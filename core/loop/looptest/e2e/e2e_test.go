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

func TestPollTLS(t *testing.T) {
	e2e.RunTLS(t, []int{1, 2}, func(testing.TB, int) e2e.Host { return e2e.Host{Backend: poll.Backend()} })
}
