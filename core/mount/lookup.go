package mount

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/core/header"
)

// smallFile is the size up to which a file is read whole and cached.
const smallFile = 64 << 10

// tree is what a mount serves.
type tree struct {
	fsys         fs.FS
	opt          Options
	index        string
	cacheControl string
	believe      time.Duration // how long a cached file is not looked at; negative: for ever
	cache        cache
	here         *os.File    // the folder that fsys is, nil: it is none, or not known
	never        atomic.Bool // files in it cannot be read without waiting
}

// entry is one file as it is sent: a file, or its precompressed neighbour. It
// does not change once made.
type entry struct {
	name   string // of the file that was asked for
	ctype  string
	coding string  // "br", "gzip" or ""
	near   accepts // which precompressed neighbours there are
	etag   string
	mtime  time.Time // zero: not known
	size   int64
	data   []byte         // the whole file if it is small, else nil
	whole  *core.Prepared // the answer that is all of data
	stat   fs.FileInfo    // of the file that was opened
}

// result is what a lookup found.
type result struct {
	entry    *entry
	file     fs.File // of a large file
	status   int     // instead of an entry
	location string  // with status 301
	err      error   // for the log, with status 500
}

// accepts is a set of codings: those that a client takes, or that a file comes in.
type accepts uint8

const (
	takesBr accepts = 1 << iota
	takesGzip
)

// codings are the kinds of precompressed neighbours, best first.
var codings = [...]struct {
	ext, coding string
	bit         accepts
}{{".br", "br", takesBr}, {".gz", "gzip", takesGzip}}

func acceptsOf(value []byte) (a accepts) {
	if len(value) == 0 {
		return 0
	}
	if header.Accepts(value, "br") {
		a |= takesBr
	}
	if header.Accepts(value, "gzip") {
		a |= takesGzip
	}
	return a
}

// clean turns a path below the mount into a name for the FS; ok is false if no
// file can have it.
func (t *tree) clean(p string) (name string, folder, ok bool) {
	folder = p == "" || strings.HasSuffix(p, "/")
	name = strings.Trim(p, "/")
	if name == "" {
		return ".", true, true
	}
	if !fs.ValidPath(name) || strings.ContainsAny(name, "\\\x00") {
		return "", false, false
	}
	if !t.opt.DotFiles {
		for _, part := range strings.Split(name, "/") {
			if part[0] == '.' {
				return "", false, false
			}
		}
	}
	return name, folder, true
}

// lookup opens what a name stands for. It blocks: for a worker.
func (t *tree) lookup(name string, folder bool, a accepts) result {
	f, st, err := t.open(name)
	if err != nil {
		return failed(err)
	}
	if st.IsDir() {
		f.Close()
		if !folder {
			return result{status: 301}
		}
		name = path.Join(name, t.index)
		if f, st, err = t.open(name); err != nil {
			return failed(err)
		}
	} else if folder {
		f.Close()
		return result{status: 404}
	}
	if !st.Mode().IsRegular() {
		f.Close()
		return result{status: 404}
	}
	e := &entry{name: name, ctype: t.opt.typeOf(name)}
	f, st = t.precompressed(e, f, st, a)
	return t.read(e, f, st)
}

func (t *tree) open(name string) (fs.File, fs.FileInfo, error) {
	if special(t.fsys, name) {
		return nil, nil, fs.ErrNotExist
	}
	f, err := t.fsys.Open(name)
	if err != nil {
		return nil, nil, err
	}
	st, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, nil, err
	}
	return f, st, nil
}

func failed(err error) result {
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, fs.ErrInvalid):
		return result{status: 404}
	case errors.Is(err, fs.ErrPermission):
		return result{status: 403, err: err}
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return result{status: 503, err: err} // not for long, and not the file's fault
	case strings.Contains(err.Error(), "escapes"), strings.Contains(err.Error(), "not a directory"), strings.Contains(err.Error(), "name too long"):
		return result{status: 404, err: err}
	}
	return result{status: 500, err: err}
}

// precompressed replaces an open file by its .br or .gz neighbour if there is
// one that the client takes.
func (t *tree) precompressed(e *entry, f fs.File, st fs.FileInfo, a accepts) (fs.File, fs.FileInfo) {
	if t.opt.NoPrecompressed {
		return f, st
	}
	for _, c := range codings {
		g, gst, err := t.open(e.name + c.ext)
		if err != nil {
			continue
		}
		e.near |= c.bit
		if e.coding == "" && a&c.bit != 0 && gst.Mode().IsRegular() {
			f.Close()
			f, st = g, gst
			e.coding = c.coding
			continue
		}
		g.Close()
	}
	return f, st
}

// read completes an entry, with the bytes of a small file.
func (t *tree) read(e *entry, f fs.File, st fs.FileInfo) result {
	if st.Size() <= smallFile {
		data := make([]byte, st.Size())
		_, err := io.ReadFull(f, data)
		f.Close()
		if err != nil {
			return result{status: 500, err: err}
		}
		return t.whole(e, data, st)
	}
	e.describe(st)
	if e.mtime.IsZero() {
		h := sha256.New()
		if _, err := io.Copy(h, f); err != nil {
			f.Close()
			return result{status: 500, err: err}
		}
		e.tag(h.Sum(nil))
		f.Close()
		var err error
		if f, err = t.fsys.Open(e.openName()); err != nil {
			return failed(err)
		}
	}
	return result{entry: e, file: f}
}

// whole completes an entry whose file has been read.
func (t *tree) whole(e *entry, data []byte, st fs.FileInfo) result {
	e.describe(st)
	e.data = data
	if e.mtime.IsZero() {
		h := sha256.Sum256(data)
		e.tag(h[:])
	}
	var err error
	if e.whole, err = core.Prepare(200, t.header(e), data); err != nil {
		return result{status: 500, err: err}
	}
	return result{entry: e}
}

// describe notes what is known of the file.
func (e *entry) describe(st fs.FileInfo) {
	e.size, e.mtime, e.stat = st.Size(), st.ModTime(), st
	// RFC 9110 8.8.3: a strong validator has to differ between codings too.
	b := strconv.AppendInt(append(make([]byte, 0, 40), '"'), e.size, 16)
	b = strconv.AppendInt(append(b, '-'), e.mtime.UnixNano(), 16)
	e.etag = string(append(append(b, e.coding...), '"'))
}

// tag is for files without a time: the sum of the contents tells them apart.
func (e *entry) tag(sum []byte) { e.etag = fmt.Sprintf(`"%x%s"`, sum[:12], e.coding) }

// openName is the name that was opened in the end.
func (e *entry) openName() string {
	for _, c := range codings {
		if e.coding == c.coding {
			return e.name + c.ext
		}
	}
	return e.name
}
