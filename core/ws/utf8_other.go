//go:build !amd64

package ws

const wideText = 1 << 20

func validWide([]byte) (valid, done bool) { return false, false }
