package mount

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// folder is a folder of the operating system whose files are opened without
// waiting. What package os makes of one waits in open(2) for the other end of a
// FIFO, and with it a worker and the end of the engine, for ever.
type folder struct {
	fs.FS
	open func(name string, flag int, perm fs.FileMode) (*os.File, error)
}

func rooted(root *os.Root) folder { return folder{root.FS(), root.OpenFile} }

// linked is a folder whose symbolic links may lead out of it.
func linked(dir string) folder {
	return folder{os.DirFS(dir), func(name string, flag int, perm fs.FileMode) (*os.File, error) {
		return os.OpenFile(filepath.Join(dir, filepath.FromSlash(name)), flag, perm)
	}}
}

func (d folder) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	f, err := d.open(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// Stat is here since the interface that is embedded does not have it.
func (d folder) Stat(name string) (fs.FileInfo, error) { return fs.Stat(d.FS, name) }

// special reports whether name is known to be neither a file nor a folder, of a
// file system that can tell without opening it, and might wait there.
func special(fsys fs.FS, name string) bool {
	if _, ok := fsys.(folder); ok {
		return false
	}
	s, ok := fsys.(fs.StatFS)
	if !ok {
		return false
	}
	st, err := s.Stat(name)
	return err == nil && !st.IsDir() && !st.Mode().IsRegular()
}
