//go:build unix

package mount_test

import (
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/mount"
)

// TestFifoHoldsNoWorker: opening a FIFO to read waits for somebody who writes.
// Here nobody does; the only worker has to come back, or neither the file behind
// it nor the engine's end would.
func TestFifoHoldsNoWorker(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("a"), 0o644); err != nil {
		t.Fatal(err)
	}
	pipe := filepath.Join(dir, "pipe")
	if err := syscall.Mkfifo(pipe, 0o644); err != nil {
		t.Skip(err)
	}
	// A compressed neighbour is opened too.
	if err := syscall.Mkfifo(filepath.Join(dir, "a.txt.gz"), 0o644); err != nil {
		t.Fatal(err)
	}
	follow, err := mount.Dir("/", dir, mount.Options{FollowLinks: true})
	if err != nil {
		t.Fatal(err)
	}
	rooted, err := mount.Dir("/", dir)
	if err != nil {
		t.Fatal(err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	for name, m := range map[string]core.Mount{
		"Dir": rooted, "FollowLinks": follow, "os.DirFS": mount.Files("/", os.DirFS(dir)), "os.Root": mount.Files("/", root.FS()),
	} {
		t.Run(name, func(t *testing.T) {
			base := serve(t, core.VHost{Mounts: []core.Mount{m}, Limits: core.Limits{Workers: 1}})
			defer watch(t, pipe, filepath.Join(dir, "a.txt.gz"))()
			for path, want := range map[string]int{"/pipe": 404, "/pipe/": 404, "/a.txt": 200} {
				if res, _ := get(t, http.MethodGet, base+path, "accept-encoding", "gzip"); res.StatusCode != want {
					t.Errorf("%s: status %d, want %d", path, res.StatusCode, want)
				}
			}
		})
	}
}

// noFiles is a folder that finds the process out of descriptors.
type noFiles struct{}

func (noFiles) Open(name string) (fs.File, error) {
	return nil, &fs.PathError{Op: "open", Path: name, Err: syscall.EMFILE}
}

// TestOutOfDescriptorsIsAnotherTime: the client may try again (RFC 9110 15.6.4).
func TestOutOfDescriptorsIsAnotherTime(t *testing.T) {
	base := serve(t, core.VHost{Mounts: []core.Mount{mount.Files("/", noFiles{})}})
	if res, _ := get(t, http.MethodGet, base+"/a.txt"); res.StatusCode != 503 {
		t.Errorf("status %d, want 503", res.StatusCode)
	}
}

// watch makes a failure of a hang: who still waits in open(2) for a writer after
// a long time gets one. The function that it returns ends it.
func watch(t *testing.T, fifos ...string) func() {
	over, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for {
			select {
			case <-over:
				return
			case <-time.After(time.Minute):
			}
			for _, name := range fifos { // there is nobody to write to unless somebody reads
				if fd, err := syscall.Open(name, syscall.O_WRONLY|syscall.O_NONBLOCK, 0); err == nil {
					syscall.Close(fd)
					t.Errorf("somebody waits for a writer of %s", name)
				}
			}
		}
	}()
	return func() { close(over); <-ended }
}
