// Package mount serves files: any io/fs.FS, or a folder of the operating system
// that nothing can escape from.
//
//	core.VHost{Mounts: []core.Mount{mount.Files("/", os.DirFS("www"))}}
//
// What may have to wait for a disk happens on the engine's bounded pool, never on the loop; a
// connection holds one chunk (64 KiB) of a large file, and the next one is read
// when the peer can take it. Small files that are asked for often lie ready to be
// sent in a bounded cache, without a system call but the socket's; a file in it
// is looked at again about once a second (Options.CacheTime).
package mount

import (
	"cmp"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"time"

	"anyloop/core"
)

// Options changes how a file mount serves. The zero value is the default.
type Options struct {
	// Index is the page of a folder; default "index.html".
	Index string
	// MIME adds to and overrides the built-in types, by suffix with the dot:
	// {".md": "text/markdown"}. "*" is for unknown suffixes; an empty type
	// sends none.
	MIME map[string]string
	// Cache is what clients and intermediaries may keep; the zero value
	// sends no-store.
	Cache Cache
	// DotFiles serves names that begin with a dot; by default they are 404.
	DotFiles bool
	// NoPrecompressed ignores .br and .gz neighbours.
	NoPrecompressed bool
	// CacheBytes bounds the memory of the cache, in which files of up to 64 KiB
	// lie ready to be sent, those that are asked for before others; 0: 16 MiB,
	// negative: no cache.
	CacheBytes int
	// CacheFiles bounds the number of files in it; 0: 4096, negative: no cache.
	CacheFiles int
	// CacheTime is how long a file in the cache is served without a look at it:
	// what has changed, is replaced or gone is seen after that time at the
	// latest. 0: one second; negative: never again, for files that do not
	// change while the program runs.
	CacheTime time.Duration
	// FollowLinks lets Dir follow symbolic links out of the folder.
	FollowLinks bool
}

// Cache says what others may keep (RFC 9111 5.2.2).
type Cache struct {
	// MaxAge is how long a copy is fresh; 0 with Reusable unset: no-store.
	MaxAge time.Duration
	// Reusable lets copies be kept at all.
	Reusable bool
	// Revalidate forbids a stale copy.
	Revalidate bool
	// Intermediaries may keep copies too (public).
	Intermediaries bool
	// NoCache lets copies be kept, but asked about each time.
	NoCache bool
}

// String returns the cache-control value.
func (c Cache) String() string {
	switch {
	case c.NoCache:
		return "no-cache"
	case !c.Reusable:
		return "no-store"
	}
	s := "private"
	if c.Intermediaries {
		s = "public"
	}
	s = fmt.Sprintf("%s, max-age=%d", s, int64(c.MaxAge/time.Second))
	if c.Revalidate {
		s = "must-revalidate, " + s
	}
	return s
}

// Files returns a mount that serves the files of fsys below path. What is neither
// a file nor a folder, such as a FIFO, is 404; it is not opened if fsys is an
// fs.StatFS, as os.DirFS is.
func Files(path string, fsys fs.FS, opts ...Options) core.Mount {
	return newTree(fsys, opts).mount(path)
}

func newTree(fsys fs.FS, opts []Options) *tree {
	t := &tree{fsys: fsys, index: "index.html"}
	for _, o := range opts {
		t.opt = o
	}
	if t.opt.Index != "" {
		t.index = t.opt.Index
	}
	t.cacheControl = t.opt.Cache.String()
	t.believe = cmp.Or(t.opt.CacheTime, time.Second)
	t.cache.init(cmp.Or(t.opt.CacheBytes, 16<<20), cmp.Or(t.opt.CacheFiles, 4096))
	return t
}

func (t *tree) mount(path string) core.Mount {
	return core.Mount{
		Path:          path,
		HTTP:          func(*core.Conn) core.HTTPHandler { return &handler{t: t} },
		ReuseRequests: true,
	}
}

// Dir is Files on a folder. Symbolic links that lead out of it are not followed
// (unless FollowLinks is set): such a name is 404. On Linux 5.12 and later a small
// file that the kernel has in memory is read by the loop itself, which does not
// wait for it; all else is for the pool.
func Dir(path, dir string, opts ...Options) (core.Mount, error) {
	follow := false
	for _, o := range opts {
		follow = o.FollowLinks
	}
	if follow {
		if st, err := os.Stat(dir); err != nil || !st.IsDir() {
			return core.Mount{}, fmt.Errorf("mount: %s is no folder: %w", dir, err)
		}
		return Files(path, linked(dir), opts...), nil
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return core.Mount{}, fmt.Errorf("mount: %w", err)
	}
	t := newTree(rooted(root), opts)
	if t.here, err = root.Open("."); err != nil {
		return core.Mount{}, fmt.Errorf("mount: %w", err)
	}
	return t.mount(path), nil
}

// Redirect returns a mount that answers with a redirection to target, to which
// what follows the mount's path is appended if target ends with a slash. code is
// 301, 302, 303, 307 or 308.
func Redirect(path, target string, code int) core.Mount {
	return core.Mount{Path: path, HTTP: core.HTTPFunc(func(_ *core.Conn, r *core.Request, w *core.HTTPWriter) error {
		to := target
		if strings.HasSuffix(to, "/") {
			to += escapePath(strings.TrimPrefix(r.MountPath(), "/"))
		}
		return w.Redirect(code, to)
	})}
}

// escapePath percent-encodes what a Location must not have as it is.
func escapePath(p string) string {
	const hex = "0123456789ABCDEF"
	var b strings.Builder
	for i := 0; i < len(p); i++ {
		c := p[i]
		if c <= ' ' || c >= 0x7f || strings.IndexByte(`"<>\^`+"`{|}%?#", c) >= 0 {
			b.WriteByte('%')
			b.WriteByte(hex[c>>4])
			b.WriteByte(hex[c&15])
			continue
		}
		b.WriteByte(c)
	}
	return b.String()
}
