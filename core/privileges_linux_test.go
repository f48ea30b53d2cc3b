package core_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
)

// helper is a process that runs TestHelperProcess.
type helper struct {
	t   *testing.T
	cmd *exec.Cmd
	in  io.WriteCloser
	out *bufio.Reader
}

func startHelper(t *testing.T, mode string, attr *syscall.SysProcAttr) *helper {
	t.Helper()
	h := &helper{t: t, cmd: exec.Command("/proc/self/exe", "-test.run=^TestHelperProcess$", "-test.timeout=5m")}
	h.cmd.Env = append(os.Environ(), helperVar+"="+mode)
	h.cmd.SysProcAttr = attr
	h.cmd.Stderr = os.Stderr
	h.in, _ = h.cmd.StdinPipe()
	out, _ := h.cmd.StdoutPipe()
	h.out = bufio.NewReader(out)
	if err := h.cmd.Start(); err != nil {
		t.Skip("no process as this test needs it:", err)
	}
	t.Cleanup(h.quit)
	return h
}

func (h *helper) tell(line string) { fmt.Fprintln(h.in, line) }

func (h *helper) hear() (r report) {
	h.t.Helper()
	line, err := h.out.ReadString('\n')
	if err == nil {
		err = json.Unmarshal([]byte(line), &r)
	}
	if err != nil {
		rest, _ := io.ReadAll(h.out)
		h.t.Fatalf("the helper: %v: %s%s", err, line, rest)
	}
	return r
}

func (h *helper) quit() {
	h.in.Close()
	rest, _ := io.ReadAll(h.out)
	if err := h.cmd.Wait(); err != nil {
		h.t.Errorf("the helper: %v: %s", err, rest)
	}
}

// needRoot skips what only root can do.
func needRoot(t *testing.T) {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("not root")
	}
}

func needIP(t *testing.T) {
	t.Helper()
	needRoot(t)
	if _, err := exec.LookPath("ip"); err != nil {
		if os.Getenv("ANYLOOP_CI") != "" {
			t.Fatal("no ip(8), which .ci/run installs")
		}
		t.Skip("no ip(8): package iproute2")
	}
}

// elsewhere runs fn on a thread in a network namespace of its own.
func elsewhere(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan error)
	go func() {
		runtime.LockOSThread() // for good: the thread ends with its namespace
		err := unix.Unshare(unix.CLONE_NEWNET)
		if err == nil {
			fn()
		}
		done <- err
	}()
	if err := <-done; err != nil {
		t.Skip("no network namespace:", err)
	}
}

// TestPrivilegesDrop_29: two interfaces lead from a client's network to the
// server's, which listens on one of them, and on a port of root's.
func TestPrivilegesDrop_29(t *testing.T) {
	needIP(t)
	dir := t.TempDir()
	for p := dir; p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		os.Chmod(p, 0o755)
	}
	secret := filepath.Join(dir, "secret")
	if err := os.WriteFile(secret, []byte("the key"), 0o600); err != nil {
		t.Fatal(err)
	}
	h := startHelper(t, "drop "+dir, &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET})
	before := h.hear()
	elsewhere(t, func() {
		if err := ips(
			fmt.Sprintf("link add b0 type veth peer name a0 netns %d", before.PID),
			fmt.Sprintf("link add b1 type veth peer name a1 netns %d", before.PID),
			"addr add 10.9.1.2/24 dev b0", "link set b0 up", "addr add 10.9.2.2/24 dev b1", "link set b1 up",
		); err != nil {
			t.Error(err)
			return
		}
		h.tell("go on")
		r := h.hear()
		checkDropped(t, before, r, secret)
		c, err := net.DialTimeout("tcp", "10.9.1.1:82", time.Minute)
		if err != nil {
			t.Errorf("over the interface: %v", err)
			return
		}
		defer c.Close()
		fmt.Fprint(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
		c.SetDeadline(time.Now().Add(time.Minute))
		b := make([]byte, 4096)
		if n, err := c.Read(b); !strings.Contains(string(b[:n]), "<bound.test>") {
			t.Errorf("over the interface: %q %v", b[:n], err)
		}
		h.tell("devices")
		if r := h.hear(); len(r.Devices) != 1 || r.Devices[0] != "a0" {
			t.Errorf("accepted sockets are bound to %q", r.Devices)
		}
		if _, err := net.DialTimeout("tcp", "10.9.2.1:82", time.Minute); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Errorf("over the other interface: %v", err)
		}
	})
}

