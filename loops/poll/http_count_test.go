package poll_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/loops/poll"
)

// countedFS counts what is asked of a file system.
type countedFS struct {
	fstest.MapFS
	opens, stats, reads, closes atomic.Int64
}

type countedFile struct {
	fs.File
	c *countedFS
}

func (c *countedFS) Open(name string) (fs.File, error) {
	c.opens.Add(1)
	f, err := c.MapFS.Open(name)
	if err != nil {
		return nil, err
	}
	return &countedFile{f, c}, nil
}

func (c *countedFS) Stat(name string) (fs.FileInfo, error) {
	c.stats.Add(1)
	return c.MapFS.Stat(name)
}

func (f *countedFile) Stat() (fs.FileInfo, error) { f.c.stats.Add(1); return f.File.Stat() }
func (f *countedFile) Read(p []byte) (int, error) { f.c.reads.Add(1); return f.File.Read(p) }
func (f *countedFile) Close() error               { f.c.closes.Add(1); return f.File.Close() }

// calls returns the counts as one line.
func (c *countedFS) calls() string {
	return fmt.Sprintf("%5d %5d %5d %6d", c.opens.Load(), c.stats.Load(), c.reads.Load(), c.closes.Load())
}

func (c *countedFS) reset() {
	for _, n := range []*atomic.Int64{&c.opens, &c.stats, &c.reads, &c.closes} {
		n.Store(0)
	}
}

var (
	page        = bytes.Repeat([]byte("p"), 1024)
	pageRequest = []byte("GET /page.html HTTP/1.1\r\nHost: h\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
)

// newFileBench is a bench that serves files, with connections that have been
// answered once.
func newFileBench(t testing.TB, conns int, opt mount.Options) (*bench, *countedFS) {
	t.Helper()
	files := &countedFS{MapFS: fstest.MapFS{"page.html": &fstest.MapFile{Data: page, ModTime: time.Unix(1e9, 0)}}}
	b := newPageBench(t, conns, mount.Files("/", files, opt))
	files.reset()
	return b, files
}

// newPageBench is the same for any mount.
func newPageBench(t testing.TB, conns int, m core.Mount) *bench {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	back := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: back, Limits: longLimits, VHosts: []core.VHost{{Addr: "unix:" + path, Mounts: []core.Mount{m}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, eng: eng, loop: back.Thread(0)}
	t.Cleanup(b.stop)
	for range conns {
		b.connect(path)
	}
	b.getPages(1)
	return b
}

// getPages asks for the page count times on every connection, all at once, and
// turns the loop until all are answered.
func (b *bench) getPages(count int) {
	ask := bytes.Repeat(pageRequest, count)
	for _, fd := range b.clients {
		b.send(fd, ask)
	}
	p := []unix.PollFd{{Fd: int32(b.loop.FD()), Events: unix.POLLIN}}
	for _, fd := range b.clients {
		for left := count; left > 0; {
			n, _, _ := unix.Recvfrom(fd, b.buf[:], unix.MSG_DONTWAIT)
			if left -= bytes.Count(b.buf[:max(n, 0)], page); left == 0 || n > 0 {
				continue
			}
			unix.Poll(p, 10_000) // a worker may be at it
			if _, err := b.loop.Pass(0); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

func fileCallsGot(t *testing.T, opt mount.Options) string {
	got := "conns burst reads writes waits changes | opens stats reads closes\n"
	for _, conns := range []int{1, 16} {
		b, files := newFileBench(t, conns, opt)
		for _, burst := range []int{1, 16} {
			files.reset()
			before, waits := b.eng.Stats(), b.loop.Waits()
			b.getPages(burst)
			after := b.eng.Stats()
			got += fmt.Sprintf("%5d %5d %5d %6d %5d %7d | %s\n", conns, burst, after.Reads-before.Reads,
				after.Writes-before.Writes, b.loop.Waits()-waits, after.Changes-before.Changes, files.calls())
		}
	}
	return strings.TrimSpace(got)
}

// TestSystemCallsPerCachedFile: a file from the cache costs what an echo costs, one
// read and one write of the socket, however many requests come together.
func TestSystemCallsPerCachedFile(t *testing.T) {
	want := strings.TrimSpace(`
conns burst reads writes waits changes | opens stats reads closes
    1     1     1      1     1       0 |     0     0     0      0
    1    16     1      1     1       0 |     0     0     0      0
   16     1    16     16     1       0 |     0     0     0      0
   16    16    16     16     1       0 |     0     0     0      0
`)
	// Time may pass as it likes here: a second without a turn is no failure.
	got := fileCallsGot(t, mount.Options{CacheTime: -1})
	if got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	for name, opt := range map[string]mount.Options{"no bytes": {CacheBytes: -1}, "no files": {CacheFiles: -1}} {
		if fileCallsGot(t, opt) == want {
			t.Errorf("%s: the table is the same without a cache: it counts nothing", name)
		}
	}
}

// TestCachedFileAllocatesNothing: nor does it cost an allocation, once a
// connection has been answered.
func TestCachedFileAllocatesNothing(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector allocates; CI runs this once more without it")
	}
	b, _ := newFileBench(t, 1, mount.Options{CacheTime: -1})
	fd := b.clients[0]
	for name, ask := range map[string][]byte{"one": pageRequest, "sixteen together": bytes.Repeat(pageRequest, 16)} {
		if n := testing.AllocsPerRun(200, func() {
			unix.Write(fd, ask)
			b.loop.Pass(0)
			unix.Read(fd, b.buf[:])
		}); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}
