//go:build race || anyloopdebug

package core

import (
	"bytes"
	"runtime"
	"strconv"
)

// debugging: under the race detector or the tag anyloopdebug, lent buffers are
// overwritten after the callback, and verbs check their goroutine.
const debugging = true

// spoil overwrites a buffer whose loan is over.
func spoil(p []byte) {
	for i := range p {
		p[i] = 0xdb
	}
}

// goroutineID reads the running goroutine's number from its stack header.
func goroutineID() uint64 {
	var buf [40]byte
	s := buf[:runtime.Stack(buf[:], false)]
	s = bytes.TrimPrefix(s, []byte("goroutine "))
	if i := bytes.IndexByte(s, ' '); i > 0 {
		n, _ := strconv.ParseUint(string(s[:i]), 10, 64)
		return n
	}
	return 0
}
