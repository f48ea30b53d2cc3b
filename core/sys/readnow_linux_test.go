package sys

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// folder makes files, and skips if this kernel or file system cannot read without
// waiting.
func folder(t *testing.T) (dir string, fd int) {
	t.Helper()
	dir = t.TempDir()
	for name, data := range map[string]string{"f": "contents", "empty": "", "sub/g": "below", "large": "0123456789abcdef0"} {
		os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700)
		if err := os.WriteFile(filepath.Join(dir, name), []byte(data), 0o640); err != nil {
			t.Fatal(err)
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	fd = int(f.Fd())
	if _, _, err := ReadNow(fd, "f", 16); errors.Is(err, ErrNever) {
		t.Skip("needs Linux 5.12 and a file system with RWF_NOWAIT")
	}
	return dir, fd
}

// inMemory is ReadNow of a file that was just read. Memory may have been short since,
// or somebody has mounted something: not every time.
func inMemory(t *testing.T, fd int, dir, name string) (data []byte, info os.FileInfo, err error) {
	t.Helper()
	for range 50 {
		os.ReadFile(filepath.Join(dir, name))
		if data, info, err = ReadNow(fd, name, 16); !errors.Is(err, ErrNotNow) {
			break
		}
	}
	return data, info, err
}

func TestReadNow(t *testing.T) {
	dir, fd := folder(t)
	out := filepath.Join(t.TempDir(), "secret")
	os.WriteFile(out, []byte("secret"), 0o600)
	os.Symlink(out, filepath.Join(dir, "away"))
	os.Symlink("sub/g", filepath.Join(dir, "inner"))
	if err := unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]string{"f": "contents", "empty": "", "sub/g": "below", "inner": "below"} {
		data, info, err := inMemory(t, fd, dir, name)
		if err != nil || string(data) != want {
			t.Errorf("%s: %q, %v", name, data, err)
			continue
		}
		st, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Size() != st.Size() || info.Mode() != st.Mode() || !info.ModTime().Equal(st.ModTime()) {
			t.Errorf("%s: %v %v %v, os says %v %v %v", name, info.Size(), info.Mode(), info.ModTime(), st.Size(), st.Mode(), st.ModTime())
		}
	}
	for _, name := range []string{"none", "sub", "away", "fifo", "large", "../" + filepath.Base(dir) + "/f", out} {
		if data, _, err := ReadNow(fd, name, 16); !errors.Is(err, ErrNotNow) {
			t.Errorf("%s: %q, %v", name, data, err)
		}
	}
	os.Stat(filepath.Join(dir, "none")) // it is in memory that it is not there
	for name, want := range map[string]bool{"none": true, "f": false, "sub": false, "away": false} {
		if got := AbsentNow(fd, name); got != want {
			t.Errorf("AbsentNow(%s) = %v", name, got)
		}
	}
}

// TestReadNowDoesNotWait: a page that is not in memory is not waited for. The kernel
// begins to fetch it all the same, and a quick disk may be done before it is asked
// for: but not every time.
func TestReadNowDoesNotWait(t *testing.T) {
	dir, fd := folder(t)
	data := bytes.Repeat([]byte("0123456789abcdef"), 4096)
	f, err := os.Create(filepath.Join(dir, "cold"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	f.Write(data)
	f.Sync()
	const tries = 200
	for range tries {
		if err := unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED); err != nil {
			t.Fatal(err)
		}
		if resident(t, f, len(data)) {
			t.Skip("the file system keeps it in memory")
		}
		got, _, err := ReadNow(fd, "cold", 1<<20)
		if errors.Is(err, ErrNotNow) {
			return
		}
		if err != nil || !bytes.Equal(got, data) {
			t.Fatalf("%d bytes, %v", len(got), err)
		}
	}
	t.Errorf("a file that was not in memory was read %d times", tries)
}

// resident reports whether all of a file is in memory (mincore).
func resident(t *testing.T, f *os.File, size int) bool {
	t.Helper()
	m, err := unix.Mmap(int(f.Fd()), 0, size, unix.PROT_READ, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(m)
	pages := make([]byte, size/os.Getpagesize())
	if _, _, e := unix.Syscall(unix.SYS_MINCORE, uintptr(unsafe.Pointer(&m[0])), uintptr(size), uintptr(unsafe.Pointer(&pages[0]))); e != 0 {
		t.Fatal(e)
	}
	for _, p := range pages {
		if p&1 == 0 {
			return false
		}
	}
	return true
}
