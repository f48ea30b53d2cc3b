package interop

import (
	"errors"
	"fmt"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/examples/internal/try"
)

// upgrade is a client's opening handshake.
const upgrade = "GET / HTTP/1.1\r\nHost: a.test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// frame is a client's text message, masked with zeros so that it can be read.
func frame(text string) string {
	return "\x81" + string([]byte{0x80 | byte(len(text)), 0, 0, 0, 0}) + text
}

// sTalk starts openssl's client, which obeys a letter at the beginning of what it
// is given at once: R renegotiates, K and k send a KeyUpdate, Q ends.
func sTalk(t *testing.T, addr string, args ...string) *try.Talking {
	t.Helper()
	argv := []string{try.Need(t, "openssl", "openssl"), "s_client", "-connect", addr, "-servername", "a.test"}
	return try.Talk(t, append(argv, args...)...)
}

// ending is a vhost with an echo that tells how its one connection ended.
func ending(t *testing.T, ws func(*core.Conn) core.WSHandler) (core.VHost, *try.Ended) {
	vh, h := named("a.test", try.NewCA(t).Issue(t, "a.test"), core.TLS{}), new(try.Ended)
	vh.Protocols[0].WS = try.Ends(h, ws)
	return vh, h
}

// TestOpenSSLRenegotiation: a client that wants to negotiate again is refused, and
// that ends it; the handler hears of it, and others go on.
func TestOpenSSLRenegotiation(t *testing.T) {
	vh, h := ending(t, core.OnMessage(echoBack))
	eng := try.Engine(t, vh)
	addr := eng.VHost("a.test").Addr()
	c := sTalk(t, addr, "-tls1_2")
	c.Say(upgrade)
	c.Until("101 Switching")
	c.Say("R\n")
	if out := c.End(); !strings.Contains(out, "RENEGOTIATING") || !strings.Contains(out, "SSL alert number 10") && !strings.Contains(out, "SSL alert number 100") {
		t.Errorf("openssl says:\n%s", out)
	}
	var te *core.TransportError
	if err := h.Wait(t); !errors.As(err, &te) || te.Op != "tls" {
		t.Errorf("the handler was told %v", err)
	}
	wants(t, sClient(t, addr, "a.test", "-tls1_2"), "this is a.test")
}

// TestOpenSSLKeyUpdate: new keys, with and without an answer asked for, between
// messages in both directions.
func TestOpenSSLKeyUpdate(t *testing.T) {
	vh, _ := ending(t, core.OnMessage(echoBack))
	eng := try.Engine(t, vh)
	c := sTalk(t, eng.VHost("a.test").Addr(), "-tls1_3")
	c.Say(upgrade)
	c.Until("101 Switching")
	for i := range 200 {
		c.Say([]string{"K\n", "k\n"}[i%2])
		c.Times("KEYUPDATE", i+1)
		text := fmt.Sprintf("message %d.", i)
		c.Say(frame(text))
		c.Times(text, 1)
	}
	if st := try.Stats(t, eng); st.Messages != 200 || st.Sent != 200 {
		t.Errorf("%d messages in, %d out", st.Messages, st.Sent)
	}
}

