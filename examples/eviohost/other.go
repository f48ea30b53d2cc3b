//go:build !linux && !darwin && !freebsd

// Eviohost needs evio, which has no event loop on this system.
package main

import (
	"anyloop/examples/internal/app"
	"anyloop/loops/evio"
)

func main() { app.Fatal(evioloop.ErrUnsupported) }
