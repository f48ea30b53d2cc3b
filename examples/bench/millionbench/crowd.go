//go:build linux

package millionbench

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// crowd is an engine on a simulated kernel and its peers.
type crowd struct {
	k     *sim.Kernel
	eng   *core.Engine
	app   *app
	peers []*sim.Peer
	alive int
	buf   []byte
}

// app is what all handlers share.
type app struct {
	k       *sim.Kernel
	garbage int
	sink    []byte
	closed  int
	causes  map[string]int
	turn    int // of the last Closed
	inTurn  int // Closed in it
	most    int // of any turn
}

// handler echoes; it is as small as that of core.OnMessage.
type handler struct {
	app *app
	msg []byte
}

func (h *handler) Receive(c *core.Conn, f core.Fragment) error {
	if h.app.garbage > 0 {
		h.app.sink = make([]byte, h.app.garbage)
	}
	h.msg = f.Data // the writer comes before the loan is over
	return c.RequestWritable()
}

func (h *handler) Writable(c *core.Conn, w *core.WSWriter) error {
	msg := h.msg
	h.msg = nil
	return w.Text(msg)
}

func (h *handler) Closed(c *core.Conn, err error) {
	a := h.app
	a.closed++
	var le *core.LimitError
	switch {
	case errors.As(err, &le):
		a.causes[le.Limit]++
	case errors.Is(err, core.ErrStopped):
		a.causes["Stop"]++
	default:
		a.causes[fmt.Sprint(err)]++
	}
	if turn := a.k.Counts().Turns; turn != a.turn {
		a.turn, a.inTurn = turn, 0
	}
	a.inTurn++
	a.most = max(a.most, a.inTurn)
}

const (
	host      = "host:80"
	handshake = "GET / HTTP/1.1\r\nHost: host\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
	batch = 512 // how many come, or speak, at a time
)

var mask = [4]byte{0x12, 0x34, 0x56, 0x78}

func frame(op ws.Opcode, payload []byte) []byte {
	return ws.AppendFrame(nil, ws.Header{Op: op, Fin: true, Masked: true, Mask: mask}, payload)
}

// newCrowd opens n WebSockets with the default limits.
func newCrowd(n int) (*crowd, error) {
	k := sim.New(sim.Options{Nameless: true, Capacity: 4096})
	c := &crowd{k: k, app: &app{k: k, causes: map[string]int{}}, peers: make([]*sim.Peer, 0, n)}
	var err error
	c.eng, err = core.New(core.Config{Backend: k, Limits: core.Limits{MaxConns: -1, AcceptBatch: batch}, VHosts: []core.VHost{{
		Addr:      host,
		Protocols: []core.Protocol{{Name: "echo", AnyName: true, WS: func(*core.Conn) core.WSHandler { return &handler{app: c.app} }}},
	}}})
	if err != nil {
		return nil, err
	}
	for len(c.peers) < n {
		from := len(c.peers)
		for range min(batch, n-from) {
			p := k.Dial(host)
			p.WriteString(handshake)
			c.peers = append(c.peers, p)
		}
		k.Drive()
		for _, p := range c.peers[from:] {
			if b := c.read(p); !bytes.HasPrefix(b, []byte("HTTP/1.1 101 ")) {
				return nil, fmt.Errorf("no upgrade: %q", b)
			}
		}
	}
	c.alive = n
	return c, nil
}

func (c *crowd) read(p *sim.Peer) []byte {
	c.buf = p.ReadTo(c.buf[:0])
	return c.buf
}

// pings lets the moment come at which all of them are asked whether they live.
func (c *crowd) pings(w io.Writer) error {
	c.k.Advance(40*time.Second - 1)
	for i, p := range c.peers {
		if b := c.read(p); len(b) > 0 {
			return fmt.Errorf("peer %d got % x before PingInterval", i, b)
		}
	}
	turns, began := c.k.Counts().Turns, cpuTime()
	c.k.Advance(1)
	took := cpuTime() - began
	for i, p := range c.peers {
		if b := c.read(p); len(b) != 10 || b[0] != 0x89 || b[1] != 8 {
			return fmt.Errorf("peer %d got % x, want one Ping", i, b)
		}
	}
	fmt.Fprintf(w, "\nvalidity\n  after PingInterval        %d were sent exactly one Ping each, in %d turns, %.2f us of CPU time each\n",
		len(c.peers), c.k.Counts().Turns-turns, perPiece(took, len(c.peers)))
	return broken(c.k)
}

