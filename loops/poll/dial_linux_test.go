package poll_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/loops/poll"
)

// stranger is a port that no WebSocket is to be had from, and what a client is
// told of it.
type stranger struct {
	name  string
	serve func(t *testing.T) (addr string)
	want  func(error) bool
	limit string // which ends it, and is short therefore
}

func limited(name string) func(error) bool {
	return func(err error) bool {
		var le *core.LimitError
		return errors.As(err, &le) && le.Limit == name
	}
}

func says(s string) func(error) bool {
	return func(err error) bool { return strings.Contains(strings.ToLower(err.Error()), s) }
}

// talking serves each connection with f.
func talking(f func(c net.Conn)) func(*testing.T) string {
	return func(t *testing.T) string {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { ln.Close() })
		go func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				go func() {
					defer c.Close()
					f(c)
					io.Copy(io.Discard, c) // until the client goes
				}()
			}
		}()
		return ln.Addr().String()
	}
}

// answering reads a request and says s.
func answering(s string) func(*testing.T) string {
	return talking(func(c net.Conn) {
		buf := make([]byte, 4096)
		c.Read(buf)
		io.WriteString(c, s)
	})
}

func closedPort(t *testing.T) string {
	addr, free, err := client.Refusing()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(free)
	return addr
}

// blackHole listens with a backlog that is full: the kernel drops further SYNs, so
// that who connects stays in SYN-SENT.
func blackHole(t *testing.T) string {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err == nil {
		err = unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}})
	}
	if err == nil {
		err = unix.Listen(fd, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Close(fd) })
	sa, _ := unix.Getsockname(fd)
	to := sa.(*unix.SockaddrInet4)
	full := 0
	for range 16 {
		c, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { unix.Close(c) })
		unix.Connect(c, to)
		p := []unix.PollFd{{Fd: int32(c), Events: unix.POLLOUT}}
		if n, _ := unix.Poll(p, 200); n > 0 {
			full = 0
		} else if full++; full == 3 {
			return fmt.Sprintf("127.0.0.1:%d", to.Port) // none of these was let in, so nobody will be
		}
	}
	t.Skip("this system's backlog has no end")
	return ""
}

func tlsServer(t *testing.T) string {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	cert := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, cert, cert, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cfg := &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return talking(func(c net.Conn) {
		tls.Server(c, cfg).Handshake()
		c.Close() // as servers do after that
	})(t)
}

var strangers = []stranger{
	{"closed port", closedPort, func(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }, ""},
	{"black hole", blackHole, func(err error) bool { // the SYN was not answered
		return limited("ConnectTimeout")(err) && says("no answer within 500ms")(err)
	}, "ConnectTimeout"},
	{"mute", talking(func(net.Conn) {}), limited("AnswerTimeout"), "AnswerTimeout"},
	{"half-open", talking(func(c net.Conn) { c.(*net.TCPConn).CloseWrite() }), says("closed the connection"), ""},
	{"garbage", answering("\x00\x01\x02\x03 what is this\r\n\r\n"), says("the server does not speak http"), ""},
	{"HTTP 200", answering("HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"), says("200"), ""},
	{"wrong accept", answering("HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"), says("accept"), ""},
	{"endless header", talking(func(c net.Conn) {
		io.WriteString(c, "HTTP/1.1 101 x\r\n")
		for {
			if _, err := io.WriteString(c, "X-Padding: "+strings.Repeat("y", 1000)+"\r\n"); err != nil {
				return
			}
		}
	}), says("header fields too large"), ""},
	{"slow bytes", talking(func(c net.Conn) {
		slow := time.NewTicker(10 * time.Millisecond)
		defer slow.Stop()
		for _, b := range []byte("HTTP/1.1 101 x\r\nX-Padding: " + strings.Repeat("y", 1000)) {
			<-slow.C
			if _, err := c.Write([]byte{b}); err != nil {
				return
			}
		}
	}), limited("AnswerTimeout"), "AnswerTimeout"},
	{"TLS", tlsServer, func(err error) bool {
		return errors.Is(err, syscall.ECONNRESET) || says("closed the connection")(err)
	}, ""},
	{"another's TLS", talking(func(c net.Conn) { // says its ClientHello, as who takes us for a server
		tls.Client(c, &tls.Config{ServerName: "x"}).Handshake()
	}), says("the server speaks tls"), ""},
	{"TLS alert", answering("\x15\x03\x01\x00\x02\x02\x46"), says("the server speaks tls"), ""},
}

