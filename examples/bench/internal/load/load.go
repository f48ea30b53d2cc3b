//go:build linux

// Package load is what loads the servers: a process of its own, the same for all of
// them, which speaks TLS by crypto/tls and shares nothing with the library but the
// encoding of frames. Every byte that comes back is compared.
package load

import (
	"encoding/json"
	"fmt"
	"time"

	"anyloop/examples/bench/internal/proc"
)

// Config says whom to load.
type Config struct{ Addr string }

// Echo asks for echoes on all open connections.
type Echo struct {
	Size, Depth int           // bytes of a message, messages in flight on each connection
	For         time.Duration // how long
	Rounds      int           // or how many times Depth on each connection; 0: For holds
}

// Shake asks for handshakes, each on a connection of its own.
type Shake struct {
	For      time.Duration
	Count    int  // or how many; 0: For holds
	Parallel int  // connections at a time
	X25519   bool // offer no other key exchange; else those that crypto/tls offers by itself
	Resume   bool // resume the session of a connection that was opened before
	TLS12    bool
}

// Shaken is what came of them.
type Shaken struct{ Done, Resumed int }

// Pace asks for single messages in regular intervals.
type Pace struct {
	Conns int
	Every time.Duration // on each connection
	For   time.Duration
}

// Storm asks for new connections in regular intervals.
type Storm struct {
	PerSecond int
	For       time.Duration
	X25519    bool // as in Shake
}

// Role is the load's process. It answers
//
//	open n      opens n WebSockets
//	half n      opens n connections and sends half a ClientHello on each
//	echo Echo   returns how many messages came back
//	shake Shake returns Shaken
//	pace Pace   returns how long each echo took
//	storm Storm returns Shaken
//	close       closes what was opened
func Role(config json.RawMessage) (answer proc.Answer, end func() error, err error) {
	var c Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, nil, err
	}
	l, err := newLoad(c.Addr)
	if err != nil {
		return nil, nil, err
	}
	return l.answer, l.end, nil
}

func (l *load) answer(what string, arg json.RawMessage) (any, error) {
	switch what {
	case "open":
		return with(arg, l.open)
	case "half":
		return with(arg, l.half)
	case "echo":
		return with(arg, l.echo)
	case "shake":
		return with(arg, l.shake)
	case "pace":
		return with(arg, l.pace)
	case "storm":
		return with(arg, l.storm)
	case "close":
		return nil, l.close()
	}
	return nil, fmt.Errorf("no answer to %q", what)
}

func with[A, B any](arg json.RawMessage, f func(A) (B, error)) (any, error) {
	var a A
	if err := json.Unmarshal(arg, &a); err != nil {
		return nil, err
	}
	return f(a)
}
