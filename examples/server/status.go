package main

import (
	"encoding/json"
	"runtime"
	"sync"
	"time"

	"anyloop/core"
)

// statusEvery is the time between two reports, when nobody comes or goes.
const statusEvery = time.Second

// status reports who is connected and what the engine has done: libwebsockets'
// lws-status, as JSON.
type status struct {
	loop    string
	started time.Time
	mu      sync.Mutex // service threads share the list
	guests  map[*core.Conn]guest
}

// guest is one WebSocket of the page, of any protocol.
type guest struct {
	IP    string `json:"ip"`
	UA    string `json:"ua"`
	Proto string `json:"proto"`
	ID    uint64 `json:"id"`
}

type report struct {
	Loop       string  `json:"loop"`
	Threads    int     `json:"threads"`
	Uptime     float64 `json:"uptime"` // seconds
	Conns      []guest `json:"conns"`
	Open       int     `json:"open"`
	Accepted   uint64  `json:"accepted"`
	RX         uint64  `json:"rx"` // bytes
	TX         uint64  `json:"tx"`
	Memory     uint64  `json:"memory"` // bytes of heap in use
	Goroutines int     `json:"goroutines"`
	Version    string  `json:"version"`
}

// maxListed bounds the report.
const maxListed = 100

func newStatus(loop string) *status {
	return &status{loop: loop, started: time.Now(), guests: map[*core.Conn]guest{}}
}

func (s *status) report(e *core.Engine) []byte {
	var ms runtime.MemStats
	runtime.ReadMemStats(&ms)
	st := e.Stats()
	r := report{
		Loop: s.loop, Threads: e.Threads(), Uptime: time.Since(s.started).Seconds(),
		Open: st.Conns, Accepted: st.Accepted, RX: st.BytesIn, TX: st.BytesOut,
		Memory: ms.HeapInuse, Goroutines: runtime.NumGoroutine(), Version: runtime.Version(),
		Conns: []guest{},
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.guests {
		if len(r.Conns) == maxListed {
			break
		}
		r.Conns = append(r.Conns, g)
	}
	b, err := json.Marshal(r)
	if err != nil {
		panic(err) // a report has only plain fields
	}
	return b
}

// watching wraps a protocol so that its WebSockets are listed.
func (s *status) watching(p core.Protocol) core.Protocol {
	ws := p.WS
	p.WS = func(c *core.Conn) core.WSHandler { return &watched{WSHandler: ws(c), s: s} }
	return p
}

// watched passes everything on and takes the conn off the list at the end.
type watched struct {
	core.WSHandler
	s *status
}

func (w *watched) Opened(c *core.Conn, r *core.Request) error {
	w.s.mu.Lock()
	w.s.guests[c] = guest{IP: c.Peer(), UA: r.Header("user-agent"), Proto: c.Protocol(), ID: c.ID()}
	w.s.mu.Unlock()
	c.VHost().RequestWritable(statusProtocol)
	if h, ok := w.WSHandler.(core.WSOpener); ok {
		return h.Opened(c, r)
	}
	return nil
}

func (w *watched) Timer(c *core.Conn) error {
	if h, ok := w.WSHandler.(core.TimerHandler); ok {
		return h.Timer(c)
	}
	return nil
}

func (w *watched) Closed(c *core.Conn, err error) {
	w.s.mu.Lock()
	delete(w.s.guests, c)
	w.s.mu.Unlock()
	c.VHost().RequestWritable(statusProtocol)
	if h, ok := w.WSHandler.(core.ClosedHandler); ok {
		h.Closed(c, err)
	}
}

// statusConn is one reader of the status.
type statusConn struct{ s *status }

func (h *statusConn) Opened(c *core.Conn, _ *core.Request) error {
	if err := c.SetTimer(statusEvery); err != nil {
		return err
	}
	return c.RequestWritable()
}

func (h *statusConn) Timer(c *core.Conn) error {
	if err := c.SetTimer(statusEvery); err != nil {
		return err
	}
	return c.RequestWritable()
}

func (h *statusConn) Writable(c *core.Conn, w *core.WSWriter) error {
	return w.Text(h.s.report(c.Thread().Engine()))
}

func (h *statusConn) Receive(*core.Conn, core.Fragment) error { return nil }
