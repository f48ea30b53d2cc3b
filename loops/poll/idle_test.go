package poll_test

import (
	"bufio"
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/loops/poll"
)

const idleEnv = "ANYLOOP_IDLE_CLIENTS"

// TestIdleClients is not a test but the child process of BenchmarkIdleMemory: it
// opens WebSockets, echoes once on each, and keeps them open.
func TestIdleClients(t *testing.T) {
	path := os.Getenv(idleEnv)
	if path == "" {
		return
	}
	raiseFiles(t, 17000)
	in := bufio.NewScanner(os.Stdin)
	for in.Scan() {
		n, err := strconv.Atoi(in.Text())
		if err != nil {
			t.Fatal(err)
		}
		for range n {
			openIdle(t, path)
		}
		fmt.Println("open")
	}
}

func openIdle(t *testing.T, path string) {
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err == nil {
		err = unix.Connect(fd, &unix.SockaddrUnix{Name: path})
	}
	if err != nil {
		t.Fatal(err)
	}
	var buf [512]byte
	unix.Write(fd, []byte("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"))
	if n, err := unix.Read(fd, buf[:]); err != nil || !bytes.HasPrefix(buf[:n], []byte("HTTP/1.1 101")) {
		t.Fatalf("upgrade: %q %v", buf[:max(n, 0)], err)
	}
	unix.Write(fd, message)
	if n, err := unix.Read(fd, buf[:]); err != nil || n != len(echoed) {
		t.Fatalf("echo: %d %v", n, err)
	}
}

// footprint is what the process holds, in bytes: live heap with the runtime's own
// metadata, resident memory as it is, and resident memory after what is free has
// been given back.
func footprint(b *testing.B) (live, resident, packed int64) {
	resident = statm(b)
	debug.FreeOSMemory()
	packed = statm(b)
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	live = int64(m.HeapAlloc + m.MSpanInuse + m.MCacheInuse + m.GCSys + m.OtherSys + m.StackInuse)
	return live, resident, packed
}

func statm(b *testing.B) int64 {
	status, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		b.Skip("no /proc/self/statm")
	}
	pages, err := strconv.ParseInt(strings.Fields(string(status))[1], 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return pages * int64(os.Getpagesize())
}

// BenchmarkIdleMemory prints what one more idle WebSocket costs: the slope between
// 1,000 and 15,000 of them, clients in another process, after one echo each.
//
//	go test ./loops/poll -run '^$' -bench IdleMemory -benchtime 1x
func BenchmarkIdleMemory(b *testing.B) {
	const few, many = 1000, 15000
	raiseFiles(b, many+1000)
	path := b.TempDir() + "/s"
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{{Addr: "unix:" + path, Protocols: []core.Protocol{{
		Name: "echo", WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		b.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- eng.Run(b.Context()) }()
	child := exec.Command(os.Args[0], "-test.run=^TestIdleClients$", "-test.timeout=10m")
	child.Env = append(os.Environ(), idleEnv+"="+path)
	child.Stderr = os.Stderr
	in, _ := child.StdinPipe()
	outPipe, _ := child.StdoutPipe()
	if err := child.Start(); err != nil {
		b.Fatal(err)
	}
	out := bufio.NewScanner(outPipe)
	open := func(n int) {
		fmt.Fprintln(in, n)
		if !out.Scan() || out.Text() != "open" {
			b.Fatalf("the clients failed: %s", out.Text())
		}
	}
	open(few)
	live1, res1, packed1 := footprint(b)
	open(many - few)
	live2, res2, packed2 := footprint(b)
	if st := eng.Stats(); st.Conns != many {
		b.Errorf("%d connections", st.Conns)
	}
	b.ReportMetric(float64(live2-live1)/(many-few), "live-B/conn")
	b.ReportMetric(float64(res2-res1)/(many-few), "resident-B/conn")
	b.ReportMetric(float64(packed2-packed1)/(many-few), "resident-packed-B/conn")
	b.ReportMetric(0, "ns/op")
	in.Close()
	child.Process.Kill()
	child.Wait()
	eng.Stop(-1)
	<-done
}

// TestIdleConnectionKeepsNoBuffers: an idle WebSocket has neither receive nor send
// buffer; what a message needed is gone after it.
func TestIdleConnectionKeepsNoBuffers(t *testing.T) {
	const most = 50 * 100
	grown := uint64(0)
	for range 3 { // a thread that Go's runtime starts meanwhile takes more than this
		if grown = keptAfterMessages(t); grown <= most {
			return
		}
	}
	t.Errorf("%d bytes more are live after 320 messages on each of 50 connections", grown)
}

// keptAfterMessages returns by how much the live heap grows.
func keptAfterMessages(t *testing.T) uint64 {
	b := newBench(t, 50)
	heap := func() uint64 {
		runtime.GC()
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	b.round(1)
	before := heap()
	for range 20 {
		b.round(16)
	}
	return max(heap(), before) - before
}
