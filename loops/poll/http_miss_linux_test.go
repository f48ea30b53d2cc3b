package poll_test

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/core/sys"
)

// TestSystemCallsPerUncachedFile: a small file that the kernel has in memory is
// read on the loop: no worker, no wake-up, no interest change, and the answers to
// requests that come together still leave in one write. The file's own calls are
// openat2, fstat, preadv2 and close, and an openat2 for each neighbour that is not
// there.
func TestSystemCallsPerUncachedFile(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "page.html")
	if err := os.WriteFile(name, page, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, ext := range []string{"", ".br", ".gz"} {
		os.ReadFile(name + ext) // the kernel knows, also that there is none
	}
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if _, _, err := sys.ReadNow(int(d.Fd()), "page.html", 1<<20); errors.Is(err, sys.ErrNever) {
		t.Skip("needs Linux 5.12 and a file system with RWF_NOWAIT")
	}
	m, err := mount.Dir("/", dir, mount.Options{CacheBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	want := strings.TrimSpace(`
conns burst reads writes waits changes
    1     1     1      1     1       0
    1    16     1      1     1       0
   16     1    16     16     1       0
   16    16    16     16     1       0
`)
	got := ""
	for range 3 { // the kernel may say no for once: when somebody mounts something, or memory is short
		os.ReadFile(name)
		if got = uncachedCalls(t, m); got == want {
			return
		}
	}
	t.Errorf("got\n%s\nwant\n%s", got, want)
}

// uncachedCalls is the table of what is seen.
func uncachedCalls(t *testing.T, m core.Mount) string {
	got := "conns burst reads writes waits changes\n"
	for _, conns := range []int{1, 16} {
		b := newPageBench(t, conns, m)
		for _, burst := range []int{1, 16} {
			before, waits := b.eng.Stats(), b.loop.Waits()
			b.getPages(burst)
			after := b.eng.Stats()
			got += fmt.Sprintf("%5d %5d %5d %6d %5d %7d\n", conns, burst, after.Reads-before.Reads,
				after.Writes-before.Writes, b.loop.Waits()-waits, after.Changes-before.Changes)
		}
	}
	return strings.TrimSpace(got)
}
