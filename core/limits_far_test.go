package core_test

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// TestMessageLongerThanCanBeCounted: an unfinished fragment, and a continuation that
// announces 2^63-1 bytes. Without MaxFrame the sum went round: MaxMessage held nobody
// back, and one that was to be put together kept its thread busy with panics for ever.
func TestMessageLongerThanCanBeCounted(t *testing.T) {
	for _, lim := range []core.Limits{
		{MaxFrame: -1}, {MaxFrame: -1, MaxMessage: 1000}, {MaxFrame: math.MaxInt64, MaxMessage: 1000}, {MaxFrame: -1, MaxMessage: math.MaxInt64},
	} {
		for _, assembled := range []bool{false, true} {
			t.Run(fmt.Sprint(lim.MaxFrame, lim.MaxMessage, assembled), func(t *testing.T) {
				got := 0
				proto := core.Protocol{Name: "a", WS: core.OnMessage(func(_ *core.Conn, m core.Message, _ *core.Outbox) error { got += len(m.Data); return nil })}
				if !assembled {
					proto = recording("r", &[]*recorder{}, func(r *recorder) {
						r.on = func(_ *core.Conn, f core.Fragment) error { got += len(f.Data); return nil }
					})
				}
				w := newWorld(t, sim.Options{}, core.Config{Limits: lim, VHosts: []core.VHost{{Protocols: []core.Protocol{proto}}}})
				p := w.ws()
				p.Write(frame(ws.Binary, false, "0123456789"))
				p.Write(announce(ws.Continuation, math.MaxInt64))
				p.WriteString(strings.Repeat("x", 64<<10))
				if s := p.frames(); !strings.HasPrefix(s, "close 1009") || got > 10 || w.eng.Stats().Panics != 0 {
					t.Errorf("%s; %d bytes were received, %d panics", s, got, w.eng.Stats().Panics)
				}
				p.Close()
				w.k.Drive()
			})
		}
	}
}

// announce is the header of a last frame of n bytes, masked with zeros.
func announce(op ws.Opcode, n uint64) []byte {
	return append(binary.BigEndian.AppendUint64([]byte{0x80 | byte(op), 0x80 | 127}, n), 0, 0, 0, 0)
}

// TestOneFrameOfAllBytes: a single frame may announce as much where there is no limit;
// memory follows what is sent.
func TestOneFrameOfAllBytes(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{MaxFrame: -1, MaxMessage: math.MaxInt64}, VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	p.Write(announce(ws.Binary, math.MaxInt64))
	for range 20 {
		p.WriteString(strings.Repeat("x", 64<<10))
		w.k.Drive()
	}
	if s := p.frames(); s != "" || w.eng.Stats().Panics != 0 {
		t.Errorf("%s; %d panics", s, w.eng.Stats().Panics)
	}
	p.Close()
	w.k.Drive()
}

// TestTimesThatNeverCome: a time limit as long as can be written was in the past.
func TestTimesThatNeverCome(t *testing.T) {
	var lim core.Limits
	v := reflect.ValueOf(&lim).Elem()
	for i := range v.NumField() {
		if f := v.Field(i); f.Type() == reflect.TypeFor[time.Duration]() {
			f.SetInt(math.MaxInt64)
		}
	}
	lim.PingInterval = math.MaxInt64 / 2
	lim.PongTimeout = 0 // follows
	var recs []*recorder
	ripe := false
	vh := core.VHost{Protocols: []core.Protocol{recording("p", &recs, func(r *recorder) {
		r.open = func(c *core.Conn, _ *core.Request) error { return c.SetTimer(math.MaxInt64) }
	})}}
	vh.Protocols[0].HTTP = core.HTTPFunc(hello)
	w := newWorld(t, sim.Options{}, core.Config{Limits: lim, VHosts: []core.VHost{vh}})
	w.k.Advance(time.Second) // the sum would just fit at the beginning of time
	w.eng.Post(func() { w.eng.Thread(0).AfterFunc(math.MaxInt64, func() { ripe = true }) })
	silent, asks, idles, p := w.dial(), w.dial(), w.dial(), w.ws()
	asks.WriteString("GET / HTTP/1.1\r\nHo")
	idles.WriteString("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	idles.answer()
	w.k.Advance(365 * 24 * time.Hour)
	if silent.EOF() || asks.EOF() || idles.EOF() || p.EOF() || recs[0].log() != "opened" || ripe {
		t.Errorf("after a year: silent %v, asking %v, idle %v, WebSocket %v, %s, AfterFunc %v", silent.EOF(), asks.EOF(), idles.EOF(), p.EOF(), recs[0].log(), ripe)
	}
	for _, p := range []*peer{silent, asks, idles, p} {
		p.Close()
	}
	w.k.Drive()
}

// TestStopWithoutLimitsSaysGoodbye: no limit on the parts of an end is no reason to cut
// everybody at once.
func TestStopWithoutLimitsSaysGoodbye(t *testing.T) {
	for _, d := range []time.Duration{-1, math.MaxInt64} {
		w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{FlushTimeout: d, CloseTimeout: d}, VHosts: []core.VHost{httpVHost()}})
		p := w.ws()
		w.eng.Stop(0)
		w.k.Advance(time.Second)
		p.want(`close 1001 "server is going away"`)
		p.close(1001, "")
		w.k.Drive()
		p.Close()
		w.k.Drive()
	}
}

