//go:build foreignloops && cgo && linux

// Event owns a loop of libevent, with a timer and a descriptor of its own in it, and lets core serve a
// page and WebSockets there: in and out with SIGUSR1, to the end with SIGINT.
//
//	apt-get install gcc pkg-config libevent-dev
//	go run -tags foreignloops ./examples/event -addr localhost:7681
//
// With -nested core has one watcher in the loop, not one for each descriptor. The program is
// package demo; the libevent part is package cloop/event.
package main

import (
	"anyloop/examples/internal/cloop/demo"
	"anyloop/examples/internal/cloop/event"
)

func main() { demo.Main(event.New) }
