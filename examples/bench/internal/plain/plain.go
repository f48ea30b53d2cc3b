//go:build linux

// Package plain loads servers over plain TCP: WebSockets, HTTP/1.1, or bytes without
// framing. It is a process of its own with one thread, one epoll set and no goroutine
// per connection, which never sleeps while it loads, so that no server has to wake it.
// It shares nothing with the library, and compares every byte that comes back.
package plain

import (
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"anyloop/examples/bench/internal/proc"
)

// The kinds of work.
const (
	Echo      = "echo"      // each message must come back
	Connect   = "connect"   // connect, upgrade, reset; Conns of them at a time
	Broadcast = "broadcast" // "B<Size>" makes the server send Size bytes 'x' to all
	Get       = "get"       // HTTP/1.1 GET of Path, keep-alive
)

// Work says whom to load, and with what.
type Work struct {
	Addr   string
	Kind   string
	Raw    bool   // Echo and Connect: bytes over TCP, no WebSocket
	Conns  int    // open, or under way with Connect
	Active int    // Echo: so many of them send; 0: all
	Size   int    // bytes of a message
	Depth  int    // messages in flight on each connection; 0 is 1
	Path   string // Get
	Body   []byte // Get: what must come

	Patience time.Duration // how long the server may keep silent; 0 is a minute
}

// Slice is what came of a slice of time. All that was begun in it has ended in it.
type Slice struct {
	Units   uint64 // messages, deliveries, handshakes or responses
	Elapsed time.Duration
	Reads   uint64 // read system calls of the load
}

// Latency is how long units took, since the first slice or the last "forget".
type Latency struct{ P50, P99, P999, Max time.Duration }

// Role is the load's process. It answers
//
//	open n       opens so many connections (with Connect none)
//	slice For    returns Slice
//	touch        echoes one message on each connection, few at a time
//	forget       forgets the latencies
//	latency      returns Latency
//	close        resets the connections
func Role(config json.RawMessage) (answer proc.Answer, end func() error, err error) {
	var w Work
	if err := json.Unmarshal(config, &w); err != nil {
		return nil, nil, err
	}
	runtime.LockOSThread()
	debug.SetGCPercent(-1) // nothing is allocated per message
	debug.SetMemoryLimit(2 << 30)
	l, err := newLoop(w)
	if err != nil {
		return nil, nil, err
	}
	return l.answer, l.end, nil
}

func (l *loop) answer(what string, arg json.RawMessage) (any, error) {
	switch what {
	case "open":
		var n int
		if err := json.Unmarshal(arg, &n); err != nil {
			return nil, err
		}
		return nil, l.openAll(n)
	case "slice":
		var d time.Duration
		if err := json.Unmarshal(arg, &d); err != nil {
			return nil, err
		}
		return l.slice(d)
	case "touch":
		return nil, l.touch()
	case "forget":
		l.lat = hist{}
		return nil, nil
	case "latency":
		return Latency{l.lat.quantile(0.5), l.lat.quantile(0.99), l.lat.quantile(0.999), time.Duration(l.lat.max)}, nil
	case "close":
		l.closeAll()
		return nil, nil
	}
	return nil, fmt.Errorf("no answer to %q", what)
}
