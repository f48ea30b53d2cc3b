package app

import (
	"flag"

	"anyloop/core"
)

// DeflateFlags declares -deflate, -takeover and -window, and returns what they
// come to once flags are parsed: nil without -deflate.
func DeflateFlags() func() *core.Deflate {
	on := flag.Bool("deflate", false, "permessage-deflate (RFC 7692)")
	takeover := flag.Bool("takeover", false, "with -deflate: keep the history from message to message")
	window := flag.Int("window", 0, "with -deflate: window of both directions as a power of two, 8 to 15; 0 is the library's default")
	threshold := flag.Int("threshold", 0, "with -deflate: bytes of a message below which it is sent as it is; 0 is the library's default, -1 none")
	return func() *core.Deflate {
		if !*on {
			return nil
		}
		return &core.Deflate{Takeover: *takeover, WindowBits: *window, PeerWindowBits: *window, Threshold: *threshold}
	}
}