// attempt hears how one connection ends.
type attempt struct {
	failed chan error
	opened bool
}

func (a *attempt) Connected(*core.Conn, *core.Response) error    { a.opened = true; return nil }
func (a *attempt) ConnectFailed(_ *core.Conn, err error)         { a.failed <- err }
func (a *attempt) Receive(*core.Conn, core.Fragment) error       { return nil }
func (a *attempt) Writable(c *core.Conn, w *core.WSWriter) error { return nil }

// short is a limit that ends a connection; on a busy machine others take longer.
const short = 500 * time.Millisecond

// limitedBy is who dials where a limit is to end it.
func limitedBy(limit string, lim core.Limits) core.VHost {
	return core.VHost{Name: "by " + limit, Limits: lim,
		Protocols: []core.Protocol{{Name: "x", WS: func(*core.Conn) core.WSHandler { return &attempt{} }}}}
}

// TestFiftyClientsOfStrangers: connections to ports where nobody speaks WebSocket
// each end in exactly one error, of the right kind, and leave nothing.
func TestFiftyClientsOfStrangers(t *testing.T) {
	addrs := make([]string, len(strangers))
	for i, s := range strangers {
		addrs[i] = s.serve(t)
	}
	files, gos := openFiles(t), runtime.NumGoroutine()
	eng, err := core.New(core.Config{Backend: poll.Backend(),
		Limits: core.Limits{ConnectTimeout: looptest.Bound, AnswerTimeout: looptest.Bound},
		VHosts: []core.VHost{limitedBy("", core.Limits{}),
			limitedBy("ConnectTimeout", core.Limits{ConnectTimeout: short}), limitedBy("AnswerTimeout", core.Limits{AnswerTimeout: short})}})
	if err != nil {
		t.Fatal(err)
	}
	var all []*attempt
	for i := range 50 {
		a := &attempt{failed: make(chan error, 2)}
		all = append(all, a)
		vh := eng.VHost("by " + strangers[i%len(addrs)].limit)
		if _, err := eng.Thread(0).Dial(vh, core.Dial{URL: "ws://" + addrs[i%len(addrs)] + "/",
			WS: func(*core.Conn) core.WSHandler { return a }}); err != nil {
			t.Fatal(err)
		}
	}
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(context.Background()) }()
	for i, a := range all {
		s := strangers[i%len(strangers)]
		select {
		case err := <-a.failed:
			var ce *core.ConnectError
			if !errors.As(err, &ce) || !s.want(err) {
				t.Errorf("%s: %v", s.name, err)
			}
		case <-time.After(looptest.Bound):
			t.Fatalf("%s: no error", s.name)
		}
	}
	eng.Stop(-1)
	if err := <-ran; err != nil {
		t.Fatal(err)
	}
	for i, a := range all {
		if a.opened || len(a.failed) > 0 {
			t.Errorf("%s: opened %v, %d more errors", strangers[i%len(strangers)].name, a.opened, len(a.failed))
		}
	}
	for end := time.Now().Add(looptest.Bound); openFiles(t) > files || runtime.NumGoroutine() > gos; runtime.Gosched() {
		if time.Now().After(end) {
			t.Fatalf("%d descriptors and %d goroutines are left (%d, %d before)", openFiles(t), runtime.NumGoroutine(), files, gos)
		}
	}
}
