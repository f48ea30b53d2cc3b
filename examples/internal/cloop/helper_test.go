//go:build foreignloops && cgo && linux

package cloop_test

import (
	"net"
	"sync"
)

var warm sync.Once

// warmUp makes what the process keeps for good: descriptors of Go's net poller,
// and those that a C library opens with its first loop (libuv: a pipe).
func warmUp() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err == nil {
		l.Close()
	}
	for _, lib := range libraries {
		if l, err := lib.make(); err == nil {
			l.Turn(false)
			l.Close()
		}
	}
}
