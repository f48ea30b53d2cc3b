//go:build foreignloops && cgo && linux

// Uv owns a loop of libuv, with a timer and a descriptor of its own in it, and lets core serve a
// page and WebSockets there: in and out with SIGUSR1, to the end with SIGINT.
//
//	apt-get install gcc pkg-config libuv1-dev
//	go run -tags foreignloops ./examples/uv -addr localhost:7681
//
// With -nested core has one watcher in the loop, not one for each descriptor. The program is
// package demo; the libuv part is package cloop/uv.
package main

import (
	"anyloop/examples/internal/cloop/demo"
	"anyloop/examples/internal/cloop/uv"
)

func main() { demo.Main(uv.New) }
