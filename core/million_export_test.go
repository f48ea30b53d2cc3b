package core

import (
	"testing"
	"unsafe"
)

// TurnBatch is turnBatch.
const TurnBatch = turnBatch

// OnVisit has visit called for each link that is served because of pending work, a
// time limit or the end of the engine, until the test ends.
func OnVisit(t testing.TB, visit func(c *Conn)) {
	testVisit = func(l *link) { visit(l.own()) }
	t.Cleanup(func() { testVisit = nil })
}

// VirtualWire is what a connection over a simulated kernel keeps only because of
// that, in bytes, each object rounded up to the allocator's 16: a descriptor of the
// operating system has no wire of its own.
const VirtualWire = (unsafe.Sizeof(linkStore{})+15)&^15 + (unsafe.Sizeof(kernelWire{})+15)&^15
