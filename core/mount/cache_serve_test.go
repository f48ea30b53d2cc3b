package mount_test

import (
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/mount"
)

// disk is a file system that changes, counts what is asked of it, and can be made
// to hang.
type disk struct {
	mu    sync.Mutex
	files fstest.MapFS
	looks int // opens and stats
	opens int
	open  int           // files that are open now
	shut  int           // closes
	hang  chan struct{} // not nil: looks wait for it
	hung  int
}

func (d *disk) look(open bool) {
	d.mu.Lock()
	d.looks++
	if open {
		d.opens++
	}
	hang := d.hang
	if hang != nil {
		d.hung++
	}
	d.mu.Unlock()
	if hang != nil {
		<-hang
	}
}

func (d *disk) Open(name string) (fs.File, error) {
	d.look(true)
	d.mu.Lock()
	defer d.mu.Unlock()
	f, err := d.files.Open(name)
	if err != nil {
		return nil, err
	}
	d.open++
	return &diskFile{f, d}, nil
}

func (d *disk) Stat(name string) (fs.FileInfo, error) {
	d.look(false)
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.files.Stat(name)
}

type diskFile struct {
	fs.File
	d *disk
}

func (f *diskFile) Close() error {
	f.d.mu.Lock()
	f.d.open--
	f.d.shut++
	f.d.mu.Unlock()
	return f.File.Close()
}

// set writes a file, or removes it.
func (d *disk) set(name, data string, at time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.files == nil {
		d.files = fstest.MapFS{}
	}
	if data == "" {
		delete(d.files, name)
		return
	}
	d.files[name] = &fstest.MapFile{Data: []byte(data), ModTime: at}
}

func (d *disk) stop(on bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if on {
		d.hang, d.hung = make(chan struct{}), 0
		return
	}
	close(d.hang)
	d.hang = nil
}

func (d *disk) counts() (looks, opens, open, hung int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.looks, d.opens, d.open, d.hung
}

// site is an engine on virtual time that serves mounts.
type site struct {
	t   *testing.T
	k   *sim.Kernel
	eng *core.Engine
}

func newSite(t *testing.T, m core.Mount, lim core.Limits, more ...core.Mount) *site {
	t.Helper()
	s := &site{t: t, k: sim.New(sim.Options{})}
	lim.KeepAliveTimeout, lim.ContentTimeout = -1, -1
	eng, err := core.New(core.Config{Backend: s.k, Limits: lim, VHosts: []core.VHost{{Addr: "host:80", Mounts: append(more, m)}}})
	if err != nil {
		t.Fatal(err)
	}
	s.eng = eng
	t.Cleanup(func() {
		eng.Stop(-1)
		s.until("the end", func() bool {
			select {
			case <-eng.Done():
				return true
			default:
				return false
			}
		})
		s.k.Check(t)
	})
	return s
}

// until drives until a condition holds: for what workers do in their own time. The
// bound is on a hang.
func (s *site) until(what string, cond func() bool) {
	s.t.Helper()
	for end := time.Now().Add(time.Minute); ; {
		s.k.Drive()
		if cond() {
			return
		}
		if time.Now().After(end) {
			s.t.Fatalf("never: %s", what)
		}
		runtime.Gosched()
	}
}

// reader is a connection that asks for one thing after the other.
type reader struct {
	s *site
	*sim.Peer
}

func (s *site) dial() *reader { return &reader{s, s.k.Dial("host:80")} }

func (r *reader) ask(path string, fields ...string) {
	r.WriteString("GET " + path + " HTTP/1.1\r\nHost: h\r\n" + strings.Join(fields, "") + "\r\n")
	r.s.k.Drive()
}

// answer returns status and body, once they are there.
func (r *reader) answer() string {
	r.s.t.Helper()
	text := ""
	r.s.until("an answer", func() bool {
		text += string(r.Read())
		head, body, ok := strings.Cut(text, "\r\n\r\n")
		_, length, has := strings.Cut(head, "content-length: ")
		length, _, _ = strings.Cut(length, "\r\n")
		return ok && (!has || length == fmt.Sprint(len(body)))
	})
	head, body, _ := strings.Cut(text, "\r\n\r\n")
	return strings.Fields(head)[1] + " " + body
}

func (r *reader) get(path string, fields ...string) string {
	r.s.t.Helper()
	r.ask(path, fields...)
	return r.answer()
}

// long is a time of files that have been there for long.
var long = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)

