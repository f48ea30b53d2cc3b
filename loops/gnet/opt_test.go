//go:build (linux || darwin || freebsd || netbsd || openbsd || dragonfly) && poll_opt

package gnetloop

import (
	"errors"
	"testing"

	"anyloop/core"
)

// TestPollOptRefuses runs in programs with the tag only; see TestPollOptIsRefused.
func TestPollOptRefuses(t *testing.T) {
	if _, err := core.New(core.Config{Backend: Backend()}); !errors.Is(err, ErrPollOpt) {
		t.Errorf("got %v", err)
	}
}
