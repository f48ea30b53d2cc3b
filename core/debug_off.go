//go:build !race && !anyloopdebug

package core

const debugging = false

func spoil([]byte)        {}
func goroutineID() uint64 { return 0 }
