package mount

import (
	"errors"
	"io"
	"io/fs"
	"sync"
)

// chunkSize is how much of a large file a connection holds.
const chunkSize = 64 << 10

var chunks = sync.Pool{New: func() any { return new([chunkSize]byte) }}

// openFile is a file that a worker may be reading when the connection ends: the
// last of the two closes it.
type openFile struct {
	mu      sync.Mutex
	f       fs.File
	chunk   *[chunkSize]byte
	pos     int64
	reading bool
	over    bool
}

func (of *openFile) begin() {
	of.mu.Lock()
	of.reading = true
	if of.chunk == nil {
		of.chunk = chunks.Get().(*[chunkSize]byte)
	}
	of.mu.Unlock()
}

func (of *openFile) end() {
	of.mu.Lock()
	of.reading = false
	if of.over {
		of.free()
	}
	of.mu.Unlock()
}

func (of *openFile) close() {
	of.mu.Lock()
	if !of.over {
		of.over = true
		if !of.reading {
			of.free()
		}
	}
	of.mu.Unlock()
}

func (of *openFile) free() {
	if of.f != nil {
		of.f.Close()
	}
	if of.chunk != nil {
		chunks.Put(of.chunk)
		of.chunk = nil
	}
}

// readAt fills n bytes of the chunk. A file that ends early has been truncated.
func (of *openFile) readAt(off int64, n int) (int, error) {
	buf := of.chunk[:n]
	if r, ok := of.f.(io.ReaderAt); ok {
		got, err := r.ReadAt(buf, off)
		if got == n {
			err = nil
		}
		return got, early(err)
	}
	if off != of.pos {
		if err := of.seek(off); err != nil {
			return 0, err
		}
	}
	got, err := io.ReadFull(of.f, buf)
	of.pos += int64(got)
	return got, early(err)
}

func early(err error) error {
	if errors.Is(err, io.EOF) {
		return io.ErrUnexpectedEOF
	}
	return err
}

// seek moves a file without ReadAt: by Seek, or forward by reading.
func (of *openFile) seek(off int64) error {
	if s, ok := of.f.(io.Seeker); ok {
		_, err := s.Seek(off, io.SeekStart)
		of.pos = off
		return err
	}
	if off < of.pos {
		return errors.New("mount: this file system cannot go back in a file")
	}
	n, err := io.CopyN(io.Discard, of.f, off-of.pos)
	of.pos += n
	return early(err)
}
