package sys

import (
	"io/fs"
	"path"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// resolveCached (RESOLVE_CACHED): fail with EAGAIN rather than look at a disk.
const resolveCached = 0x20

// openNow opens a name below dir if every part of it is in memory. Nothing leads
// out of dir, and nothing waits: not for a disk, and not for the other end of a
// fifo.
func openNow(dir int, name string, flags uint64) (int, error) {
	return unix.Openat2(dir, name, &unix.OpenHow{
		Flags:   flags | unix.O_CLOEXEC,
		Resolve: unix.RESOLVE_BENEATH | unix.RESOLVE_NO_MAGICLINKS | resolveCached,
	})
}

// ReadNow reads a regular file of at most limit bytes below the folder dir, whole,
// if that needs no waiting: if its name and its contents are in the kernel's memory
// (RESOLVE_CACHED since Linux 5.12; RWF_NOWAIT). ErrNotNow and ErrNever say that
// it was not read.
func ReadNow(dir int, name string, limit int64) ([]byte, fs.FileInfo, error) {
	fd, err := openNow(dir, name, unix.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY)
	switch err {
	case nil:
	case unix.ENOSYS, unix.EINVAL, unix.EPERM: // the kernel, or what filters its calls
		return nil, nil, ErrNever
	default:
		return nil, nil, ErrNotNow
	}
	defer unix.Close(fd)
	info := &fileInfo{name: path.Base(name)}
	st := &info.stat
	if err := syscall.Fstat(fd, st); err != nil || st.Mode&syscall.S_IFMT != syscall.S_IFREG || st.Size > limit {
		return nil, nil, ErrNotNow
	}
	data := make([]byte, st.Size)
	if len(data) == 0 {
		return data, info, nil
	}
	n, err := unix.Preadv2(fd, [][]byte{data}, 0, unix.RWF_NOWAIT)
	switch {
	case err == unix.EOPNOTSUPP, err == unix.ENOSYS:
		return nil, nil, ErrNever
	case n != len(data):
		return nil, nil, ErrNotNow
	}
	return data, info, nil
}

// AbsentNow reports whether it is known, without waiting, that there is no such
// name below the folder dir.
func AbsentNow(dir int, name string) bool {
	fd, err := openNow(dir, name, unix.O_PATH)
	if err == nil {
		unix.Close(fd)
	}
	return err == unix.ENOENT
}

// fileInfo is a regular file as fstat told it.
type fileInfo struct {
	name string
	stat syscall.Stat_t
}

func (i *fileInfo) Name() string       { return i.name }
func (i *fileInfo) Size() int64        { return i.stat.Size }
func (i *fileInfo) Mode() fs.FileMode  { return fs.FileMode(i.stat.Mode & 0o777) }
func (i *fileInfo) ModTime() time.Time { return time.Unix(i.stat.Mtim.Unix()) }
func (i *fileInfo) IsDir() bool        { return false }
func (i *fileInfo) Sys() any           { return &i.stat }
