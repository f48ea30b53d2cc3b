//go:build !poll_opt

package gnetloop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// TestPollOptIsRefused: the tag poll_opt changes gnet's poller to one that keeps
// Go pointers in the kernel only. This package builds with it, and refuses.
func TestPollOptIsRefused(t *testing.T) {
	cmd := exec.Command("go", "test", "-count=1", "-v", "-tags", "poll_opt", "-run", "^TestPollOptRefuses$", ".")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "--- PASS: TestPollOptRefuses") {
		t.Errorf("%v\n%s", err, out)
	}
}

// TestTriggerIsNotUsed: tasks of gnet's poller starve descriptors, must not end
// Polling, and on NetBSD and OpenBSD are never heard.
func TestTriggerIsNotUsed(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil || len(files) < 5 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		b, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasSuffix(f, "_test.go") && strings.Contains(string(b), ".Trigger(") {
			t.Errorf("%s uses Trigger", f)
		}
	}
}

// TestSystems: the package compiles on every system, to a poller or to a refusal.
func TestSystems(t *testing.T) {
	for _, sys := range []string{"linux/arm64", "freebsd/amd64", "darwin/arm64", "netbsd/amd64", "openbsd/amd64", "windows/amd64", "js/wasm"} {
		os_, arch, _ := strings.Cut(sys, "/")
		cmd := exec.Command("go", "build", ".")
		cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS="+os_, "GOARCH="+arch)
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", sys, err, out)
		}
	}
}
