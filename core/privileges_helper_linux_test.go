package core_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/loops/poll"
)

// The tests of privileges and interfaces run a part of themselves in a process of
// its own: this binary again, with the variable set.
const (
	helperVar  = "ANYLOOP_TEST_HELPER"
	helperName = "test-server"
)

// report is what a helper says of itself.
type report struct {
	PID      int
	Name     string
	Status   map[string]string // of /proc/self/status
	Files    map[string]string
	Env      string
	Self     string // who answers at 127.0.0.1:81
	Bind     string // why port 83 is not to be had
	Read     string // why the secret cannot be read
	Memories int    // descriptors of what was left
	Loose    int    // sockets that programs it starts would get
	Unix     string
	Devices  []string
	Log      string
}

// TestHelperProcess is no test: it is what the helpers run.
func TestHelperProcess(t *testing.T) {
	mode, arg, _ := strings.Cut(os.Getenv(helperVar), " ")
	var err error
	switch mode {
	case "drop":
		err = helpDrop(arg)
	case "user":
		err = helpUser(arg)
	case "late":
		err = helpLate()
	}
	if err != nil {
		fmt.Println("helper:", err)
		os.Exit(1)
	}
}

func say(v any) {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	fmt.Printf("%s\n", b)
}

// command waits for a line of the test's. It reads not a byte more: what follows
// is for the program that comes after Drop.
func command() string {
	var line []byte
	for b := make([]byte, 1); ; {
		if _, err := os.Stdin.Read(b); err != nil || b[0] == '\n' {
			return string(line)
		}
		line = append(line, b[0])
	}
}

func ip(args ...string) error {
	if out, err := exec.Command("ip", args...).CombinedOutput(); err != nil {
		return fmt.Errorf("ip %s: %w: %s", strings.Join(args, " "), err, out)
	}
	return nil
}

func ips(lines ...string) error {
	for _, l := range lines {
		if err := ip(strings.Fields(l)...); err != nil {
			return err
		}
	}
	return nil
}

func dropConfig(log io.Writer, path string) core.Config {
	bound := at(":82", named("bound.test"))
	bound.Interface, bound.BindInterface = "a0", true
	local := at("unix:"+path, named("local.test"))
	local.UnixOwner, local.UnixMode = "nobody", 0o600
	return core.Config{
		Backend: poll.Backend(), Threads: 2, ReusePort: true, Limits: unhurried, Log: slog.New(slog.NewTextHandler(log, nil)),
		VHosts: []core.VHost{at("127.0.0.1:81", named("low.test")), at("127.0.0.1:81", named("same.test")), bound, local},
	}
}

// helpDrop runs twice: as root, and as nobody.
func helpDrop(dir string) error {
	log, secret, path := &strings.Builder{}, dir+"/secret", dir+"/socket"
	if os.Geteuid() == 0 {
		if err := os.WriteFile("/proc/self/comm", []byte(helperName), 0); err != nil {
			return err
		}
		say(report{PID: os.Getpid()})
		command()
		if err := ips("link set lo up", "addr add 10.9.1.1/24 dev a0", "link set a0 up", "addr add 10.9.2.1/24 dev a1", "link set a1 up"); err != nil {
			return err
		}
	}
	cfg := dropConfig(log, path)
	files, err := core.Privileges{User: "nobody", Keep: []core.Capability{core.CapNetRaw}, Files: []string{secret}}.Drop(&cfg)
	if err != nil {
		return err
	}
	eng, err := core.New(cfg)
	if err != nil {
		return err
	}
	ran := make(chan error)
	go func() { ran <- eng.Run(context.Background()) }()
	r := aboutMe()
	r.Log = log.String()
	r.Files = map[string]string{}
	for name, b := range files {
		r.Files[name] = string(b)
	}
	if _, err := os.ReadFile(secret); err != nil {
		r.Read = err.Error()
	}
	if r.Self, err = ask("tcp", "127.0.0.1:81", "same.test"); err != nil {
		return err
	}
	if r.Unix, err = ask("unix", path, "x"); err != nil {
		return err
	}
	say(r)
	for command() == "devices" {
		say(report{Devices: acceptedDevices(82)})
	}
	eng.Stop(-1)
	return <-ran
}

