package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/loops/poll"
)

// serve runs the server until the test ends.
func serve(t *testing.T) (addr string) {
	t.Helper()
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{vhost("127.0.0.1:0")}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(context.Background()) }()
	t.Cleanup(func() {
		eng.Stop(0)
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return eng.VHost("rawecho").Addr()
}

// say sends what, and returns all that comes until the end.
func say(t *testing.T, addr, what string, endWrite bool) string {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(time.Minute))
	go func() {
		io.WriteString(c, what)
		if endWrite {
			c.(*net.TCPConn).CloseWrite()
		}
	}()
	got, err := io.ReadAll(c)
	if err != nil {
		t.Errorf("after %d bytes: %v", len(got), err)
	}
	return string(got)
}

func TestLines(t *testing.T) {
	addr := serve(t)
	many := strings.Repeat("a line of many\n", 100_000)
	for name, test := range map[string]struct {
		in, want string
		end      bool
	}{
		"quit":        {"one\ntwo\r\nquit\nthree\n", "one\ntwo\r\nquit\n", false},
		"end":         {"one\nhalf", "one\nhalf", true},
		"many":        {many, many, true},
		"long":        {strings.Repeat("x", 2*maxLine), "", false},
		"looks alike": {"GETTING on\nquit\n", "GETTING on\nquit\n", false},
		"nothing":     {"", "", true},
	} {
		if got := say(t, addr, test.in, test.end); got != test.want {
			t.Errorf("%s: %d bytes came, want %d", name, len(got), len(test.want))
		}
	}
}

func TestPage(t *testing.T) {
	r, err := http.Get("http://" + serve(t) + "/")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Body.Close()
	body, _ := io.ReadAll(r.Body)
	if r.StatusCode != 200 || !strings.Contains(string(body), "nc") {
		t.Errorf("%d %q", r.StatusCode, body)
	}
}
