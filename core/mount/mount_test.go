package mount_test

import (
	"bytes"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/fstest"
	"time"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/loops/poll"
)

var modified = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

func file(data string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(data), ModTime: modified} }

var tree = fstest.MapFS{
	"index.html":      file("<h1>index</h1>"),
	"a.txt":           file("0123456789abcdefghij"),
	"sub/index.html":  file("sub"),
	"empty/x.bin":     file("x"),
	"big.bin":         file(strings.Repeat("0123456789abcdef", 20000)),
	"style.css":       file("body{}"),
	"style.css.gz":    file("gzipped"),
	"style.css.br":    file("brotli"),
	".secret":         file("no"),
	"with space.html": file("space"),
	"zero.txt":        file(""),
}

// serve runs an engine with mounts and returns its base URL.
func serve(t *testing.T, vh core.VHost) string {
	t.Helper()
	vh.Addr = "127.0.0.1:0"
	vh.Limits.HandshakeTimeout, vh.Limits.HeaderIdleTimeout, vh.Limits.KeepAliveTimeout = time.Minute, time.Minute, time.Minute
	vh.Limits.ContentTimeout, vh.Limits.FlushTimeout, vh.Limits.LingerTimeout = time.Minute, time.Minute, time.Minute // slow machines
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{vh}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- eng.Run(t.Context()) }()
	t.Cleanup(func() {
		eng.Stop(-1)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return "http://" + eng.VHost("default").Addr()
}

var client = &http.Client{
	CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	Transport:     &http.Transport{DisableCompression: true},
}

func get(t *testing.T, method, url string, header ...string) (*http.Response, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatalf("%s: %v", url, err)
	}
	return res, string(body)
}

