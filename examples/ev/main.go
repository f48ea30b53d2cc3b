//go:build foreignloops && cgo && linux

// Ev owns a loop of libev, with a timer and a descriptor of its own in it, and lets core serve a
// page and WebSockets there: in and out with SIGUSR1, to the end with SIGINT.
//
//	apt-get install gcc pkg-config libev-dev libevent-dev
//	go run -tags foreignloops ./examples/ev -addr localhost:7681
//
// With -nested core has one watcher in the loop, not one for each descriptor. The program is
// package demo; the libev part is package cloop/ev.
package main

import (
	"anyloop/examples/internal/cloop/demo"
	"anyloop/examples/internal/cloop/ev"
)

func main() { demo.Main(ev.New) }
