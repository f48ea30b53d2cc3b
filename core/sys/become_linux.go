package sys

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanBecome reports whether ExecAs is supported here.
const CanBecome = true

// ExecAs puts a program in place of this one: same process, other user. keep are
// the descriptors that it inherits besides 0, 1 and 2. It returns only on an error;
// this process then is what it was.
//
// In a process with many threads, no one call changes the credentials of all.
// Here those of one thread are changed, and it is this thread that executes the
// program: the kernel ends the others, and their credentials with them.
func ExecAs(id Identity, path string, argv, env []string, keep []int) error {
	failed := make(chan error)
	go func() {
		// Never unlocked: when this goroutine ends, so does the thread.
		runtime.LockOSThread()
		failed <- id.exec(path, argv, env, keep)
	}()
	return <-failed
}

func (id *Identity) exec(path string, argv, env []string, keep []int) (err error) {
	syscall.ForkLock.RLock() // no child gets the descriptors meanwhile
	defer syscall.ForkLock.RUnlock()
	for _, fd := range keep {
		if _, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, 0); err != nil {
			return fmt.Errorf("sys: descriptor %d: %w", fd, err)
		}
		defer unix.CloseOnExec(fd)
	}
	if err := id.take(); err != nil {
		return fmt.Errorf("sys: %w", err)
	}
	return fmt.Errorf("sys: executing %s as user %d: %w", path, id.UID, syscall.Exec(path, argv, env))
}

// take gives the identity to the calling thread. What it keeps is made ambient,
// since the capabilities of a user's thread do not live through execve otherwise.
func (id *Identity) take() error {
	if err := unix.Prctl(unix.PR_SET_KEEPCAPS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("PR_SET_KEEPCAPS: %w", err)
	}
	groups := make([]uint32, len(id.Groups))
	for i, g := range id.Groups {
		groups[i] = uint32(g)
	}
	uid, gid := uintptr(id.UID), uintptr(id.GID)
	if _, _, e := unix.RawSyscall(sysSetgroups, uintptr(len(groups)), uintptr(unsafe.Pointer(unsafe.SliceData(groups))), 0); e != 0 {
		return fmt.Errorf("setgroups %d: %w", id.Groups, e)
	}
	if _, _, e := unix.RawSyscall(sysSetresgid, gid, gid, gid); e != 0 {
		return fmt.Errorf("setresgid %d: %w", gid, e)
	}
	if _, _, e := unix.RawSyscall(sysSetresuid, uid, uid, uid); e != 0 {
		return fmt.Errorf("setresuid %d: %w", uid, e)
	}
	var set [2]unix.CapUserData
	for _, c := range id.Keep {
		bit := uint32(1) << (c % 32)
		set[c/32].Effective |= bit
		set[c/32].Permitted |= bit
		set[c/32].Inheritable |= bit
	}
	if err := unix.Capset(&unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}, &set[0]); err != nil {
		return fmt.Errorf("keeping capabilities %d: %w", id.Keep, err)
	}
	for _, c := range id.Keep {
		if err := unix.Prctl(unix.PR_CAP_AMBIENT, unix.PR_CAP_AMBIENT_RAISE, uintptr(c), 0, 0); err != nil {
			return fmt.Errorf("keeping capability %d: %w", c, err)
		}
	}
	return nil
}

const memorySeals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// Memory makes a file without a name that holds data and cannot be changed.
func Memory(data []byte) (fd int, err error) {
	fd, err = unix.MemfdCreate("inherited", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return -1, fmt.Errorf("sys: memfd_create: %w", err)
	}
	for at := 0; err == nil && at < len(data); {
		var n int
		n, err = unix.Pwrite(fd, data[at:], int64(at))
		at += n
	}
	if err == nil {
		_, err = unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, memorySeals)
	}
	if err != nil {
		unix.Close(fd)
		return -1, fmt.Errorf("sys: memory of %d bytes: %w", len(data), err)
	}
	return fd, nil
}

// TakeMemory reads what Memory has made, and closes it. It touches no other
// descriptor.
func TakeMemory(fd int) ([]byte, error) {
	if seals, err := unix.FcntlInt(uintptr(fd), unix.F_GET_SEALS, 0); err != nil || seals != memorySeals {
		return nil, fmt.Errorf("sys: descriptor %d: %w", fd, errors.Join(errNotMemory, err))
	}
	f := os.NewFile(uintptr(fd), "inherited")
	defer f.Close()
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	data := make([]byte, st.Size())
	if _, err := f.ReadAt(data, 0); err != nil && len(data) > 0 {
		return nil, err
	}
	return data, nil
}

var errNotMemory = errors.New("not what was left to us")

// CloseOnExec keeps a descriptor from the programs that this one starts. An error
// says that there is none.
func CloseOnExec(fd int) error {
	_, err := unix.FcntlInt(uintptr(fd), unix.F_SETFD, unix.FD_CLOEXEC)
	return err
}