// TestCachedFileIsNoOlderThanCacheTime: what has changed is served as it was for at
// most CacheTime, whatever changed, and however often it is asked for.
func TestCachedFileIsNoOlderThanCacheTime(t *testing.T) {
	now := sim.New(sim.Options{}).Now()
	for name, change := range map[string]struct {
		before, after func(*disk)
		want, later   string
		fields        []string
	}{
		"new contents":      {nil, func(d *disk) { d.set("f", "new one", now) }, "200 old", "200 new one", nil},
		"as long as before": {nil, func(d *disk) { d.set("f", "new", long.Add(1)) }, "200 old", "200 new", nil},
		"as long and in the same tick": {func(d *disk) { d.set("f", "old", now.Add(-time.Second)) },
			func(d *disk) { d.set("f", "new", now.Add(-time.Second)) }, "200 old", "200 new", nil},
		"no time, as long":         {func(d *disk) { d.set("f", "old", time.Time{}) }, func(d *disk) { d.set("f", "new", time.Time{}) }, "200 old", "200 new", nil},
		"gone":                     {nil, func(d *disk) { d.set("f", "", now) }, "200 old", "404", nil},
		"a neighbour comes":        {nil, func(d *disk) { d.set("f.gz", "zip", now) }, "200 old", "200 zip", []string{"Accept-Encoding: gzip\r\n"}},
		"a better one comes":       {func(d *disk) { d.set("f.gz", "zip", long) }, func(d *disk) { d.set("f.br", "bro", long) }, "200 zip", "200 bro", []string{"Accept-Encoding: gzip, br\r\n"}},
		"the neighbour goes":       {func(d *disk) { d.set("f.gz", "zip", long) }, func(d *disk) { d.set("f.gz", "", long) }, "200 zip", "200 old", []string{"Accept-Encoding: gzip\r\n"}},
		"only the neighbour stays": {func(d *disk) { d.set("f.gz", "zip", long) }, func(d *disk) { d.set("f", "", long) }, "200 zip", "404", []string{"Accept-Encoding: gzip\r\n"}},
		"too large for the cache":  {nil, func(d *disk) { d.set("f", strings.Repeat("x", 100_000), long) }, "200 old", "200 " + strings.Repeat("x", 100_000), nil},
	} {
		for _, often := range []bool{false, true} {
			for cache, bound := range map[time.Duration]time.Duration{0: time.Second, 10 * time.Second: 10 * time.Second} {
				d := &disk{}
				d.set("f", "old", long)
				if change.before != nil {
					change.before(d)
				}
				s := newSite(t, mount.Files("/", d, mount.Options{CacheTime: cache}), core.Limits{})
				one, two := s.dial(), s.dial()
				if got := one.get("/f", change.fields...); got != change.want {
					t.Errorf("%s: %.60q at first, want %q", name, got, change.want)
				}
				change.after(d)
				if got := two.get("/f", change.fields...); got != change.want {
					t.Errorf("%s: %.60q at once, want %q: it does not come from the cache", name, got, change.want)
				}
				for left := bound; left > 0; left -= bound / 10 {
					s.k.Advance(bound / 10)
					if often {
						one.get("/f", change.fields...)
					}
				}
				if got := two.get("/f", change.fields...); !strings.HasPrefix(got, change.later) {
					t.Errorf("%s, asked for often %v: %.60q after %v, want %.60q", name, often, got, bound, change.later)
				}
			}
		}
	}
}

// TestReplacedFileOfTheSameTimeAndLength: another file of the operating system,
// moved over the first, is seen.
func TestReplacedFileOfTheSameTimeAndLength(t *testing.T) {
	dir := t.TempDir()
	write := func(name, data string) string {
		p := filepath.Join(dir, name)
		if err := os.WriteFile(p, []byte(data), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(p, long, long); err != nil {
			t.Fatal(err)
		}
		return p
	}
	old, other := write("f", "old"), write("other", "new")
	m, err := mount.Dir("/", dir)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, m, core.Limits{})
	r := s.dial()
	if got := r.get("/f"); got != "200 old" {
		t.Fatal(got)
	}
	if err := os.Rename(other, old); err != nil {
		t.Fatal(err)
	}
	s.k.Advance(time.Second)
	if got := r.get("/f"); got != "200 new" {
		t.Errorf("%q after the file was replaced", got)
	}
}

