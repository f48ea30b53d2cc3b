// Package flate is DEFLATE (RFC 1951) for connections: an inflater that can be
// suspended at every byte of its input and of its output, and a deflater whose
// memory scales with its window. Bytes in, bytes out; no I/O, no clock, no
// goroutine.
//
// Both come in two parts. What belongs to a connection, [Inflater] and [Deflater],
// is its history, at most the window, and little more; it is kept only while it
// is needed. What is large and needed only while working, [Tables] and [Matcher],
// belongs to whoever works: one service thread needs one Tables, and a few
// Matchers, which [Matchers] hands to the deflaters that used them last.
package flate

import "errors"

// Window sizes as powers of two (RFC 7692 7.1.2).
const (
	MinBits = 8
	MaxBits = 15
)

// What is wrong with compressed data.
var (
	ErrBlockType = errors.New("flate: reserved block type")
	ErrStored    = errors.New("flate: stored block's length and its complement differ")
	ErrCodes     = errors.New("flate: impossible set of codes")
	ErrSymbol    = errors.New("flate: code without a meaning")
	ErrDistance  = errors.New("flate: distance beyond the window or the data")
	ErrTruncated = errors.New("flate: message ends inside a block")
)