func TestFiles_28_3(t *testing.T) {
	base := serve(t, core.VHost{Mounts: []core.Mount{mount.Files("/", tree), mount.Files("/deep/er", tree), mount.Redirect("/old", "/a.txt", 301)}})
	for _, c := range []struct {
		method, path string
		header       []string
		status       int
		want         string // "name: value" lines, "!name" for absent, "=body"
	}{
		{"GET", "/", nil, 200, "=<h1>index</h1>|content-type: text/html; charset=utf-8|cache-control: no-store|accept-ranges: bytes"},
		{"HEAD", "/", nil, 200, "=|content-length: 14"},
		{"GET", "/a.txt", nil, 200, "=0123456789abcdefghij|last-modified: Sun, 01 Mar 2026 10:00:00 GMT"},
		{"GET", "/zero.txt", nil, 200, "=|content-length: 0"},
		{"GET", "/sub", nil, 301, "location: /sub/"},
		{"GET", "/sub/", nil, 200, "=sub"},
		{"GET", "/empty/", nil, 404, ""},
		{"GET", "/a.txt/", nil, 404, ""},
		{"GET", "/nope", nil, 404, ""},
		{"GET", "/.secret", nil, 404, ""},
		{"GET", "/with%20space.html", nil, 200, "=space"},
		{"GET", "/deep/er", nil, 301, "location: /deep/er/"},
		{"GET", "/deep/er/", nil, 200, "=<h1>index</h1>"},
		{"GET", "/deep/er/a.txt", nil, 200, ""},
		{"GET", "/deep/erx", nil, 404, ""},
		{"GET", "/old", nil, 301, "location: /a.txt"},
		{"POST", "/a.txt", nil, 405, "allow: GET, HEAD"},
		{"GET", "/style.css", nil, 200, "=body{}|vary: accept-encoding|!content-encoding"},
		{"GET", "/style.css", []string{"Accept-Encoding", "gzip"}, 200, "=gzipped|content-encoding: gzip|vary: accept-encoding|content-type: text/css; charset=utf-8"},
		{"GET", "/style.css", []string{"Accept-Encoding", "gzip, br"}, 200, "=brotli|content-encoding: br"},
		{"GET", "/style.css", []string{"Accept-Encoding", "gzip", "Range", "bytes=0-1"}, 200, "=gzipped"},
		{"GET", "/a.txt", []string{"Range", "bytes=0-4"}, 206, "=01234|content-range: bytes 0-4/20"},
		{"GET", "/a.txt", []string{"Range", "bytes=15-"}, 206, "=fghij"},
		{"GET", "/a.txt", []string{"Range", "bytes=-3"}, 206, "=hij"},
		{"GET", "/a.txt", []string{"Range", "bytes=10-99"}, 206, "=abcdefghij"},
		{"GET", "/a.txt", []string{"Range", "bytes=20-"}, 416, "content-range: bytes */20"},
		{"GET", "/a.txt", []string{"Range", "bytes=5-2"}, 200, ""},
		{"GET", "/a.txt", []string{"Range", "lines=1-2"}, 200, ""},
		{"GET", "/a.txt", []string{"Range", "bytes=0-4", "If-Range", "\"stale\""}, 200, ""},
		{"GET", "/a.txt", []string{"Range", "bytes=0-4", "If-Range", "Sun, 01 Mar 2026 10:00:00 GMT"}, 206, ""},
		{"GET", "/a.txt", []string{"If-Modified-Since", "Sun, 01 Mar 2026 10:00:00 GMT"}, 304, "=|!content-length"},
		{"GET", "/a.txt", []string{"If-Modified-Since", "Sun, 01 Mar 2026 09:59:59 GMT"}, 200, ""},
		{"GET", "/a.txt", []string{"If-None-Match", "*"}, 304, ""},
		{"GET", "/a.txt", []string{"If-Match", "\"other\""}, 412, ""},
		{"GET", "/a.txt", []string{"If-Unmodified-Since", "Sat, 28 Feb 2026 10:00:00 GMT"}, 412, ""},
		{"GET", "/big.bin", []string{"Range", "bytes=100000-250000"}, 206, "content-range: bytes 100000-250000/320000"},
	} {
		get(t, c.method, base+c.path, c.header...) // the second answer is the cache's, if it can be
		res, body := get(t, c.method, base+c.path, c.header...)
		name := fmt.Sprintf("%s %s %v", c.method, c.path, c.header)
		if res.StatusCode != c.status {
			t.Errorf("%s: status %d, want %d", name, res.StatusCode, c.status)
			continue
		}
		for _, w := range strings.Split(c.want, "|") {
			key, value, _ := strings.Cut(w, ": ")
			switch {
			case w == "":
			case w[0] == '=':
				if body != w[1:] {
					t.Errorf("%s: body %.60q, want %q", name, body, w[1:])
				}
			case w[0] == '!':
				if v := res.Header.Get(w[1:]); v != "" {
					t.Errorf("%s: %s: %s", name, w[1:], v)
				}
			case res.Header.Get(key) != value:
				t.Errorf("%s: %s: %q, want %q", name, key, res.Header.Get(key), value)
			}
		}
	}
	etag := func(path string, h ...string) string {
		r, _ := get(t, "GET", base+path, h...)
		return r.Header.Get("etag")
	}
	if res, _ := get(t, "GET", base+"/a.txt", "If-None-Match", etag("/a.txt")); res.StatusCode != 304 {
		t.Errorf("own etag: %d", res.StatusCode)
	}
	if etag("/style.css") == etag("/style.css", "Accept-Encoding", "gzip") {
		t.Error("codings share an etag")
	}
}

// TestManyRanges compares multipart answers with net/http's.
func TestManyRanges(t *testing.T) {
	base := serve(t, core.VHost{Mounts: []core.Mount{mount.Files("/", tree)}})
	std := httptest.NewServer(http.FileServerFS(tree))
	defer std.Close()
	for _, r := range []string{"bytes=0-1,5-6", "bytes=0-1, -2", "bytes=0-0,99-", "bytes=1-2,4-5,7-8"} {
		for _, f := range []string{"/a.txt", "/big.bin"} {
			ours, got := get(t, "GET", base+f, "Range", r)
			theirs, want := get(t, "GET", std.URL+f, "Range", r)
			if ours.StatusCode != theirs.StatusCode {
				t.Errorf("%s %s: %d, net/http %d", f, r, ours.StatusCode, theirs.StatusCode)
			}
			if g, w := parts(t, ours, got), parts(t, theirs, want); g != w {
				t.Errorf("%s %s: %q, net/http %q", f, r, g, w)
			}
		}
	}
}

func parts(t *testing.T, res *http.Response, body string) string {
	t.Helper()
	_, boundary, ok := strings.Cut(res.Header.Get("content-type"), "boundary=")
	if !ok {
		return res.Header.Get("content-range") + "|" + body
	}
	s := ""
	for _, p := range strings.Split(body, "--"+boundary) {
		head, data, _ := strings.Cut(p, "\r\n\r\n")
		for _, l := range strings.Split(head, "\r\n") {
			if k, v, ok := strings.Cut(l, ": "); ok && strings.EqualFold(k, "content-range") {
				s += v + "|" + strings.TrimSuffix(data, "\r\n") + ";"
			}
		}
	}
	return s
}

