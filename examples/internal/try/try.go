// Package try runs example programs for their tests, and has a small WebSocket
// client.
package try

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core/ws"
)

// Bound is a limit on a hang, far above what anything takes.
const Bound = 60 * time.Second

// Program builds the program of a folder and returns its path.
func Program(t testing.TB, dir string) string {
	t.Helper()
	bin := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", bin, dir).CombinedOutput(); err != nil {
		t.Fatalf("go build %s: %v\n%s", dir, err, out)
	}
	return bin
}

// Run starts a program and returns the first line it prints on standard error.
// At the test's end it gets SIGINT and must end well.
func Run(t testing.TB, bin string, args ...string) string {
	t.Helper()
	cmd := exec.Command(bin, args...)
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	first := make(chan string, 1)
	var rest strings.Builder
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		r := bufio.NewReader(stderr)
		line, _ := r.ReadString('\n')
		first <- line
		io.Copy(&rest, r)
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		timer := time.AfterFunc(Bound, func() { cmd.Process.Kill() })
		defer timer.Stop()
		<-drained
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s did not end well: %v\n%s", bin, err, rest.String())
		}
	})
	select {
	case line := <-first:
		return strings.TrimSpace(line)
	case <-time.After(Bound):
		t.Fatalf("%s says nothing", bin)
	}
	return ""
}

// WS is a WebSocket client for tests.
type WS struct {
	net.Conn
	r *bufio.Reader
}

// Dial opens a WebSocket with a subprotocol ("" for none).
func Dial(t testing.TB, addr, protocol string) *WS {
	t.Helper()
	c, err := net.DialTimeout("tcp", addr, Bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(Bound))
	req := "GET / HTTP/1.1\r\nHost: " + addr + "\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
	if protocol != "" {
		req += "Sec-WebSocket-Protocol: " + protocol + "\r\n"
	}
	if _, err := io.WriteString(c, req+"\r\n"); err != nil {
		t.Fatal(err)
	}
	w := &WS{c, bufio.NewReader(c)}
	status, err := w.r.ReadString('\n')
	if err != nil || !strings.HasPrefix(status, "HTTP/1.1 101 ") {
		t.Fatalf("upgrade: %q %v", status, err)
	}
	for line := status; line != "\r\n"; {
		if line, err = w.r.ReadString('\n'); err != nil {
			t.Fatal(err)
		}
	}
	return w
}

// Send sends a text message.
func (w *WS) Send(s string) error {
	_, err := w.Write(ws.AppendFrame(nil, ws.Header{Op: ws.Text, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, []byte(s)))
	return err
}

// Next returns the payload of the next data frame.
func (w *WS) Next() (string, error) {
	for {
		var h [10]byte
		if _, err := io.ReadFull(w.r, h[:2]); err != nil {
			return "", err
		}
		n := int(h[1] & 0x7f)
		ext := map[int]int{126: 2, 127: 8}[n]
		if _, err := io.ReadFull(w.r, h[2:2+ext]); err != nil {
			return "", err
		}
		if ext > 0 {
			n = 0
			for _, b := range h[2 : 2+ext] {
				n = n<<8 | int(b)
			}
		}
		if n > 1<<26 {
			return "", errors.New("try: absurd frame")
		}
		p := make([]byte, n)
		if _, err := io.ReadFull(w.r, p); err != nil {
			return "", err
		}
		if !ws.Opcode(h[0] & 0xf).IsControl() {
			return string(bytes.Clone(p)), nil
		}
	}
}

// Want reads messages until one is want.
func (w *WS) Want(t testing.TB, want string) {
	t.Helper()
	for {
		got, err := w.Next()
		if err != nil {
			t.Fatalf("waiting for %q: %v", want, err)
		}
		if got == want {
			return
		}
	}
}
