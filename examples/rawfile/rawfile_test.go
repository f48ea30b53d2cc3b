package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"anyloop/examples/internal/try"
)

var httpAddr = regexp.MustCompile(`http://([^/]+)/`)

func startTail(t *testing.T, args ...string) (addr string, fifo *os.File) {
	t.Helper()
	name := filepath.Join(t.TempDir(), "fifo")
	line := try.Run(t, try.Program(t, "."), append([]string{"-addr", "127.0.0.1:0", "-file", name, "-create"}, args...)...)
	m := httpAddr.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("it said %q", line)
	}
	f, err := os.OpenFile(name, os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return m[1], f
}

// TestRegularFileIsRefused: it would be a page on which nothing ever appears.
func TestRegularFileIsRefused(t *testing.T) {
	name := filepath.Join(t.TempDir(), "some.log")
	if err := os.WriteFile(name, []byte("line\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if fd, err := openFile(name, false); err == nil || !strings.Contains(err.Error(), name) {
		t.Errorf("descriptor %d, error %v", fd, err)
	}
}

func TestLinesArriveInOrder(t *testing.T) {
	addr, fifo := startTail(t)
	page := try.Dial(t, addr, "tail")
	for i := range 1000 {
		fmt.Fprintf(fifo, "line %d\n", i)
	}
	for i := range 1000 {
		got, err := page.Next()
		if want := fmt.Sprintf("line %d", i); err != nil || got != want {
			t.Fatalf("got %q %v, want %q", got, err, want)
		}
	}
}

// TestStalledPagePausesTheReading: a page that reads nothing makes the writer of
// the FIFO wait after a bounded number of bytes; when it is dropped for its lag,
// everything flows again.
func TestStalledPagePausesTheReading(t *testing.T) {
	addr, fifo := startTail(t, "-lag", "10s") // long enough for the other on a busy machine
	page := try.Dial(t, addr, "tail")
	try.Dial(t, addr, "tail") // reads nothing
	// The good page reads from here on, so that only the other is late.
	read := make(chan string, 1)
	go func() {
		for {
			s, err := page.Next()
			if err != nil || s == "end" {
				read <- fmt.Sprint(s, err)
				return
			}
		}
	}()
	line := strings.Repeat("x", 1000) + "\n"
	const total = 64 << 20
	wrote, stalls := 0, 0
	for wrote < total {
		// A write that makes no progress for this long has been paused.
		fifo.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
		n, err := fifo.Write([]byte(line))
		wrote += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			stalls++
			if stalls > 600 {
				t.Fatalf("nothing flows any more after %d bytes", wrote)
			}
			line = line[n:]
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		line = strings.Repeat("x", 1000) + "\n"
	}
	fifo.SetWriteDeadline(time.Time{})
	fmt.Fprint(fifo, "end\n")
	if stalls == 0 {
		t.Error("the writer was never paused")
	}
	select {
	case got := <-read:
		if got != "end<nil>" {
			t.Errorf("the good page read %q", got)
		}
	case <-time.After(try.Bound):
		t.Error("the good page never saw the end")
	}
}
