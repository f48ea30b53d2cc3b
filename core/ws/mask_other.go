//go:build !amd64

package ws

// maskWide is for processors with wide words that Go's compiler does not use.
func maskWide(uint32, []byte) (ascii, done bool) { return false, false }