// pongs has all but every tenth answer, and waits until the others are given up.
func (c *crowd) pongs(w io.Writer) error {
	pong := frame(ws.Pong, nil)
	began := cpuTime()
	for i, p := range c.peers {
		if i%10 != 0 {
			p.Write(pong)
		}
		if i%batch == 0 {
			c.k.Drive()
		}
	}
	c.k.Advance(10*time.Second - 1)
	took := cpuTime() - began
	if c.app.closed > 0 {
		return fmt.Errorf("%d have ended before PongTimeout", c.app.closed)
	}
	c.k.Advance(1)
	silent := (len(c.peers) + 9) / 10
	kept := c.peers[:0]
	for i, p := range c.peers {
		if p.Gone() != (i%10 == 0) {
			return fmt.Errorf("peer %d of %d: gone is %v", i, len(c.peers), p.Gone())
		}
		if !p.Gone() {
			kept = append(kept, p)
		}
	}
	clear(c.peers[len(kept):])
	c.peers, c.alive = kept, len(kept)
	if c.app.causes["PongTimeout"] != silent || c.app.closed != silent {
		return fmt.Errorf("%d have ended, by %v, want %d by PongTimeout", c.app.closed, c.app.causes, silent)
	}
	fmt.Fprintf(w, "  Pongs                     %d, %.2f us each\n", c.alive, perPiece(took, c.alive))
	fmt.Fprintf(w, "  after PongTimeout         all of the %d that were silent were closed, at that moment, at most %d in a turn; the others live\n", silent, c.app.most)
	return broken(c.k)
}

// echo has the first some of them echo messages of 64 bytes, and returns how many
// that were.
func (c *crowd) echo(some, messages int) (n int, err error) {
	msg := frame(ws.Text, bytes.Repeat([]byte("x"), 64))
	want := append([]byte{0x81, 64}, bytes.Repeat([]byte("x"), 64)...)
	some = min(some, len(c.peers))
	every := len(c.peers) / some // all over the place
	for n < messages {
		for from := 0; from < some; from += batch {
			to := min(some, from+batch)
			for i := from; i < to; i++ {
				c.peers[i*every].Write(msg)
			}
			c.k.Drive()
			for i := from; i < to; i++ {
				if got := c.read(c.peers[i*every]); !bytes.Equal(got, want) {
					return n, fmt.Errorf("got % x", got)
				}
			}
			n += to - from
		}
	}
	return n, broken(c.k)
}

// end stops the engine at once.
func (c *crowd) end(w io.Writer) error {
	c.app.most, c.app.closed = 0, 0
	turns, began, first, longest := 0, cpuTime(), time.Duration(0), time.Duration(0)
	c.eng.Stop(-1)
	for more := true; more; turns++ {
		turn := cpuTime()
		more = c.k.Turn()
		turn = cpuTime() - turn
		if turns == 0 {
			first = turn
		}
		longest = max(longest, turn)
	}
	took := cpuTime() - began
	fmt.Fprintf(w, "\nStop without grace\n  %d were closed in %d turns, at most %d in each; %.2f us for each, %v in the first turn, %v in the longest\n",
		c.app.closed, turns, c.app.most, perPiece(took, c.alive), first.Round(time.Microsecond), longest.Round(time.Microsecond))
	if c.app.closed != c.alive || c.k.Files() > 0 {
		return fmt.Errorf("%d of %d were told, %d descriptors are open", c.app.closed, c.alive, c.k.Files())
	}
	return broken(c.k)
}

// broken reports what broke the contract between core and the loop.
func broken(k *sim.Kernel) error {
	if v := k.Violations(); len(v) > 0 {
		return fmt.Errorf("contract: %s", v[0])
	}
	return nil
}

func perPiece(d time.Duration, n int) float64 {
	return float64(d.Nanoseconds()) / 1000 / float64(n)
}
