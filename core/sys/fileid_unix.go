//go:build unix

package sys

import (
	"io/fs"
	"syscall"
)

// InfoID returns the identity of a file that the operating system told of, the
// zero FileID for other files.
func InfoID(fi fs.FileInfo) FileID {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok {
		return FileID{}
	}
	return FileID{uint64(st.Dev), uint64(st.Ino)}
}
