package sys

import (
	"bytes"
	"testing"

	"golang.org/x/sys/unix"
)

// TestReadWriteOfWhatIsNoSocket: pipes are read and written like sockets.
func TestReadWriteOfWhatIsNoSocket(t *testing.T) {
	var fd [2]int
	if err := unix.Pipe2(fd[:], unix.O_NONBLOCK|unix.O_CLOEXEC); err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd[0])
	var io IO
	if n, e := io.Write(fd[1], []byte("head "), nil); n != 5 || e != 0 {
		t.Fatalf("write: %d, %v", n, e)
	}
	if n, e := io.Write(fd[1], []byte("and "), []byte("tail")); n != 8 || e != 0 {
		t.Fatalf("write of two: %d, %v", n, e)
	}
	var b [32]byte
	if n, e := io.Read(fd[0], b[:]); e != 0 || !bytes.Equal(b[:n], []byte("head and tail")) {
		t.Fatalf("read: %q, %v", b[:n], e)
	}
	if _, e := io.Read(fd[0], b[:]); e != unix.EAGAIN {
		t.Errorf("of an empty pipe: %v", e)
	}
	unix.Close(fd[1])
	if n, e := io.Read(fd[0], b[:]); n != 0 || e != 0 {
		t.Errorf("at the end: %d, %v", n, e)
	}
}