func TestBigFileIsWhole(t *testing.T) {
	dir := t.TempDir()
	data := bytes.Repeat([]byte("0123456789abcdef"), 1<<16)
	if err := os.WriteFile(filepath.Join(dir, "f"), data, 0o600); err != nil {
		t.Fatal(err)
	}
	m, err := mount.Dir("/", dir)
	if err != nil {
		t.Fatal(err)
	}
	base := serve(t, core.VHost{Mounts: []core.Mount{m}})
	for range 3 {
		if _, body := get(t, "GET", base+"/f"); body != string(data) {
			t.Fatalf("%d bytes of %d", len(body), len(data))
		}
	}
}

func TestLinksDoNotEscape(t *testing.T) {
	outside, inside := t.TempDir(), t.TempDir()
	os.WriteFile(filepath.Join(outside, "secret"), []byte("secret"), 0o600)
	os.WriteFile(filepath.Join(inside, "ok"), []byte("ok"), 0o600)
	os.Symlink(filepath.Join(outside, "secret"), filepath.Join(inside, "link"))
	os.Symlink("ok", filepath.Join(inside, "inner"))
	m, err := mount.Dir("/", inside)
	if err != nil {
		t.Fatal(err)
	}
	base := serve(t, core.VHost{Mounts: []core.Mount{m}})
	for path, want := range map[string]int{"/link": 404, "/inner": 200, "/ok": 200} {
		if res, _ := get(t, "GET", base+path); res.StatusCode != want {
			t.Errorf("%s: %d, want %d", path, res.StatusCode, want)
		}
	}
}

func TestErrorDocument_31_T2(t *testing.T) {
	base := serve(t, core.VHost{ErrorDocument404: "/a.txt", Mounts: []core.Mount{mount.Files("/", tree)}})
	res, _ := get(t, "GET", base+"/nope")
	if res.StatusCode != 302 || res.Header.Get("location") != "/a.txt" {
		t.Errorf("%d to %s", res.StatusCode, res.Header.Get("location"))
	}
	if res, body := get(t, "GET", base+"/a.txt"); res.StatusCode != 404 || body != "0123456789abcdefghij" {
		t.Errorf("%d %q", res.StatusCode, body)
	}
}

func TestCacheControl_28_T4(t *testing.T) {
	for _, c := range []struct {
		cache mount.Cache
		want  string
	}{
		{mount.Cache{}, "no-store"},
		{mount.Cache{NoCache: true}, "no-cache"},
		{mount.Cache{MaxAge: time.Minute}, "no-store"},
		{mount.Cache{Reusable: true, MaxAge: time.Minute}, "private, max-age=60"},
		{mount.Cache{Reusable: true, MaxAge: time.Hour, Intermediaries: true}, "public, max-age=3600"},
		{mount.Cache{Reusable: true, MaxAge: time.Hour, Revalidate: true}, "must-revalidate, private, max-age=3600"},
	} {
		if got := c.cache.String(); got != c.want {
			t.Errorf("%+v: %s, want %s", c.cache, got, c.want)
		}
	}
}

// counting counts opens and closes.
type counting struct {
	fs.FS
	open atomic.Int64
}

func (c *counting) Open(name string) (fs.File, error) {
	f, err := c.FS.Open(name)
	if err != nil {
		return nil, err
	}
	c.open.Add(1)
	return &counted{f, c}, nil
}

type counted struct {
	fs.File
	c *counting
}

func (f *counted) Close() error { f.c.open.Add(-1); return f.File.Close() }

// TestEveryFileIsClosed_21_T2: after 1000 requests, a third of them broken off.
func TestEveryFileIsClosed_21_T2(t *testing.T) {
	c := &counting{FS: tree}
	base := serve(t, core.VHost{Mounts: []core.Mount{mount.Files("/", c, mount.Options{CacheBytes: -1})}})
	for i := range 1000 {
		path := []string{"/big.bin", "/a.txt", "/style.css", "/nope", "/sub"}[i%5]
		res, err := client.Get(base + path)
		if err != nil {
			t.Fatal(err)
		}
		if i%3 != 0 {
			io.Copy(io.Discard, res.Body)
		}
		res.Body.Close()
	}
	client.CloseIdleConnections()
	for end := time.Now().Add(time.Minute); c.open.Load() != 0; {
		if time.Now().After(end) {
			t.Fatalf("%d files are still open", c.open.Load())
		}
		get(t, "GET", base+"/nope")
	}
}
