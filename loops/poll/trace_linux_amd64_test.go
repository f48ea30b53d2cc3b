package poll_test

import (
	"bufio"
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/loops/poll"
)

// TestTracedServer is the server of TestSystemCallsPerConnection, in a process of
// its own. It lasts until it is killed.
func TestTracedServer(t *testing.T) {
	if os.Getenv("ANYLOOP_TRACED") == "" {
		t.Skip("it is started by another test")
	}
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{
		Name: "echo", WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	fmt.Println(eng.VHost("default").Addr())
	eng.Run(t.Context())
}

// TestSystemCallsPerConnection is the golden table of what a connection costs that
// comes, becomes a WebSocket, and is reset: every system call on its descriptor.
func TestSystemCallsPerConnection(t *testing.T) {
	const conns = 20
	want := strings.TrimSpace(`
accept4 1
close 1
epoll_ctl 2
read 2
write 1
`)
	runtime.LockOSThread() // the tracer is a thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command(os.Args[0], "-test.run=^TestTracedServer$")
	cmd.Env = append(os.Environ(), "ANYLOOP_TRACED=1")
	cmd.SysProcAttr = &unix.SysProcAttr{Ptrace: true}
	out, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if errors.Is(err, unix.EPERM) {
		t.Skip("this system lets nobody be traced")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer cmd.Process.Release() // it is buried below, so that Wait does not give back what it holds of it
	defer cmd.Wait()
	stop := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer stop.Stop()

	tr := tracer{calls: map[string]int{}, accepted: map[uint64]bool{}, inside: map[int]uint64{}}
	failed := make(chan error, 1)
	go func() {
		addr, err := bufio.NewReader(out).ReadString('\n')
		if err == nil {
			err = comeAndGo(strings.TrimSpace(addr), conns)
		}
		failed <- err
		if err != nil {
			cmd.Process.Kill()
		}
	}()
	if err := tr.run(cmd.Process.Pid, conns); err != nil {
		t.Error(err)
	}
	bury(cmd.Process.Pid)
	if err := <-failed; err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, name := range slices.Sorted(maps.Keys(tr.calls)) {
		got = append(got, fmt.Sprintf("%s %v", name, float64(tr.calls[name])/conns))
	}
	if got := strings.Join(got, "\n"); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// comeAndGo makes conns connections, upgrades and resets each.
func comeAndGo(addr string, conns int) error {
	answer := make([]byte, 1000)
	for range conns {
		c, err := net.Dial("tcp", addr)
		if err != nil {
			return err
		}
		c.SetDeadline(time.Now().Add(time.Minute))
		if _, err = c.Write(upgradeRequest); err != nil {
			return err
		}
		n, err := c.Read(answer)
		if err != nil || !strings.HasPrefix(string(answer[:n]), string(upgradeAnswer)) {
			return fmt.Errorf("upgrade: %q %v", answer[:n], err)
		}
		c.(*net.TCPConn).SetLinger(0)
		c.Close()
	}
	return nil
}

// tracer counts the system calls on connections that a process accepts.
type tracer struct {
	calls    map[string]int
	accepted map[uint64]bool // descriptors
	inside   map[int]uint64  // system calls that threads are in, plus 1
}

// run follows all threads of a process that has stopped at its start, until it has
// closed so many connections.
func (tr *tracer) run(pid, conns int) error {
	const isCall = unix.SIGTRAP | 0x80
	var ws unix.WaitStatus
	if _, err := unix.Wait4(pid, &ws, 0, nil); err != nil {
		return err
	}
	if err := unix.PtraceSetOptions(pid, unix.PTRACE_O_TRACESYSGOOD|unix.PTRACE_O_TRACECLONE|unix.PTRACE_O_EXITKILL); err != nil {
		return err
	}
	tid := pid
	for sig := 0; ; {
		if err := unix.PtraceSyscall(tid, sig); err != nil && err != unix.ESRCH {
			return err
		}
		if tr.calls["close"] >= conns {
			return nil
		}
		err := error(unix.EINTR)
		for err == unix.EINTR {
			tid, err = unix.Wait4(-1, &ws, unix.WALL, nil)
		}
		if err != nil {
			return err
		}
		sig = 0
		switch {
		case ws.Exited() || ws.Signaled():
			if tid == pid {
				return errors.New("the server has ended")
			}
		case !ws.Stopped():
		case ws.StopSignal() == isCall:
			if err := tr.call(tid); err != nil {
				return err
			}
		case ws.StopSignal() != unix.SIGTRAP && ws.StopSignal() != unix.SIGSTOP: // new threads stop
			sig = int(ws.StopSignal())
		}
	}
}

// bury kills a traced process and sees all its threads off.
func bury(pid int) {
	unix.Kill(pid, unix.SIGKILL)
	for {
		var ws unix.WaitStatus
		tid, err := unix.Wait4(-1, &ws, unix.WALL, nil)
		if err != nil && err != unix.EINTR || tid == pid && (ws.Exited() || ws.Signaled()) {
			return
		}
	}
}

// call is told of each begin and end of a system call.
func (tr *tracer) call(tid int) error {
	var r unix.PtraceRegs
	if err := unix.PtraceGetRegs(tid, &r); err != nil {
		return err
	}
	if was := tr.inside[tid]; was != 0 {
		delete(tr.inside, tid)
		if was-1 == unix.SYS_ACCEPT4 && int64(r.Rax) >= 0 {
			tr.accepted[r.Rax] = true
			tr.calls["accept4"]++
		}
		return nil
	}
	tr.inside[tid] = r.Orig_rax + 1
	fd := r.Rdi
	if r.Orig_rax == unix.SYS_EPOLL_CTL {
		fd = r.Rdx
	}
	if !tr.accepted[fd] {
		return nil
	}
	name, known := map[uint64]string{unix.SYS_READ: "read", unix.SYS_RECVFROM: "read", unix.SYS_WRITE: "write",
		unix.SYS_SENDTO: "write", unix.SYS_EPOLL_CTL: "epoll_ctl", unix.SYS_CLOSE: "close"}[r.Orig_rax]
	if !known {
		name = fmt.Sprintf("call %d", r.Orig_rax)
	}
	tr.calls[name]++
	if name == "close" {
		delete(tr.accepted, fd)
	}
	return nil
}
