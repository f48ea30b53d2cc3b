package looptest_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/core/ws"
	"anyloop/extpoll"
	"anyloop/loops/poll"
)

// tracing notes the callbacks of one conn, by the name that its peer has given it.
type tracing struct {
	all  *traces
	name string
	log  []string
	out  *core.Outbox
}

type traces struct {
	mu sync.Mutex
	m  map[string]string
}

func (h *tracing) Opened(_ *core.Conn, r *core.Request) error {
	h.name = r.Path()
	h.log = append(h.log, "opened")
	return nil
}
func (h *tracing) Receive(c *core.Conn, f core.Fragment) error {
	h.log = append(h.log, fmt.Sprintf("receive %q %v %v", f.Data, f.First, f.Final))
	return h.out.Send(core.Message{Data: f.Data, Binary: f.Binary})
}
func (h *tracing) Writable(_ *core.Conn, w *core.WSWriter) error { return h.out.Writable(w) }
func (h *tracing) Pong(*core.Conn, []byte) error                 { h.log = append(h.log, "pong"); return nil }
func (h *tracing) PeerClose(_ *core.Conn, code int, text string) error {
	h.log = append(h.log, fmt.Sprintf("peerclose %d %s", code, text))
	return nil
}
func (h *tracing) Closed(_ *core.Conn, err error) {
	h.log = append(h.log, fmt.Sprintf("closed: %v", err))
	h.all.mu.Lock()
	h.all.m[h.name] = strings.Join(h.log, ", ")
	h.all.mu.Unlock()
}

// TestTracesAgree_13_10_T2: 1000 connections, HTTP and WebSocket, behave the same
// on our loops and in an array that the application owns.
func TestTracesAgree_13_10_T2(t *testing.T) {
	const conns = 1000
	var want map[string]string
	for name, host := range map[string]func() looptest.Host{
		"poll":  func() looptest.Host { return looptest.Host{Backend: poll.Backend()} },
		"poll2": func() looptest.Host { return looptest.Host{Backend: poll.Backend(poll.WithPoller(poll.Poll2))} },
		"extpoll": func() looptest.Host {
			set := extpoll.New()
			return looptest.Host{Backend: set.Backend(), Run: func(e *core.Engine) error {
				for e.Thread(0).Hosted() {
					if err := set.Turn(-1, func(*loop.PollFD) {}); err != nil {
						return err
					}
				}
				return nil
			}}
		},
	} {
		got := runTraced(t, host(), conns)
		if len(got) != conns {
			t.Errorf("%s: %d traces of %d connections", name, len(got), conns)
		}
		if want == nil {
			want = got
		}
		for path, tr := range got {
			if tr != want[path] {
				t.Fatalf("%s, %s:\n%s\nelsewhere:\n%s", name, path, tr, want[path])
			}
		}
	}
}

func runTraced(t *testing.T, h looptest.Host, conns int) map[string]string {
	t.Helper()
	all := &traces{m: map[string]string{}}
	eng, err := core.New(core.Config{Backend: h.Backend, Limits: core.Limits{KeepAliveTimeout: looptest.Bound, CloseTimeout: looptest.Bound}, VHosts: []core.VHost{{Addr: "127.0.0.1:0", Protocols: []core.Protocol{{
		Name: "t",
		WS:   func(c *core.Conn) core.WSHandler { return &tracing{all: all, out: core.NewOutbox(c, core.PauseSource)} },
		HTTP: core.HTTPFunc(func(_ *core.Conn, r *core.Request, w *core.HTTPWriter) error {
			return w.Respond(200, nil, []byte(r.Path()))
		}),
	}}}}})
	if err != nil {
		t.Fatal(err)
	}
	run := h.Run
	if run == nil {
		run = func(e *core.Engine) error { return e.Run(context.Background()) }
	}
	ended := make(chan error, 1)
	go func() { ended <- run(eng) }()
	addr := eng.VHost("default").Addr()
	var wait sync.WaitGroup
	slots := make(chan struct{}, 100)
	for i := range conns {
		wait.Add(1)
		slots <- struct{}{}
		go func() {
			defer wait.Done()
			defer func() { <-slots }()
			if err := converse(addr, fmt.Sprintf("/%d", i)); err != nil {
				t.Errorf("connection %d: %v", i, err)
			}
		}()
	}
	wait.Wait()
	if err := eng.Shutdown(t.Context()); err != nil {
		t.Error(err)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
	return all.m
}

// converse is one connection: two HTTP requests, an upgrade, three echoes, a ping,
// and a close.
func converse(addr, path string) error {
	c, err := net.Dial("tcp", addr)
	if err != nil {
		return err
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(looptest.Bound))
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\n\r\nGET %s HTTP/1.1\r\nHost: h\r\n\r\n", path, path)
	fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path)
	mask := [4]byte{1, 2, 3, 4}
	want := ""
	for i := range 3 {
		msg := fmt.Sprintf("message %d", i)
		c.Write(ws.AppendFrame(nil, ws.Header{Op: ws.Text, Fin: true, Masked: true, Mask: mask}, []byte(msg)))
		want += string(ws.AppendFrame(nil, ws.Header{Op: ws.Text, Fin: true}, []byte(msg)))
	}
	c.Write(ws.AppendFrame(nil, ws.Header{Op: ws.Pong, Fin: true, Masked: true, Mask: mask}, nil))
	c.Write(ws.AppendClose(nil, 1000, "bye", &mask))
	want += string(ws.AppendClose(nil, 1000, "bye", nil))
	all, err := io.ReadAll(c)
	if err != nil {
		return err
	}
	if got := string(all); !strings.HasSuffix(got, want) || strings.Count(got, "HTTP/1.1 200 OK") != 2 {
		return fmt.Errorf("got %q", got)
	}
	return nil
}
