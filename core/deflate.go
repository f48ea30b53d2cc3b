package core

import "anyloop/core/flate"

// Deflate has the options of permessage-deflate (RFC 7692) on a vhost. The zero
// value is what most want: both directions compressed, windows of 4 KiB, nothing
// kept between messages.
type Deflate struct {
	// Takeover keeps the history of each direction from message to message,
	// which makes small messages much smaller, and costs memory for as long
	// as the connection lives: at most a window and 2 KiB per direction.
	Takeover bool
	// WindowBits bounds the window of what we send: 1<<WindowBits bytes, 8 to
	// 15; 0 means 12. The peer may ask for less.
	WindowBits int
	// PeerWindowBits is what the peer is asked to bound its window to, if it
	// lets itself be asked; 0 means 12. One that does not has 15.
	PeerWindowBits int
	// Threshold is the size below which whole messages are sent as they are, in
	// bytes; 0 means 64, -1 none.
	Threshold int
	// Level says how hard to try.
	Level flate.Level
	// Memory bounds what the vhost's connections keep for windows together, in
	// bytes; 0 means 256 MiB, -1 none. When it is used up, further connections
	// do without takeover, and one that would have to keep a window in the
	// middle of a message is closed with 1013.
	Memory int64
}