// TestBusyFileIsNeverWaitedFor: one request in CacheTime looks at it, before its
// time is over; the others are answered meanwhile.
func TestBusyFileIsNeverWaitedFor(t *testing.T) {
	d := &disk{}
	d.set("f", "here", long)
	s := newSite(t, mount.Files("/", d, mount.Options{NoPrecompressed: true}), core.Limits{})
	one, two := s.dial(), s.dial()
	one.get("/f")
	for range 100 {
		s.k.Advance(100 * time.Millisecond)
		for range 10 {
			if got := one.get("/f"); got != "200 here" {
				t.Fatal(got)
			}
		}
	}
	if looks, opens, _, _ := d.counts(); looks < 10 || looks > 25 || opens != 1 {
		t.Errorf("%d looks, %d of them opened the file, in 10 s", looks, opens)
	}
	s.k.Advance(500 * time.Millisecond)
	d.stop(true)
	one.ask("/f") // finds out that it is time
	s.until("a look", func() bool { _, _, _, hung := d.counts(); return hung == 1 })
	for range 5 {
		two.ask("/f")
		if got := string(two.Read()); !strings.HasSuffix(got, "here") {
			t.Errorf("%q while somebody looks at the file", got)
		}
	}
	if _, _, _, hung := d.counts(); hung != 1 {
		t.Errorf("%d look at it at a time", hung)
	}
	s.k.Advance(500 * time.Millisecond)
	two.ask("/f") // its time is over
	if got := two.Read(); len(got) > 0 {
		t.Errorf("%q of a file that is older than a second", got)
	}
	d.stop(false)
	for _, r := range []*reader{one, two} {
		if got := r.answer(); got != "200 here" {
			t.Error(got)
		}
	}
}

// TestBusyWorkersDoNotFailCachedFiles: a file that may be served still is served,
// when nobody has time to look at it.
func TestBusyWorkersDoNotFailCachedFiles(t *testing.T) {
	d := &disk{}
	d.set("f", "here", long)
	d.set("g", "there", long)
	s := newSite(t, mount.Files("/", d), core.Limits{Workers: 1, WorkQueue: 1})
	r, others := s.dial(), []*reader{s.dial(), s.dial()}
	r.get("/f")
	s.k.Advance(600 * time.Millisecond)
	d.stop(true)
	others[0].ask("/g")
	s.until("a look", func() bool { _, _, _, hung := d.counts(); return hung == 1 })
	others[1].ask("/g") // waits
	r.ask("/f")
	if got := string(r.Read()); !strings.HasSuffix(got, "here") {
		t.Errorf("%q with all workers busy", got)
	}
	d.stop(false)
	for _, o := range others {
		if got := o.answer(); got != "200 there" {
			t.Error(got)
		}
	}
	if got := r.get("/f"); got != "200 here" {
		t.Error(got)
	}
	if looks, _, _, _ := d.counts(); looks < 3 {
		t.Errorf("%d looks: the file was not looked at again", looks)
	}
}

// TestCacheTimeNone: it is never looked at again.
func TestCacheTimeNone(t *testing.T) {
	d := &disk{}
	d.set("f", "old", long)
	s := newSite(t, mount.Files("/", d, mount.Options{CacheTime: -1}), core.Limits{})
	r := s.dial()
	r.get("/f")
	looks, _, _, _ := d.counts()
	d.set("f", "new", long)
	s.k.Advance(24 * time.Hour)
	if got := r.get("/f"); got != "200 old" {
		t.Error(got)
	}
	if n, _, _, _ := d.counts(); n != looks {
		t.Errorf("looked at %d times more", n-looks)
	}
}

// TestCacheBounds: of more files than fit, those that nobody asks for go first.
func TestCacheBounds(t *testing.T) {
	for name, opt := range map[string]mount.Options{
		"files": {CacheFiles: 3, CacheTime: -1, NoPrecompressed: true},
		"bytes": {CacheBytes: 3 * 12000, CacheTime: -1, NoPrecompressed: true},
	} {
		d := &disk{}
		for i := range 20 {
			d.set(fmt.Sprint("f", i), strings.Repeat("x", 10000), long)
		}
		s := newSite(t, mount.Files("/", d, opt), core.Limits{})
		r := s.dial()
		r.get("/f0")
		for i := range 20 {
			r.get(fmt.Sprint("/f", i))
			r.get("/f0")
		}
		if _, opens, _, _ := d.counts(); opens != 20 {
			t.Errorf("%s: %d opens: what was in use has gone", name, opens)
		}
		for i := range 20 {
			r.get(fmt.Sprint("/f", i))
		}
		if _, opens, _, _ := d.counts(); opens < 20+16 {
			t.Errorf("%s: %d opens: more is kept than allowed", name, opens)
		}
	}
}

// TestFileIsClosedWhenNobodyWaits: the connection has gone while a worker opened a
// large file.
func TestFileIsClosedWhenNobodyWaits(t *testing.T) {
	d := &disk{}
	d.set("f", strings.Repeat("x", 100_000), long)
	s := newSite(t, mount.Files("/", d, mount.Options{NoPrecompressed: true}), core.Limits{})
	d.stop(true)
	r := s.dial()
	r.ask("/f")
	s.until("a look", func() bool { _, _, _, hung := d.counts(); return hung == 1 })
	r.Reset()
	s.until("the connection's end", func() bool { return s.eng.Stats().Conns == 0 })
	d.stop(false)
	s.until("the file is closed", func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return d.shut == 1 && d.open == 0
	})
}
