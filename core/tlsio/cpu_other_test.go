//go:build !unix

package tlsio

import "time"

var started = time.Now()

// processorTime is the time that passes, where no other is known.
func processorTime() time.Duration { return time.Since(started) }
