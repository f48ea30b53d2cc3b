package demo_test

import (
	"errors"
	"os/exec"
	"strings"
	"testing"

	"anyloop/examples/internal/try"
)

// TestWithoutTheTag: the programs say how to build them.
func TestWithoutTheTag(t *testing.T) {
	t.Setenv("GOFLAGS", "")
	for _, name := range []string{"uv", "ev", "event", "glib"} {
		out, err := exec.Command(try.Program(t, "anyloop/examples/"+name)).CombinedOutput()
		var exit *exec.ExitError
		if !errors.As(err, &exit) || exit.ExitCode() != 2 {
			t.Errorf("%s ended with %v", name, err)
		}
		for _, want := range []string{"go build -tags foreignloops ./examples/" + name + "\n", "apt-get install gcc pkg-config lib"} {
			if !strings.Contains(string(out), want) {
				t.Errorf("%s does not say %q:\n%s", name, want, out)
			}
		}
	}
}
