package mount_test

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/core/sys"
)

// folderInMemory makes a folder whose files the kernel has in memory, again after
// again, and skips if this system cannot read without waiting.
func folderInMemory(t *testing.T, files map[string]string) (dir string, again func()) {
	t.Helper()
	dir = t.TempDir()
	read := func() {
		for name := range files {
			for _, ext := range []string{"", ".br", ".gz"} {
				os.ReadFile(filepath.Join(dir, name) + ext) // also that there is none
			}
		}
	}
	for name, data := range files {
		p := filepath.Join(dir, name)
		os.MkdirAll(filepath.Dir(p), 0o700)
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	read()
	d, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	for name := range files {
		if _, _, err := sys.ReadNow(int(d.Fd()), name, 1<<20); errors.Is(err, sys.ErrNever) {
			t.Skip("needs Linux 5.12 and a file system with RWF_NOWAIT")
		}
	}
	return dir, read
}

// TestSmallFileInMemoryNeedsNoWorker: it is served while all workers wait for a
// disk. What may have to wait is not.
func TestSmallFileInMemoryNeedsNoWorker(t *testing.T) {
	for name, opt := range map[string]mount.Options{"default": {}, "no cache": {CacheBytes: -1}} {
		dir, again := folderInMemory(t, map[string]string{
			"f": "small", "index.html": "index", "sub/index.html": "sub", "zip": "plain", "zip.gz": "zip",
			"large": strings.Repeat("x", 100_000),
		})
		m, err := mount.Dir("/", dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		d := &disk{}
		s := newSite(t, m, core.Limits{Workers: 1}, mount.Files("/slow", d))
		d.stop(true)
		s.dial().ask("/slow/f")
		s.until("a look", func() bool { _, _, _, hung := d.counts(); return hung == 1 })
		r := s.dial()
		for range 2 {
			for path, want := range map[string]string{"/f": "small", "/": "index", "/sub/": "sub"} {
				r.ask(path)
				got := string(r.Read())
				for try := 0; got == "" && try < 20; try++ { // memory was short, or somebody has mounted something
					again()
					r = s.dial()
					r.ask(path)
					got = string(r.Read())
				}
				if !strings.HasPrefix(got, "HTTP/1.1 200 ") || !strings.HasSuffix(got, "\r\n\r\n"+want) {
					t.Errorf("%s, %s: %q with all workers busy", name, path, got)
				}
			}
		}
		waiting := map[string]*reader{}
		for _, path := range []string{"/none", "/sub", "/zip", "/large"} {
			waiting[path] = s.dial()
			waiting[path].ask(path, "Accept-Encoding: gzip\r\n")
			if got := waiting[path].Read(); len(got) > 0 {
				t.Errorf("%s, %s: %.60q with all workers busy", name, path, got)
			}
		}
		d.stop(false)
		for path, want := range map[string]string{"/none": "404 ", "/sub": "301 ", "/zip": "200 zip", "/large": "200 xxx"} {
			if got := waiting[path].answer(); !strings.HasPrefix(got, want) {
				t.Errorf("%s, %s: %.60q, want %q", name, path, got, want)
			}
		}
	}
}
