package core

import (
	"context"
	"log/slog"
	"sync"
)

// Stats counts what a service thread, or the whole engine, has done.
type Stats struct {
	Conns           int    // connections of peers now
	Accepted        uint64 // connections accepted
	Refused         uint64 // of these, refused by FilterConn or for lack of room
	BytesIn         uint64 // bytes read from wires
	BytesOut        uint64 // bytes that wires took
	SharedOut       uint64 // of these, bytes of messages shared by many receivers: taken from where they are, not copied
	Messages        uint64 // WebSocket messages received
	Sent            uint64 // WebSocket messages sent
	Requests        uint64 // HTTP requests
	Raw             uint64 // connections that became raw
	Reads           uint64 // read system calls
	Writes          uint64 // write and writev system calls
	Adds            uint64 // AddPollFD calls
	Dels            uint64 // DelPollFD calls
	Changes         uint64 // ChangeModePollFD calls
	Chokes          uint64 // times a wire took less than everything
	Wakes           uint64 // wake-ups handled
	Posts           uint64 // posted functions run
	AcceptPauses    uint64 // times accepting stopped for lack of room or descriptors
	HeaderWaits     uint64 // requests that waited for a header table
	Dials           uint64 // connections begun by Dial
	ConnectFailures uint64 // of these, those that did not come about
	Shaking         int    // TLS handshakes underway now
	Handshakes      uint64 // TLS handshakes that were completed
	Resumed         uint64 // of these, those that resumed a session
	ShakeFailures   uint64 // TLS handshakes that were not completed
	Panics          uint64 // panics in handlers
	Misuses         uint64 // broken rules of the API
	Headers         int    // header tables in use now
}

func (s *Stats) add(o *Stats) {
	s.Conns += o.Conns
	s.Accepted += o.Accepted
	s.Refused += o.Refused
	s.BytesIn += o.BytesIn
	s.BytesOut += o.BytesOut
	s.SharedOut += o.SharedOut
	s.Messages += o.Messages
	s.Sent += o.Sent
	s.Requests += o.Requests
	s.Raw += o.Raw
	s.Reads += o.Reads
	s.Writes += o.Writes
	s.Adds += o.Adds
	s.Dels += o.Dels
	s.Changes += o.Changes
	s.Chokes += o.Chokes
	s.Wakes += o.Wakes
	s.Posts += o.Posts
	s.AcceptPauses += o.AcceptPauses
	s.HeaderWaits += o.HeaderWaits
	s.Dials += o.Dials
	s.ConnectFailures += o.ConnectFailures
	s.Shaking += o.Shaking
	s.Handshakes += o.Handshakes
	s.Resumed += o.Resumed
	s.ShakeFailures += o.ShakeFailures
	s.Panics += o.Panics
	s.Misuses += o.Misuses
	s.Headers += o.Headers
}

// published is what other goroutines may read of a thread: a copy made when
// somebody has asked for one.
type published struct {
	mu   sync.Mutex
	copy Stats
}

// publish is called at the end of each entry. It may wait for a reader to copy;
// passing it over would leave a thread that goes quiet with old numbers.
func (th *Thread) publish() {
	th.pub.mu.Lock()
	p := &th.pub.copy
	*p = th.stats
	p.Conns = th.conns
	p.Reads, p.Writes = th.io.Reads, th.io.Writes+th.io.Writevs
	p.Misuses = th.misused.Load()
	p.Headers = th.headers.out
	p.Shaking = th.shakes.running
	th.pub.mu.Unlock()
}

// Stats returns the thread's counters as of the end of its last turn. Any
// goroutine.
func (th *Thread) Stats() Stats {
	th.pub.mu.Lock()
	defer th.pub.mu.Unlock()
	return th.pub.copy
}

// Stats returns the sum over all service threads. Any goroutine.
func (e *Engine) Stats() Stats {
	var sum Stats
	for _, th := range e.threads {
		s := th.Stats()
		sum.add(&s)
	}
	sum.Panics += e.panics.Load()
	return sum
}

// levelHandler gives a vhost a level of its own.
type levelHandler struct {
	slog.Handler
	level slog.Leveler
}

func (h levelHandler) Enabled(_ context.Context, l slog.Level) bool { return l >= h.level.Level() }
func (h levelHandler) WithAttrs(a []slog.Attr) slog.Handler {
	return levelHandler{h.Handler.WithAttrs(a), h.level}
}
func (h levelHandler) WithGroup(n string) slog.Handler {
	return levelHandler{h.Handler.WithGroup(n), h.level}
}
