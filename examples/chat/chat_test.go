package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
	"anyloop/examples/internal/app"
)

// bound is on a hang.
const bound = time.Minute

// serve starts the chat and returns its address.
func serve(t *testing.T, threads int, p core.Policy, outbox int) string {
	t.Helper()
	host, err := app.NewHost("poll", threads)
	if err != nil {
		t.Fatal(err)
	}
	cfg, err := config(host.Backend, "127.0.0.1:0", threads, p, outbox)
	if err != nil {
		t.Fatal(err)
	}
	eng, err := core.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- host.Run(context.Background(), eng) }()
	t.Cleanup(func() {
		eng.Stop(-1)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	return eng.VHost("chat").Addr()
}

// talker is a user.
type talker struct {
	t *testing.T
	*client.Conn
}

func visit(t *testing.T, addr string) *talker {
	t.Helper()
	c, err := client.Dial(addr, bound)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.Upgrade("chat"); err != nil {
		t.Fatal(err)
	}
	return &talker{t, c}
}

func (u *talker) send(q request) {
	u.t.Helper()
	b, _ := json.Marshal(q)
	if err := u.Text(string(b)); err != nil {
		u.t.Fatal(err)
	}
}

// until reads up to an event that is wanted.
func (u *talker) until(what string, want func(event) bool) event {
	u.t.Helper()
	for {
		f, err := u.Next()
		if err != nil {
			u.t.Fatalf("waiting for %s: %v", what, err)
		}
		if f.Op == ws.Close {
			u.t.Fatalf("waiting for %s: closed with %d %q", what, f.Code(), f.Reason())
		}
		var e event
		if f.Op == ws.Ping {
			continue
		}
		if err := json.Unmarshal(f.Payload, &e); err != nil {
			u.t.Fatalf("%q: %v", f.Payload, err)
		}
		if want(e) {
			return e
		}
	}
}

func (u *talker) untilKind(kind string) event {
	u.t.Helper()
	return u.until(kind, func(e event) bool { return e.Kind == kind })
}

func (u *talker) join(room, nick string) event {
	u.t.Helper()
	u.send(request{Join: room, Nick: nick})
	return u.untilKind("joined")
}

func TestRooms(t *testing.T) {
	for _, threads := range []int{1, 3} {
		addr := serve(t, threads, core.DropOldest, 64<<10)
		ann, ben, cat, dan := visit(t, addr), visit(t, addr), visit(t, addr), visit(t, addr)
		ann.join("lobby", "ann")
		ben.join("lobby", " ben \t the\nsecond ")
		if e := ann.untilKind("came"); e.Nick != "ben the second" {
			t.Errorf("came: %+v", e)
		}
		if e := cat.join("lobby", "ann"); e.Nick != "ann 2" {
			t.Errorf("a second ann is %q", e.Nick)
		}
		dan.join("elsewhere", "dan")
		ann.send(request{Say: "  hello, <b>room</b>  "})
		for _, u := range []*talker{ann, ben, cat} {
			if e := u.untilKind("said"); e.Nick != "ann" || e.Text != "hello, <b>room</b>" {
				t.Errorf("said: %+v", e)
			}
		}
		dan.send(request{Say: "to myself"})
		if e := dan.untilKind("said"); e.Text != "to myself" {
			t.Errorf("another room's message came: %+v", e)
		}
		dan.join("lobby", "dan") // leaves the other room
		ann.until("the list", func(e event) bool { return e.Kind == "list" && len(e.Users) == 4 })
		cat.Close()
		if e := ann.untilKind("left"); e.Nick != "ann 2" {
			t.Errorf("left: %+v", e)
		}
		ann.until("the list", func(e event) bool { return e.Kind == "list" && len(e.Users) == 3 })
	}
}

func TestBounds(t *testing.T) {
	addr := serve(t, 1, core.DropOldest, 64<<10)
	u := visit(t, addr)
	complain := func(q request, want string) {
		t.Helper()
		u.send(q)
		if e := u.untilKind("error"); !strings.Contains(e.Text, want) {
			t.Errorf("%+v: %q", q, e.Text)
		}
	}
	complain(request{Say: "x"}, "join a room")
	complain(request{Join: strings.Repeat("r", maxName+1), Nick: "n"}, "1 to 24")
	complain(request{Join: "r", Nick: " \n"}, "1 to 24")
	u.join("r", strings.Repeat("ä", maxName))
	complain(request{Say: strings.Repeat("x", maxText+1)}, "1 to 1000")
	complain(request{Say: " "}, "1 to 1000")
	u.sayUntilTooFast()

	ends := func(code int, send func(*talker)) {
		t.Helper()
		u := visit(t, addr)
		send(u)
		f, err := u.Next()
		if err != nil || f.Op != ws.Close || f.Code() != code {
			t.Errorf("%v %d %v, want a close with %d", f.Op, f.Code(), err, code)
		}
	}
	ends(1003, func(u *talker) { u.Text("hello") })
	ends(1003, func(u *talker) { u.Send(ws.Binary, []byte("{}")) })
	ends(1009, func(u *talker) { u.Send(ws.Text, bytes.Repeat([]byte("x"), maxMessage+1)) })
}

// sayUntilTooFast sends more together than are let pass. Where the machine stood still
// meanwhile more are, and it says more.
func (u *talker) sayUntilTooFast() {
	u.t.Helper()
	q, _ := json.Marshal(request{Say: "again"})
	all := bytes.Repeat(client.Append(nil, ws.Text, true, q), 2*burst)
	for complained := false; !complained; {
		if _, err := u.Write(all); err != nil {
			u.t.Fatal(err)
		}
		for range 2 * burst {
			e := u.until("an answer", func(e event) bool { return e.Kind == "said" || e.Kind == "error" })
			complained = complained || e.Text == "not so fast"
		}
	}
}

// simUser is a user on a simulated wire.
type simUser struct {
	*sim.Peer
	buf []byte
}

func (u *simUser) send(q request) {
	b, _ := json.Marshal(q)
	u.Write(client.Append(nil, ws.Text, true, b))
}

// events returns what came in, and the code of a Close frame.
func (u *simUser) events(t *testing.T) (list []event, code int) {
	t.Helper()
	u.buf = append(u.buf, u.Read()...)
	if _, rest, ok := bytes.Cut(u.buf, []byte("\r\n\r\n")); ok && bytes.HasPrefix(u.buf, []byte("HTTP")) {
		u.buf = rest
	}
	for len(u.buf) >= 2 {
		n, head := int(u.buf[1]), 2
		if n == 126 {
			n, head = int(u.buf[2])<<8|int(u.buf[3]), 4
		}
		if len(u.buf) < head+n {
			break
		}
		var e event
		switch p := u.buf[head : head+n]; ws.Opcode(u.buf[0] & 0xf) {
		case ws.Text:
			if err := json.Unmarshal(p, &e); err != nil {
				t.Fatal(err)
			}
			list = append(list, e)
		case ws.Close:
			code = int(p[0])<<8 | int(p[1])
		}
		u.buf = u.buf[head+n:]
	}
	return list, code
}

// TestSlowReader: one user reads nothing. The other hears everything at once, and
// sees in the list what waits for the slow one, and what its policy did.
func TestSlowReader(t *testing.T) {
	const said, outbox = 60, 8 << 10
	for _, policy := range []core.Policy{core.DropOldest, core.CloseSlow, core.Refuse, core.PauseSource} {
		t.Run(policy.String(), func(t *testing.T) {
			k := sim.New(sim.Options{Capacity: 4096})
			cfg, err := config(k, "chat:80", 2, policy, outbox)
			if err != nil {
				t.Fatal(err)
			}
			eng, err := core.New(cfg)
			if err != nil {
				t.Fatal(err)
			}
			k.Drive()
			ann, slow := &simUser{Peer: k.Dial("chat:80")}, &simUser{Peer: k.Dial("chat:80")}
			for i, u := range []*simUser{ann, slow} {
				u.WriteString("GET / HTTP/1.1\r\nHost: chat\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: " +
					"dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: chat\r\n\r\n")
				k.Drive()
				u.send(request{Join: "r", Nick: []string{"ann", "slow"}[i]})
				k.Drive()
			}
			ann.events(t)
			slow.events(t)
			slow.Stall(true)
			heard, left, last := 0, 0, event{}
			for i := range said {
				ann.send(request{Say: fmt.Sprintf("%03d %s", i, strings.Repeat("x", 500))})
				k.Advance(time.Second / perSecond)
				list, _ := ann.events(t)
				for _, e := range list {
					switch e.Kind {
					case "said":
						heard++
					case "left":
						left++
					case "list":
						last = e
					}
				}
				if heard != i+1 {
					t.Fatalf("after %d messages %d were heard", i+1, heard)
				}
			}
			k.Advance(2 * listEvery)
			list, _ := ann.events(t)
			for _, e := range list {
				if e.Kind == "list" {
					last = e
				}
			}
			slow.Stall(false)
			k.Drive()
			got, code := slow.events(t)
			if policy == core.CloseSlow {
				// It takes nothing for longer than FlushTimeout, so not even
				// the Close frame reaches it.
				if code != 0 || left != 1 || len(last.Users) != 1 || !slow.Gone() {
					t.Errorf("closed with %d, left %d times, %+v", code, left, last)
				}
			} else {
				if len(last.Users) != 2 || last.Users[0] != (line{Nick: "ann"}) {
					t.Fatalf("the list is %+v", last)
				}
				l := last.Users[1]
				if l.Pending < outbox/2 || l.Pending > outbox+600 || (l.Dropped > 0) != (policy == core.DropOldest) {
					t.Errorf("the list says %+v", l)
				}
				if len(got) < 10 || len(got) > 40 {
					t.Errorf("the slow one got %d of %d messages", len(got), said)
				}
			}
			eng.Stop(-1)
			k.Advance(time.Second)
			<-eng.Done()
			k.Check(t)
		})
	}
}

func TestPage(t *testing.T) {
	addr := serve(t, 1, core.DropOldest, 64<<10)
	c, err := client.Dial(addr, bound)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	io.WriteString(c, "GET / HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n")
	b, _ := io.ReadAll(c)
	if !bytes.HasPrefix(b, []byte("HTTP/1.1 200")) || !bytes.Contains(b, []byte("<title>chat</title>")) {
		t.Errorf("%.200q", b)
	}
	if err := run("x", "poll", 1, "sometimes", 1, "off"); err == nil || !strings.Contains(err.Error(), "close, drop, pause, refuse") {
		t.Errorf("a wrong policy: %v", err)
	}
}
