//go:build linux

// Package serve is the servers that are measured: ours and its peers, each of which
// echoes WebSocket messages over TLS. Each is a process of its own.
package serve

import (
	"encoding/json"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/examples/bench/internal/proc"
)

// The servers.
const (
	Ours    = "anyloop"
	Gobwas  = "crypto/tls + gobwas/ws" // a goroutine per connection
	Gorilla = "net/http + gorilla/websocket"
)

// Config says what a server is to be.
type Config struct {
	Kind    string
	Key     string // "ecdsa" (P-256) or "rsa" (2048 bits); "" is ecdsa
	Profile string // file for a CPU profile; "" for none

	// Of ours only.
	Lend    bool         // TLS.LendBuffers
	OffLoop core.OffLoop // TLS.OffLoop
	Turns   bool         // measure every turn of the loop
	Steps   int          // Limits.ShakeBatch; 0 is the default

	// Of Gobwas only.
	Batch bool // answer all messages of one read by one write
}

// Usage is what a server says of itself. Counters are of its whole life.
type Usage struct {
	CPU        time.Duration // user and system time
	Conns      int           // open
	Goroutines int
	Handshakes uint64 // TLS handshakes that were completed
	Resumed    uint64 // of these, those that resumed a session

	// Only if asked for "memory", which collects garbage first.
	Heap, Stack        uint64 // bytes in use
	Mallocs, Allocated uint64 // objects and bytes allocated, freed or not

	Stats core.Stats // of ours
	Turns Turns      // of ours, if measured; since they were last asked for
}

// running is a server, in its process.
type running interface {
	addr() string
	count(u *Usage)
	stop() error
}

// Role is the server's process. It answers
//
//	addr    where it listens
//	usage   Usage without memory
//	memory  Usage
//	turns   Turns since this was last asked
func Role(config json.RawMessage) (answer proc.Answer, end func() error, err error) {
	var c Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, nil, err
	}
	s, err := start(&c)
	if err != nil {
		return nil, nil, err
	}
	stopProfile, err := profile(c.Profile)
	if err != nil {
		return nil, nil, err
	}
	end = func() error {
		stopProfile()
		return s.stop()
	}
	return func(what string, _ json.RawMessage) (any, error) {
		switch what {
		case "addr":
			return s.addr(), nil
		case "usage", "memory":
			return use(s, what == "memory")
		case "turns":
			if o, ok := s.(*ours); ok && o.turns != nil {
				return o.turns.take(), nil
			}
		}
		return nil, fmt.Errorf("no answer to %q", what)
	}, end, nil
}

func start(c *Config) (running, error) {
	cert, err := certificate(c.Key)
	if err != nil {
		return nil, err
	}
	switch c.Kind {
	case Ours:
		return startOurs(c, cert)
	case Gobwas:
		return startGobwas(c, cert)
	case Gorilla:
		return startGorilla(cert)
	}
	return nil, fmt.Errorf("no server is called %q", c.Kind)
}

func profile(file string) (stop func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	return func() {
		pprof.StopCPUProfile()
		f.Close()
	}, pprof.StartCPUProfile(f)
}

func use(s running, memory bool) (u Usage, err error) {
	if memory {
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		u.Mallocs, u.Allocated = m.Mallocs, m.TotalAlloc
		runtime.GC()
		runtime.GC() // what pools hold outlives the first
		runtime.ReadMemStats(&m)
		u.Heap, u.Stack = m.HeapAlloc, m.StackInuse
	}
	s.count(&u)
	u.Goroutines = runtime.NumGoroutine()
	var r syscall.Rusage
	err = syscall.Getrusage(syscall.RUSAGE_SELF, &r)
	u.CPU = time.Duration(r.Utime.Nano() + r.Stime.Nano())
	return u, err
}
