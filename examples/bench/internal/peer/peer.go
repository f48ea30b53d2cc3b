//go:build linux

// Package peer is the other servers: echo servers on other WebSocket libraries, each
// written as its documentation recommends for throughput and without compression,
// file servers, and the floors that no server can be below. They are for comparison,
// not examples of good servers.
package peer

import (
	"encoding/json"
	"fmt"
	"log"
	"maps"
	"os"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"

	"anyloop/examples/bench/internal/proc"
)

// Config says which server, and where it listens.
type Config struct {
	Name, Addr string
	Broadcast  bool   // answer the text message "B<n>" with n bytes 'x' to every connection
	Dir        string // of file servers
}

// servers run until they fail. Files of this package add theirs.
var servers = map[string]func(*Config) error{}

// Names returns the servers' names, sorted.
func Names() []string { return slices.Sorted(maps.Keys(servers)) }

// Role is a server's process. It answers
//
//	collect  collects garbage and gives free memory back
func Role(config json.RawMessage) (answer proc.Answer, end func() error, err error) {
	var c Config
	if err := json.Unmarshal(config, &c); err != nil {
		return nil, nil, err
	}
	serve := servers[c.Name]
	if serve == nil {
		return nil, nil, fmt.Errorf("no server is called %q", c.Name)
	}
	log.SetOutput(os.Stderr)
	go func() { log.Fatalf("%s: %v", c.Name, serve(&c)) }()
	return func(what string, _ json.RawMessage) (any, error) {
		if what != "collect" {
			return nil, fmt.Errorf("no answer to %q", what)
		}
		debug.FreeOSMemory()
		return nil, nil
	}, func() error { return nil }, nil
}

// order reads "B<n>".
func order(p []byte) (n int, ok bool) {
	if len(p) < 2 || len(p) > 9 || p[0] != 'B' {
		return 0, false
	}
	n, err := strconv.Atoi(string(p[1:]))
	return n, err == nil && n >= 0 && n <= 16<<20
}

// fill makes what was ordered.
func fill(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = 'x'
	}
	return b
}

// registry is the open connections of a server that broadcasts.
type registry[T comparable] struct {
	on bool
	mu sync.Mutex
	m  map[T]struct{}
}

func (r *registry[T]) add(c T) {
	if !r.on {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.m == nil {
		r.m = map[T]struct{}{}
	}
	r.m[c] = struct{}{}
}

func (r *registry[T]) remove(c T) {
	if !r.on {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.m, c)
}

func (r *registry[T]) each(f func(T)) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for c := range r.m {
		f(c)
	}
}