// TestPongTimeoutIsLongerThanPingInterval: else who is asked has been given up before.
func TestPongTimeoutIsLongerThanPingInterval(t *testing.T) {
	vh := httpVHost()
	vh.Addr = host
	vh.Limits = core.Limits{PongTimeout: 10 * time.Second}
	_, err := core.New(core.Config{Backend: sim.New(sim.Options{}), Limits: core.Limits{PingInterval: 30 * time.Second}, VHosts: []core.VHost{vh}})
	if err == nil || !strings.Contains(err.Error(), "PongTimeout (10s) must be longer than PingInterval (30s)") {
		t.Errorf("%v", err)
	}
}

// TestStalledPeerIsGivenUp: a peer that takes nothing of what it asked for was kept for
// ever, since a full Outbox pauses it and its limits stood still. One that is slow lives.
func TestStalledPeerIsGivenUp(t *testing.T) {
	for _, slow := range []bool{false, true} {
		var recs []*recorder
		var out *core.Outbox
		vh := core.VHost{Protocols: []core.Protocol{recording("p", &recs, func(r *recorder) {
			out = core.NewOutbox(r.c, core.PauseSource)
			r.on = func(*core.Conn, core.Fragment) error { return out.Send(core.Message{Data: make([]byte, 60_000)}) }
			r.write = func(_ *core.Conn, w *core.WSWriter) error { return out.Writable(w) }
		})}}
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
		p := w.ws()
		p.Stall(true)
		for range 10 {
			p.text("more")
			w.k.Drive()
		}
		for range 20 {
			w.k.Advance(30 * time.Second)
			if slow { // takes what is there, and nothing more
				p.Stall(false)
				p.Read()
				p.Stall(true)
				p.text("more")
				w.k.Drive()
			}
		}
		var le *core.LimitError
		switch given := errors.As(recs[0].err, &le) && le.Limit == "PongTimeout"; {
		case slow && recs[0].count("closed") != 0:
			t.Errorf("a slow peer was given up: %v", recs[0].err)
		case !slow && !given:
			t.Errorf("a peer that stalls: closed %d times, %v", recs[0].count("closed"), recs[0].err)
		}
		p.Close()
		w.k.Drive()
	}
}

// TestIncompressibleMessageOfMaxMessage: compressed it is longer than plain, and was
// refused for that.
func TestIncompressibleMessageOfMaxMessage(t *testing.T) {
	for size, want := range map[int]string{1000: "", 1001: "close 1009"} {
		b := make([]byte, size)
		rand.New(rand.NewSource(1)).Read(b)
		vh := echoVHost(&core.Deflate{})
		vh.Limits.MaxMessage = 1000
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
		p, _ := w.upgrade("Sec-WebSocket-Extensions: permessage-deflate\r\n")
		z := squash(string(b))
		if len(z) <= size {
			t.Fatalf("%d bytes became %d", size, len(z))
		}
		p.Write(packedFrame(ws.Binary, true, true, z))
		if s := p.frames(); want == "" && strings.HasPrefix(s, "close") || !strings.HasPrefix(s, want) {
			t.Errorf("%d bytes, %d compressed: %s", size, len(z), s)
		}
		p.Close()
		w.k.Drive()
	}
	for size, want := range map[int]string{1000: "", 1001: "close 1009"} { // plain ones have no more room
		vh := echoVHost(&core.Deflate{})
		vh.Limits.MaxMessage = 1000
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
		p, _ := w.upgrade("Sec-WebSocket-Extensions: permessage-deflate\r\n")
		p.Write(frame(ws.Binary, true, strings.Repeat("x", size)))
		if s := p.frames(); want == "" && strings.HasPrefix(s, "close") || !strings.HasPrefix(s, want) {
			t.Errorf("%d plain bytes: %s", size, s)
		}
		p.Close()
		w.k.Drive()
	}
}

// TestSecondAddressHasItsChance: a ConnectTimeout below AttemptDelay left none to it.
func TestSecondAddressHasItsChance(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{ConnectTimeout: 200 * time.Millisecond},
		Resolver: book{"two.example": "192.0.2.4 2001:db8::4"}, VHosts: []core.VHost{httpVHost()}})
	w.k.Answer("[2001:db8::4]:80", sim.Answer{Silent: true})
	w.k.Answer("192.0.2.4:80", sim.Answer{Silent: true})
	w.eng.Post(func() {
		if _, err := w.eng.Thread(0).Dial(w.eng.VHost("default"), core.Dial{URL: "ws://two.example/"}); err != nil {
			t.Error(err)
		}
	})
	w.until("the name is resolved", func() bool { w.k.Drive(); return len(w.k.Attempts()) > 0 })
	w.k.Advance(time.Second)
	if n := len(w.k.Attempts()); n != 2 {
		t.Errorf("%d addresses were tried", n)
	}
}

// TestHandlersErrorIsInTheLog: a handler of OnMessage has no Closed to be told in.
func TestHandlersErrorIsInTheLog(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{WriteLimit: 10}, VHosts: []core.VHost{httpVHost()}})
	p := w.ws()
	p.text("longer than that")
	p.want("close 1011")
	if !strings.Contains(w.log.String(), core.ErrTooLong.Error()) {
		t.Errorf("the log says %q", w.log)
	}
	p.close(1011, "")
	p.Close()
	w.k.Drive()
}
