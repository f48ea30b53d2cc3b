//go:build linux

package proc

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"
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
	c.Kill()
	gone := func() bool {
		b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(b), ") Z ") // nobody waits for it here
	}
	for until := time.Now().Add(20 * time.Second); !gone(); time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			syscall.Kill(pid, syscall.SIGKILL)
			t.Fatal("the program is left")
		}
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