// aboutMe is what the kernel says of this process.
func aboutMe() report {
	r := report{PID: os.Getpid(), Status: map[string]string{}, Env: os.Getenv("ANYLOOP_LEFT")}
	status, _ := os.ReadFile("/proc/self/status")
	for _, line := range strings.Split(string(status), "\n") {
		if k, v, ok := strings.Cut(line, ":"); ok {
			r.Status[k] = strings.Join(strings.Fields(v), " ")
		}
	}
	if name, err := os.ReadFile("/proc/self/comm"); err == nil {
		r.Name = strings.TrimSpace(string(name))
	}
	if l, err := net.Listen("tcp", "127.0.0.1:83"); err != nil {
		r.Bind = err.Error()
	} else {
		l.Close()
	}
	fds, _ := os.ReadDir("/proc/self/fd")
	for _, d := range fds {
		to, _ := os.Readlink("/proc/self/fd/" + d.Name())
		var fd int
		fmt.Sscan(d.Name(), &fd)
		fl, err := unix.FcntlInt(uintptr(fd), unix.F_GETFD, 0)
		switch {
		case strings.Contains(to, "memfd"):
			r.Memories++
		case err == nil && strings.HasPrefix(to, "socket:") && fl&unix.FD_CLOEXEC == 0:
			r.Loose++
		}
	}
	return r
}

// acceptedDevices returns the interfaces that the accepted sockets of a port are
// bound to.
func acceptedDevices(port int) (devs []string) {
	for fd := range 256 {
		if sa, err := unix.Getsockname(fd); err != nil || portOf(sa) != port {
			continue
		}
		if _, err := unix.Getpeername(fd); err == nil {
			devs = append(devs, device(fd))
		}
	}
	return devs
}

// helpUser drops as somebody who is not root.
func helpUser(file string) error {
	log := &strings.Builder{}
	cfg := core.Config{Log: slog.New(slog.NewTextHandler(log, nil)), VHosts: []core.VHost{at("127.0.0.1:81", named("low.test"))}}
	files, err := core.Privileges{User: "daemon", Files: []string{file}}.Drop(&cfg)
	if err != nil {
		return err
	}
	r := aboutMe()
	r.Log, r.Files = log.String(), map[string]string{file: string(files[file])}
	say(r)
	return nil
}

// told has an entry when something was logged.
type told chan struct{}

func (t told) Write(p []byte) (int, error) {
	select {
	case t <- struct{}{}:
	default:
	}
	return len(p), nil
}

// helpLate waits for an interface that it makes itself.
func helpLate() error {
	cfg := at(":80", named("late.test"))
	cfg.Interface, cfg.BindLater, cfg.Family = "late0", true, core.IPv4Only
	logged := make(told, 1)
	eng, err := core.New(core.Config{Backend: poll.Backend(), Limits: unhurried, VHosts: []core.VHost{cfg}, Log: slog.New(slog.NewTextHandler(logged, nil))})
	if err != nil {
		return err
	}
	ran := make(chan error)
	go func() { ran <- eng.Run(context.Background()) }()
	if a := eng.VHost("late.test").Addr(); a != "" {
		return fmt.Errorf("it listens on %s", a)
	}
	if err := ips("link set lo up", "link add late0 type veth peer name late1", "addr add 10.9.3.1/24 dev late0", "link set late0 up"); err != nil {
		return err
	}
	for end := time.After(time.Minute); eng.VHost("late.test").Addr() == ""; {
		select {
		case <-logged: // that it listens, or why it does not yet
		case <-end:
			return fmt.Errorf("it does not listen")
		}
	}
	r := aboutMe()
	if r.Self, err = ask("tcp", eng.VHost("late.test").Addr(), "x"); err != nil {
		return err
	}
	say(r)
	eng.Stop(-1)
	return <-ran
}
