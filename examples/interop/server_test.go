package interop

import (
	"bufio"
	"context"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// bound is a limit on a hang, far above what anything here takes.
const bound = 60 * time.Second

var (
	buildOnce sync.Once
	binDir    string
	buildErr  error
)

func TestMain(m *testing.M) {
	code := m.Run()
	if binDir != "" {
		os.RemoveAll(binDir)
	}
	os.Exit(code)
}

// binary returns the path of a built example.
func binary(t *testing.T, name string) string {
	t.Helper()
	buildOnce.Do(func() {
		if binDir, buildErr = os.MkdirTemp("", "anyloop-interop"); buildErr != nil {
			return
		}
		cmd := exec.Command("go", "build", "-o", binDir+string(filepath.Separator), "../client", "../echo", "../echoclient", "../server", "../hello")
		if out, err := cmd.CombinedOutput(); err != nil {
			buildErr = err
			os.Stderr.Write(out)
		}
	})
	if buildErr != nil {
		t.Fatal(buildErr)
	}
	return filepath.Join(binDir, name)
}

var addrLine = regexp.MustCompile(`(?:ws|http)s?://([^/ ]+)/`)

// start runs an example server on a free port until the test ends, checks that
// it ends in good order on SIGINT, and returns its address.
func start(t *testing.T, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(binary(t, name), append([]string{"-addr", "127.0.0.1:0"}, args...)...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(stderr)
	found := make(chan string, 1)
	var rest strings.Builder
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		sent := false
		for {
			line, err := lines.ReadString('\n')
			if m := addrLine.FindStringSubmatch(line); m != nil && !sent {
				found <- m[1]
				sent = true
			}
			rest.WriteString(line)
			if err != nil {
				return
			}
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		ended := make(chan error, 1)
		go func() { <-drained; ended <- cmd.Wait() }()
		select {
		case err := <-ended:
			if err != nil {
				t.Errorf("%s did not end well: %v\n%s", name, err, rest.String())
			}
		case <-time.After(bound):
			cmd.Process.Kill()
			t.Errorf("%s did not end on SIGINT", name)
		}
	})
	select {
	case addr := <-found:
		return addr
	case <-drained:
		t.Fatalf("%s did not start:\n%s", name, rest.String())
	case <-time.After(bound):
		t.Fatalf("%s did not say its address", name)
	}
	return ""
}

func missing(t *testing.T, what string) {
	t.Helper()
	if os.Getenv("ANYLOOP_CI") != "" {
		t.Fatal(what)
	}
	t.Skip(what)
}

// output runs a program to its end and returns what it printed.
func output(t *testing.T, stdin string, env []string, argv ...string) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(os.Environ(), env...)
	cmd.Stdin = strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %v\n%s", argv, err, out)
	}
	return string(out)
}

// until reads lines from a running program until one has what, then ends it.
func until(t *testing.T, what []string, argv ...string) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), bound)
	defer cancel()
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	r, w := io.Pipe()
	cmd.Stdout, cmd.Stderr = w, w
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() { w.CloseWithError(cmd.Wait()) }()
	var seen strings.Builder
	sc := bufio.NewScanner(r)
	for sc.Scan() {
		seen.WriteString(sc.Text() + "\n")
		for len(what) > 0 && strings.Contains(sc.Text(), what[0]) {
			what = what[1:]
		}
		if len(what) == 0 {
			break
		}
	}
	cmd.Process.Kill()
	io.Copy(io.Discard, r)
	if len(what) > 0 {
		t.Fatalf("%v never printed %q:\n%s", argv, what[0], seen.String())
	}
}

var loops = []string{"poll", "poll2", "external", "gnet", "gnet-engine", "gnet-stream", "evio", "evio-stream"}
