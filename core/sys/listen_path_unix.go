//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package sys

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"strconv"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// unixMode lets the owner and the group connect.
const unixMode fs.FileMode = 0o660

// anyBacklog is cut down to what the system allows.
const anyBacklog = 1<<16 - 1

// listenUnix makes the socket, gives its path to whom it shall belong, and only
// then listens: nobody connects in between.
func listenUnix(o *ListenOptions) (fd int, err error) {
	path := o.Address
	name, abstract := strings.CutPrefix(path, "@")
	switch {
	case !abstract:
		name = path
		err = removeStale(path)
	case !hasAbstract:
		err = fmt.Errorf("abstract names: %w", ErrUnsupported)
	case o.UnixMode != 0 || o.UnixOwner != "":
		err = errors.New("an abstract name has no mode and no owner")
	default:
		name = "\x00" + name
	}
	if err != nil {
		return -1, err
	}
	fd, err = streamSocket(unix.AF_UNIX)
	if err != nil {
		return -1, err
	}
	if err = unix.Bind(fd, &unix.SockaddrUnix{Name: name}); err != nil {
		unix.Close(fd)
		return -1, err
	}
	if !abstract {
		err = o.own(path)
	}
	if err == nil {
		err = unix.Listen(fd, cmp.Or(o.Backlog, anyBacklog))
	}
	if err != nil {
		if !abstract {
			os.Remove(path)
		}
		unix.Close(fd)
		return -1, err
	}
	return fd, nil
}

// own sets owner and mode of the path.
func (o *ListenOptions) own(path string) error {
	if o.UnixOwner != "" {
		uid, gid, err := ownerIDs(o.UnixOwner)
		if err != nil {
			return err
		}
		if err := os.Lchown(path, uid, gid); err != nil {
			return err
		}
	}
	mode := o.UnixMode
	if mode == 0 {
		mode = unixMode
	}
	return os.Chmod(path, mode)
}

// ownerIDs reads "user:group"; -1 leaves one as it is.
func ownerIDs(owner string) (uid, gid int, err error) {
	name, group, _ := strings.Cut(owner, ":")
	uid, gid = -1, -1
	if name != "" {
		if uid, err = strconv.Atoi(name); err != nil {
			u, err := user.Lookup(name)
			if err != nil {
				return -1, -1, err
			}
			uid, _ = strconv.Atoi(u.Uid)
		}
	}
	if group != "" {
		if gid, err = strconv.Atoi(group); err != nil {
			g, err := user.LookupGroup(group)
			if err != nil {
				return -1, -1, err
			}
			gid, _ = strconv.Atoi(g.Gid)
		}
	}
	return uid, gid, nil
}

// removeStale removes a socket that nobody listens on any more.
func removeStale(path string) error {
	st, err := os.Lstat(path)
	if err != nil || st.Mode()&os.ModeSocket == 0 {
		return nil // bind says what is wrong
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		c.Close()
		return syscall.EADDRINUSE
	}
	if errors.Is(err, syscall.ECONNREFUSED) {
		return os.Remove(path)
	}
	return nil
}

// PathID returns the identity of the file at path, zero if there is none.
func PathID(path string) FileID {
	var st unix.Stat_t
	if err := unix.Lstat(path, &st); err != nil {
		return FileID{}
	}
	return FileID{uint64(st.Dev), uint64(st.Ino)}
}

// RemovePath removes the file at path if it is still the one that id tells. Only a
// file that exists keeps its identity: call it before the socket is closed.
func RemovePath(path string, id FileID) error {
	if id == (FileID{}) || PathID(path) != id {
		return nil
	}
	return os.Remove(path)
}
