//go:build foreignloops && cgo && linux

// Glib owns a loop of GLib, with a timer and a descriptor of its own in it, and lets core serve a
// page and WebSockets there: in and out with SIGUSR1, to the end with SIGINT.
//
//	apt-get install gcc pkg-config libglib2.0-dev
//	go run -tags foreignloops ./examples/glib -addr localhost:7681
//
// With -nested core has one watcher in the loop, not one for each descriptor. The program is
// package demo; the GLib part is package cloop/glib.
package main

import (
	"anyloop/examples/internal/cloop/demo"
	"anyloop/examples/internal/cloop/glib"
)

func main() { demo.Main(glib.New) }
