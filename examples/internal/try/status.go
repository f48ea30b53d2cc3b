package try

import (
	"context"
	"errors"
	"os"
	"os/exec"
	"strings"
	"testing"

	"anyloop/core/loop/looptest/client"
)

// Status runs a program to its end, with what it is to read, and returns its exit
// status and all that it printed.
func Status(t testing.TB, stdin *os.File, bin string, args ...string) (status int, output string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, bin, args...)
	cmd.Stdin = stdin
	out, err := cmd.CombinedOutput()
	var ee *exec.ExitError
	if err != nil && (!errors.As(err, &ee) || ctx.Err() != nil) {
		t.Fatalf("%s %v: %v\n%s", bin, args, err, out)
	}
	return cmd.ProcessState.ExitCode(), string(out)
}

// Input returns a file that has the text and then ends.
func Input(t testing.TB, text string) *os.File {
	t.Helper()
	r, w := pipe(t)
	go func() { // more than a pipe holds waits for its reader
		w.WriteString(text)
		w.Close()
	}()
	return r
}

// Quiet returns a file from which nothing comes, nor its end, while the test runs.
func Quiet(t testing.TB) *os.File {
	t.Helper()
	r, _ := pipe(t)
	return r
}

func pipe(t testing.TB) (r, w *os.File) {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close(); w.Close() })
	return r, w
}

// Closed returns an address of the loopback on which nobody listens while the test
// runs.
func Closed(t testing.TB) string {
	t.Helper()
	addr, free, err := client.Refusing()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free)
	return addr
}

// Lacks returns what of want is not in s, in this order.
func Lacks(s string, want ...string) (missing string) {
	for _, w := range want {
		_, rest, ok := strings.Cut(s, w)
		if !ok {
			return w
		}
		s = rest
	}
	return ""
}
