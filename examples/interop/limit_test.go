package interop

import (
	"fmt"
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"anyloop/examples/internal/try"
)

// TestUlimit64_4_T1: with 64 open files allowed, about 50 of 100 clients are
// served, the others wait in the backlog, none is refused; as many as leave are
// served next.
func TestUlimit64_4_T1(t *testing.T) {
	sh, err := exec.LookPath("sh")
	if err != nil {
		missing(t, "sh is not installed")
	}
	line := try.Run(t, sh, "-c", "ulimit -n 64; exec "+binary(t, "echo")+" -addr 127.0.0.1:0")
	m := addrLine.FindStringSubmatch(line)
	if m == nil {
		t.Fatalf("it said %q", line)
	}
	const clients = 100
	answered := make(chan int, clients)
	var conns []net.Conn
	for i := range clients {
		c, err := net.Dial("tcp", m[1])
		if err != nil {
			t.Fatalf("client %d was refused: %v", i, err)
		}
		defer c.Close()
		conns = append(conns, c)
		c.SetDeadline(time.Now().Add(bound))
		fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
			"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
		go func() {
			var b [12]byte
			if _, err := io.ReadFull(c, b[:]); err == nil && strings.HasSuffix(string(b[:]), "101") {
				answered <- i
			}
		}()
	}
	wait := func(n int, what string) []int {
		t.Helper()
		var got []int
		for len(got) < n {
			select {
			case i := <-answered:
				got = append(got, i)
			case <-time.After(bound):
				t.Fatalf("%s: only %d of %d", what, len(got), n)
			}
		}
		return got
	}
	first := wait(40, "at the limit")
	for _, i := range first[:30] {
		conns[i].Close()
	}
	wait(30, "after 30 have left")
}
