package gnetengine_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"time"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	gnetengine "anyloop/loops/gnet/engine"
)

// program is a gnet application: it sends back what it gets. Functions that are
// set come instead.
type program struct {
	opened, closed atomic.Int32
	traffics       atomic.Int64
	ticks          atomic.Int32

	onBoot    func(gnet.Engine)
	onOpen    func(gnet.Conn) ([]byte, gnet.Action)
	onTraffic func(gnet.Conn) gnet.Action
	onTick    func() (time.Duration, gnet.Action)
	onStop    func()
}

func (p *program) OnBoot(e gnet.Engine) gnet.Action {
	if p.onBoot != nil {
		p.onBoot(e)
	}
	return gnet.None
}

func (p *program) OnShutdown(gnet.Engine) {
	if p.onStop != nil {
		p.onStop()
	}
}

func (p *program) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	p.opened.Add(1)
	if p.onOpen != nil {
		return p.onOpen(c)
	}
	return nil, gnet.None
}

func (p *program) OnClose(gnet.Conn, error) gnet.Action {
	p.closed.Add(1)
	return gnet.None
}

func (p *program) OnTraffic(c gnet.Conn) gnet.Action {
	p.traffics.Add(1)
	if p.onTraffic != nil {
		return p.onTraffic(c)
	}
	b, err := c.Next(-1)
	if err == nil {
		_, err = c.Write(b)
	}
	if err != nil {
		return gnet.Close
	}
	return gnet.None
}

func (p *program) OnTick() (time.Duration, gnet.Action) {
	p.ticks.Add(1)
	if p.onTick != nil {
		return p.onTick()
	}
	return time.Hour, gnet.None
}

// process is a gnet engine that runs.
type process struct {
	t    *testing.T
	path string
	eng  gnet.Engine
	done chan error
}

// bootHandler tells of the boot.
type bootHandler struct {
	gnet.EventHandler
	eng chan gnet.Engine
}

func (h bootHandler) OnBoot(e gnet.Engine) gnet.Action {
	act := h.EventHandler.OnBoot(e)
	h.eng <- e
	return act
}

// run starts gnet on a unix socket.
func run(t *testing.T, h gnet.EventHandler, opts ...gnet.Option) *process {
	t.Helper()
	p := &process{t: t, path: filepath.Join(t.TempDir(), "s"), done: make(chan error, 1)}
	boot := bootHandler{h, make(chan gnet.Engine, 1)}
	opts = append(append(gnetengine.Options(), gnet.WithLogger(gnetengine.Silent)), opts...)
	go func() { p.done <- gnet.Run(boot, "unix://"+p.path, opts...) }()
	select {
	case p.eng = <-boot.eng:
	case err := <-p.done:
		t.Fatalf("gnet.Run: %v", err)
	case <-time.After(looptest.Bound):
		t.Fatal("gnet does not boot")
	}
	t.Cleanup(p.stop)
	return p
}

// stop ends gnet, if it has not ended, without its half second.
func (p *process) stop() {
	now, cancel := context.WithCancel(context.Background())
	cancel()
	p.eng.Stop(now)
	p.ended()
}

func (p *process) ended() {
	p.t.Helper()
	select {
	case err := <-p.done:
		if err != nil {
			p.t.Errorf("gnet.Run: %v", err)
		}
		p.done <- nil
	case <-time.After(looptest.Bound):
		p.t.Fatal("gnet does not end")
	}
}

func (p *process) dial() *client.Conn { return dial(p.t, "unix:"+p.path) }

func dial(t *testing.T, addr string) *client.Conn {
	t.Helper()
	c, err := client.Dial(addr, looptest.Bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// webSocket opens a WebSocket and shows that it works.
func webSocket(t *testing.T, addr string) *client.Conn {
	t.Helper()
	c := dial(t, addr)
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	echo(t, c, "first")
	return c
}

func echo(t *testing.T, c *client.Conn, msg string) {
	t.Helper()
	if err := c.Echo(ws.Text, []byte(msg)); err != nil {
		t.Fatal(err)
	}
}

// pong sends bytes to a program and reads them back.
func pong(t *testing.T, c net.Conn, msg string) {
	t.Helper()
	if _, err := c.Write([]byte(msg)); err != nil {
		t.Fatal(err)
	}
	got := make([]byte, len(msg))
	for n := 0; n < len(got); {
		m, err := c.Read(got[n:])
		if err != nil {
			t.Fatal(err)
		}
		n += m
	}
	if string(got) != msg {
		t.Fatalf("the program sent back %q for %q", got, msg)
	}
}

// echoing is a vhost that listens on a port of its own; addr "" for nowhere.
func echoing(addr string) core.VHost {
	return core.VHost{Addr: addr, Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}
}

// newEngine makes an engine with one vhost.
func newEngine(t *testing.T, cfg core.Config, vh core.VHost) (*core.Engine, *core.VirtualHost) {
	t.Helper()
	cfg.VHosts = []core.VHost{vh}
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	return eng, eng.VHost("default")
}

// shutdown ends an engine that is turned.
func shutdown(t *testing.T, eng *core.Engine) {
	t.Helper()
	eng.Stop(-1)
	wait(t, eng.Done(), "the engine does not end")
}

func wait(t *testing.T, done <-chan struct{}, what string) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(looptest.Bound):
		b := make([]byte, 1<<18)
		t.Fatalf("%s\n%s", what, b[:runtime.Stack(b, true)])
	}
}

// until waits for what other goroutines bring about.
func until(t *testing.T, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(looptest.Bound); !cond(); runtime.Gosched() {
		if time.Now().After(end) {
			b := make([]byte, 1<<18)
			t.Fatalf("never: %s\n%s", what, b[:runtime.Stack(b, true)])
		}
	}
}

// stock is what may not grow.
type stock struct{ files, goroutines, conns int }

func take(e gnet.Engine) stock {
	d, _ := os.ReadDir("/dev/fd")
	return stock{len(d), runtime.NumGoroutine(), e.CountConnections()}
}

func (s stock) String() string {
	return fmt.Sprintf("%d descriptors, %d goroutines, %d connections", s.files, s.goroutines, s.conns)
}

// goroutine returns the number of the running goroutine.
func goroutine() uint64 {
	var buf [40]byte
	s := bytes.TrimPrefix(buf[:runtime.Stack(buf[:], false)], []byte("goroutine "))
	n, _ := strconv.ParseUint(string(s[:bytes.IndexByte(s, ' ')]), 10, 64)
	return n
}