func checkDropped(t *testing.T, before, r report, secret string) {
	t.Helper()
	for k, want := range map[string]string{
		"Uid": "65534 65534 65534 65534", "Gid": "65534 65534 65534 65534", "Groups": "65534",
		"CapEff": "0000000000002000", "CapPrm": "0000000000002000", "CapInh": "0000000000002000", "CapAmb": "0000000000002000",
	} {
		if r.Status[k] != want {
			t.Errorf("%s is %q, want %q", k, r.Status[k], want)
		}
	}
	if r.PID != before.PID || r.Name != helperName || r.Env != "" || r.Memories != 0 || r.Loose != 0 {
		t.Errorf("it was process %d, now: %+v", before.PID, r)
	}
	if r.Self != "same.test" || r.Unix != "local.test" {
		t.Errorf("its sockets answer as %q and %q", r.Self, r.Unix)
	}
	if !strings.Contains(r.Bind, "permission denied") || !strings.Contains(r.Read, "permission denied") {
		t.Errorf("binding says %q, reading %q", r.Bind, r.Read)
	}
	if len(r.Files) != 1 || r.Files[secret] != "the key" {
		t.Errorf("files: %q", r.Files)
	}
	if !strings.Contains(r.Log, "privileges dropped") || !strings.Contains(r.Log, "CAP_NET_RAW") || strings.Contains(r.Log, "WARN") {
		t.Errorf("logged: %s", r.Log)
	}
}

func TestPrivilegesOfAUserAreLeftAlone_29(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	for p := filepath.Dir(file); p != os.TempDir() && p != "/"; p = filepath.Dir(p) {
		os.Chmod(p, 0o755)
	}
	if err := os.WriteFile(file, []byte("not secret"), 0o644); err != nil {
		t.Fatal(err)
	}
	attr := &syscall.SysProcAttr{}
	if os.Geteuid() == 0 {
		attr.Credential = &syscall.Credential{Uid: 65534, Gid: 65534}
	}
	r := startHelper(t, "user "+file, attr).hear()
	if r.Files[file] != "not secret" || !strings.Contains(r.Log, "not started as root") || strings.HasPrefix(r.Status["Uid"], "0 ") {
		t.Errorf("%+v", r)
	}
}

// TestPrivilegesThatCannotBeDropped: root stays what it is, with nothing open.
func TestPrivilegesThatCannotBeDropped(t *testing.T) {
	needRoot(t)
	busy, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer busy.Close()
	free := at("127.0.0.1:0", named("free.test"))
	path := filepath.Join(t.TempDir(), "socket")
	given := named("given.test")
	given.Listener = busy
	fds := openFiles(t)
	for _, tt := range []struct {
		p    core.Privileges
		vhs  []core.VHost
		want string
	}{
		{core.Privileges{}, nil, "neither User nor UID"},
		{core.Privileges{User: "root"}, nil, "is root"},
		{core.Privileges{User: "no such user"}, nil, "no such user"},
		{core.Privileges{User: "nobody", Group: "no such group"}, nil, "no such group"},
		{core.Privileges{UID: 54321}, nil, "GID is needed"},
		{core.Privileges{User: "nobody", Keep: []core.Capability{64}}, nil, "capability 64"},
		{core.Privileges{User: "nobody", Files: []string{"/no/such/file"}}, nil, "/no/such/file"},
		{core.Privileges{User: "nobody"}, []core.VHost{free, at("unix:"+path, named("u")), at(busy.Addr().String(), named("busy.test"))}, "busy.test"},
		{core.Privileges{User: "nobody"}, []core.VHost{free, given}, "given.test"},
	} {
		cfg := core.Config{VHosts: tt.vhs}
		if _, err := tt.p.Drop(&cfg); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%+v: %v", tt.p, err)
		}
	}
	if n := openFiles(t); n != fds {
		t.Errorf("%d descriptors, %d before", n, fds)
	}
	if _, err := os.Lstat(path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("the unix socket: %v", err)
	}
	if os.Geteuid() != 0 {
		t.Error("we are root no more")
	}
}

// TestBindLaterInterface_27: the interface comes while the engine runs.
func TestBindLaterInterface_27(t *testing.T) {
	needIP(t)
	h := startHelper(t, "late", &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET})
	if r := h.hear(); r.Self != "late.test" {
		t.Errorf("%+v", r)
	}
}
