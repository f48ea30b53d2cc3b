package core_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// The examples run on the simulator, so that they need no network; with
// loops/poll's Backend() they are servers.

func ExampleNew() {
	k := sim.New(sim.Options{})
	eng, err := core.New(core.Config{
		Backend: k, // poll.Backend()
		VHosts: []core.VHost{{
			Addr: "host:80",
			Protocols: []core.Protocol{{
				Name: "hello",
				HTTP: core.HTTPFunc(func(_ *core.Conn, r *core.Request, w *core.HTTPWriter) error {
					return w.Respond(200, core.Header{{Name: "content-type", Value: "text/plain"}}, []byte("hello "+r.Path()+"\n"))
				}),
			}},
		}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	p := k.Dial("host:80")
	p.WriteString("GET /world HTTP/1.1\r\nHost: host\r\nConnection: close\r\n\r\n")
	k.Drive()
	_, body, _ := strings.Cut(string(p.Read()), "\r\n\r\n")
	fmt.Print(body)
	eng.Stop(0)
	k.Drive()
	<-eng.Done()
	// Output: hello /world
}

func ExampleOnMessage() {
	k := sim.New(sim.Options{})
	core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: "host:80", Protocols: []core.Protocol{{
		Name: "upper",
		WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error {
			return out.Text(strings.ToUpper(m.String()))
		}),
	}}}}})
	p := k.Dial("host:80")
	p.WriteString(handshake + "\r\n")
	p.Write(frame(1, true, "hello"))
	k.Drive()
	_, frames, _ := strings.Cut(string(p.Read()), "\r\n\r\n")
	fmt.Printf("%q\n", frames)
	// Output: "\x81\x05HELLO"
}

// ticker sends a number every second, to a peer that takes it.
type ticker struct{ n int }

func (h *ticker) Opened(c *core.Conn, _ *core.Request) error { return c.SetTimer(time.Second) }
func (h *ticker) Receive(*core.Conn, core.Fragment) error    { return nil }
func (h *ticker) Timer(c *core.Conn) error {
	if err := c.SetTimer(time.Second); err != nil {
		return err
	}
	return c.RequestWritable()
}
func (h *ticker) Writable(_ *core.Conn, w *core.WSWriter) error {
	h.n++
	return w.Text(fmt.Append(nil, h.n))
}

// A handler asks for its writer and gets it when the peer can take more.
func ExampleWSHandler() {
	k := sim.New(sim.Options{})
	core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: "host:80", Protocols: []core.Protocol{{
		Name: "ticker", WS: func(*core.Conn) core.WSHandler { return &ticker{} }}}}}})
	p := k.Dial("host:80")
	p.WriteString(handshake + "\r\n")
	k.Advance(3 * time.Second)
	_, frames, _ := strings.Cut(string(p.Read()), "\r\n\r\n")
	fmt.Printf("%q\n", frames)
	// Output: "\x81\x011\x81\x012\x81\x013"
}

func ExampleThread_AdjustTimeout() {
	k := sim.New(sim.Options{})
	eng, _ := core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: "host:80"}}})
	k.Drive()
	th := eng.Thread(0)
	fmt.Println("nothing to do:", th.AdjustTimeout(-1))
	k.Dial("host:80")
	k.Drive()
	fmt.Println("until HandshakeTimeout:", th.AdjustTimeout(-1))
	fmt.Println("at most:", th.AdjustTimeout(10*time.Millisecond))
	// Output:
	// nothing to do: -1ns
	// until HandshakeTimeout: 15s
	// at most: 10ms
}

func ExampleCallback() {
	m := core.Callback("/api", "rest")
	fmt.Println(m.Path, m.Protocol)
	// Output: /api rest
}

// keeper keeps a client connected.
type keeper struct {
	th      *core.Thread
	backoff core.Backoff
}

func (k *keeper) dial() {
	c, err := k.th.Dial(k.th.Engine().VHost("default"), core.Dial{
		URL: "ws://192.0.2.1/feed",
		WS:  func(*core.Conn) core.WSHandler { return k },
	})
	if c == nil { // nothing will be heard of it
		fmt.Println(err)
		k.again()
	}
}

// again dials later, unless the engine is about to end.
func (k *keeper) again() {
	if d, ok := k.backoff.Next(); ok {
		fmt.Println("again in", d)
		k.th.AfterFunc(d, k.dial)
	}
}

func (k *keeper) Connected(*core.Conn, *core.Response) error {
	fmt.Println("connected")
	k.backoff.Reset() // better still when the first message has come
	return nil
}

func (k *keeper) ConnectFailed(_ *core.Conn, err error) { k.lost(err) }
func (k *keeper) Closed(_ *core.Conn, err error)        { k.lost(err) }

func (k *keeper) lost(err error) {
	if !errors.Is(err, core.ErrStopped) {
		k.again()
	}
}

func (k *keeper) Receive(*core.Conn, core.Fragment) error   { return nil }
func (k *keeper) Writable(*core.Conn, *core.WSWriter) error { return nil }

// A client that comes back when it could not connect, or was disconnected.
func ExampleBackoff() {
	sk := sim.New(sim.Options{})
	eng, err := core.New(core.Config{Backend: sk, VHosts: []core.VHost{{}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	sk.Answer("192.0.2.1:80", sim.Answer{Err: syscall.ECONNREFUSED})
	k := &keeper{th: eng.Thread(0), backoff: core.Backoff{Jitter: -1}} // leave Jitter out
	k.dial()
	sk.Advance(5 * time.Second)

	var server *sim.Peer
	sk.Answer("192.0.2.1:80", sim.Answer{Accept: func(p *sim.Peer) { server = p }})
	sk.Advance(9 * time.Second)
	_, key, _ := strings.Cut(string(server.Read()), "sec-websocket-key: ")
	server.WriteString("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " +
		string(ws.AppendAccept(nil, []byte(key[:24]))) + "\r\n\r\n")
	sk.Drive()
	server.Close() // without a word
	sk.Drive()
	eng.Stop(0)
	sk.Drive()
	<-eng.Done()
	// Output:
	// again in 1s
	// again in 3s
	// again in 9s
	// connected
	// again in 1s
}