// TestOpenSSLKeyUpdateFlood: a client asks for new keys again and again, with a
// message in between, and reads nothing. The answers that wait for it are bounded, by
// reading no more from it; others are served meanwhile, and once it reads nothing is
// lost.
func TestOpenSSLKeyUpdateFlood(t *testing.T) {
	const floods = 1500
	h := &deaf{big: make([]byte, 8<<20), wants: floods + 1, all: make(chan struct{})}
	vh := named("a.test", try.NewCA(t).Issue(t, "a.test"), core.TLS{})
	vh.Limits.WriteLimit = 16 << 20
	vh.Protocols = append(vh.Protocols, core.Protocol{Name: "deaf", WS: func(*core.Conn) core.WSHandler { return h }})
	eng := try.Engine(t, vh)
	addr := eng.VHost("a.test").Addr()
	other := sTalk(t, addr)
	other.Say(upgrade)
	other.Until("101 Switching")

	v := newValve(t, addr)
	c := sTalk(t, v.addr, "-tls1_3")
	c.Say(strings.Replace(upgrade, "\r\n\r\n", "\r\nSec-WebSocket-Protocol: deaf\r\n\r\n", 1))
	c.Until("101 Switching")
	open := v.shut(t)
	// Records: 5 bytes of header, 1 of type and 16 of tag around 5 and 10.
	const record = 5 + 1 + 16
	const each = record + 5 + record + 10
	start := v.passed() + record + 10
	// A small answer may pass yet; a part of a record must not, or the client waits for
	// the rest of it and does nothing else.
	c.Say(frame("more"))
	v.parked()
	for i := range floods {
		c.Say("K\n")
		c.Times("KEYUPDATE", i+1)
		c.Say(frame("more"))
		v.until(start + (i+1)*each)
	}
	// It has settled when many turns of the loop, each with an echo for somebody
	// else, have taken nothing more.
	taken := int64(-1)
	for same, i := 0, 0; same < 100; i++ {
		other.Say(frame(fmt.Sprintf("echo %d.", i)))
		other.Times(fmt.Sprintf("echo %d.", i), 1)
		if now := h.got.Load(); now != taken {
			taken, same = now, 0
		} else {
			same++
		}
	}
	if taken > 1000 {
		t.Errorf("%d of %d messages were taken from a client that reads nothing", taken, floods)
	}
	if st := try.Stats(t, eng); st.Chokes == 0 {
		t.Error("nothing waits for the client")
	}
	open()
	select {
	case <-h.all:
	case <-time.After(bound):
		t.Errorf("only %d messages have come", h.got.Load())
	}
}

// deaf is a handler that sends a small message and a big one, and counts what it gets.
type deaf struct {
	small bool // it is sent
	big   []byte
	wants int64
	got   atomic.Int64
	all   chan struct{}
}

func (h *deaf) Receive(c *core.Conn, f core.Fragment) error {
	if h.got.Add(1) == h.wants {
		close(h.all)
	}
	return c.RequestWritable()
}

func (h *deaf) Writable(_ *core.Conn, w *core.WSWriter) error {
	if p := h.big; p != nil && h.small {
		h.big = nil
		return w.Binary(p)
	}
	if h.small {
		return nil
	}
	h.small = true
	return w.Text([]byte("small"))
}

// TestOpenSSLCloseNotify: the end of the stream is said in both directions, so that
// nobody takes a cut for an end.
func TestOpenSSLCloseNotify(t *testing.T) {
	const said = ", warning close_notify"
	for _, version := range versions {
		t.Run("we close"+version, func(t *testing.T) {
			eng := try.Engine(t, named("a.test", try.NewCA(t).Issue(t, "a.test"), core.TLS{}))
			out := sClient(t, eng.VHost("a.test").Addr(), "a.test", version, "-msg")
			wants(t, out, "this is a.test", "\nclosed\n")
			if m := alertIn.FindString(out); m == "" || strings.Contains(out, "unexpected eof") {
				t.Errorf("no close_notify came:\n%s", out)
			}
		})
		t.Run("it closes"+version, func(t *testing.T) {
			vh, h := ending(t, core.OnMessage(echoBack))
			eng := try.Engine(t, vh)
			c := sTalk(t, eng.VHost("a.test").Addr(), version, "-msg")
			c.Say(upgrade)
			c.Until("101 Switching")
			c.Say("Q\n")
			out := c.End()
			wants(t, out, said)
			if err := h.Wait(t); err == nil {
				t.Error("the handler was told nothing")
			} else {
				t.Log(err, alertIn.FindString(out))
			}
		})
	}
}

// alertIn is how -msg shows a close_notify that has come.
var alertIn = regexp.MustCompile(`(?m)^<<< TLS 1\.[23], Alert \[length 0002\], warning close_notify`)
