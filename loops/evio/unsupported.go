//go:build !linux && !darwin && !freebsd

package evioloop

import "anyloop/core/loop"

// Bridge is a backend on systems where evio has an event loop; here there is
// none.
type Bridge struct{}

// New returns ErrUnsupported.
func New(...Option) (*Bridge, error) {
	settle(nil)
	return nil, ErrUnsupported
}

// Info implements loop.Backend.
func (*Bridge) Info() loop.Info {
	return loop.Info{Name: "evio/bridge", Tier: loop.Nested, Foreign: true}
}

// Open implements loop.Backend: ErrUnsupported.
func (*Bridge) Open(int, loop.Service) (loop.Loop, error) { return nil, ErrUnsupported }

// StreamLoops is a backend on systems where evio has an event loop.
type StreamLoops struct{ Bridge }

// Streams returns ErrUnsupported.
func Streams(...Option) (*StreamLoops, error) { return nil, ErrUnsupported }
