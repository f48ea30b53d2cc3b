//go:build linux

package proc

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// parent is a role that starts a program and tells its process id.
func parent(json.RawMessage) (Answer, func() error, error) {
	p, err := Run(AnyCore, "sleep", "60")
	if err != nil {
		return nil, nil, err
	}
	return func(string, json.RawMessage) (any, error) {
		fmt.Println("this is not an answer")
		return p.Pid(), nil
	}, p.Stop, nil
}

func TestMain(m *testing.M) {
	Main(map[string]Role{"parent": parent})
	os.Exit(m.Run())
}

func field(t *testing.T, pid int, name string) string {
	t.Helper()
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(b), "\n"+name+":")
	line, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(line)
}

// TestPinned: a program runs on the core that it is given, and nobody else is moved.
func TestPinned(t *testing.T) {
	cores, err := Cores()
	if err != nil {
		t.Fatal(err)
	}
	last := cores[len(cores)-1]
	p, err := Run(last, "sleep", "60")
	if err != nil {
		t.Fatal(err)
	}
	if got := field(t, p.Pid(), "Cpus_allowed_list"); got != fmt.Sprint(last) {
		t.Errorf("it may run on %s, not on %d", got, last)
	}
	if err := p.Stop(); err != nil {
		t.Error(err)
	}
	if now, err := Cores(); err != nil || len(now) != len(cores) {
		t.Errorf("this process has the cores %v, had %v: %v", now, cores, err)
	}
}

// TestNobodyIsLeft: a program ends when the process that has started it dies, which
// prints nothing into its own answers.
func TestNobodyIsLeft(t *testing.T) {
	c, err := Start("parent", nil, 1)
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if err := c.Ask("pid", nil, &pid); err != nil {
		t.Fatal(err)
	}
	if err := syscall.Kill(pid, 0); err != nil {
		t.Fatalf("the program does not run: %v", err)
	}
	fd, err := unix.PidfdOpen(pid, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(fd)
	c.Kill()
	end := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}} // when it has ended, whoever waits for it
	n, err := unix.Poll(end, 60_000)
	for err == unix.EINTR {
		n, err = unix.Poll(end, 60_000)
	}
	if n != 1 {
		syscall.Kill(pid, syscall.SIGKILL)
		t.Fatalf("the program is left: %v", err)
	}
}

// TestWhatItSaid: a program that ends by itself is an error, with the end of what it
// has said.
func TestWhatItSaid(t *testing.T) {
	p, err := Run(AnyCore, "sh", "-c", "echo one; echo two >&2; exit 3")
	if err != nil {
		t.Fatal(err)
	}
	<-p.ended
	if err := p.Stop(); err == nil || !strings.Contains(err.Error(), "exit status 3: one\ntwo") {
		t.Errorf("%v", err)
	}
	var long tail
	for range 3000 {
		long.Write([]byte("x"))
	}
	long.Write([]byte("end"))
	if s := long.text(); len(s) != 2<<10 || !strings.HasSuffix(s, "xend") {
		t.Errorf("%d bytes are kept", len(s))
	}
}

// used returns what this process uses while it does something for a while.
func used(t *testing.T, something func()) CPU {
	t.Helper()
	before, err := Used(os.Getpid())
	for u := before; err == nil && u.All-before.All < 100*time.Millisecond; {
		something()
		u, err = Used(os.Getpid())
	}
	after, e := Used(os.Getpid())
	if err = errors.Join(err, e); err != nil {
		t.Fatal(err)
	}
	return after.Sub(before)
}

// TestUserPart: to compute is user time, to map memory is the kernel's.
func TestUserPart(t *testing.T) {
	x := 1.
	computing := used(t, func() {
		for range 1_000_000 {
			x = math.Sqrt(x + 1)
		}
	})
	mapping := used(t, func() {
		b, err := unix.Mmap(-1, 0, 16<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_POPULATE)
		if err != nil {
			t.Fatal(err)
		}
		unix.Munmap(b)
	})
	if c, r := computing.UserPart(), mapping.UserPart(); c < 0.6 || r > 0.4 {
		t.Errorf("user time is %.2f of computing and %.2f of mapping (%v)", c, r, x)
	}
	if all := computing.Add(mapping).All; all < 200*time.Millisecond || all > 10*time.Second {
		t.Errorf("both took %v", all)
	}
	if _, err := Used(1<<22 + 1); err == nil {
		t.Error("a process that is not there has CPU time")
	}
}

// TestResident: memory that is touched is resident.
func TestResident(t *testing.T) {
	before, err := Resident(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	b, err := unix.Mmap(-1, 0, 64<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Munmap(b)
	for i := 0; i < len(b); i += 4096 {
		b[i] = 1
	}
	after, err := Resident(os.Getpid())
	if grown := after - before; err != nil || grown < 60<<20 || grown > 80<<20 {
		t.Errorf("it has grown by %d bytes of %d: %v", grown, len(b), err)
	}
}

// TestBusy: what this process does keeps the machine busy.
func TestBusy(t *testing.T) {
	before, err := Busy()
	if err != nil {
		t.Fatal(err)
	}
	x := 1.
	mine := used(t, func() {
		for range 1_000_000 {
			x = math.Sqrt(x + 1)
		}
	})
	after, err := Busy()
	if busy := after - before; err != nil || busy < mine.All/2 {
		t.Errorf("the machine was busy for %v, this process for %v (%v): %v", busy, mine.All, x, err)
	}
}
