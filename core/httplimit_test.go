package core_test

import (
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// silent asks for Writable or not, and says nothing there or in Request.
type silent struct{ asks int }

func (h *silent) Request(c *core.Conn, _ *core.Request) error { return h.ask(c) }

func (h *silent) Writable(c *core.Conn, _ *core.HTTPWriter) error { return h.ask(c) }

func (h *silent) ask(c *core.Conn) error {
	if h.asks--; h.asks < 0 {
		return nil
	}
	return c.RequestWritable()
}

// TestContentTimeoutOfTheSilent: a handler that leaves a request without an answer
// is ended after ContentTimeout, whichever callback it is silent in, on a new
// connection as on one that has been answered before.
func TestContentTimeoutOfTheSilent(t *testing.T) {
	for asks := range 3 {
		for _, served := range []bool{false, true} {
			w := newWorld(t, sim.Options{}, core.Config{
				Limits: core.Limits{ContentTimeout: 7 * time.Second, KeepAliveTimeout: 3 * time.Second, HandshakeTimeout: 2 * time.Second},
				VHosts: []core.VHost{{Mounts: []core.Mount{
					{Path: "/", HTTP: func(*core.Conn) core.HTTPHandler { return &silent{asks: asks} }},
					mountAt("/page"),
				}}},
			})
			p := w.dial()
			if served {
				p.WriteString("GET /page HTTP/1.1\r\nHost: h\r\n\r\n")
				if got := p.answer(); !strings.HasPrefix(got, "HTTP/1.1 200 ") {
					t.Fatal(got)
				}
			}
			p.WriteString("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
			w.k.Drive()
			w.k.Advance(7*time.Second - 1)
			if p.EOF() || p.Gone() {
				t.Errorf("asks %d, served %v: ended too early", asks, served)
			}
			w.k.Advance(1)
			if !p.EOF() && !p.Gone() {
				t.Errorf("asks %d, served %v: not ended", asks, served)
			}
		}
	}
}

func mountAt(path string) core.Mount {
	m := mountOf(func(_ *core.Request, w *core.HTTPWriter) error { return w.Respond(200, nil, nil) })
	m.Path = path
	return m
}
