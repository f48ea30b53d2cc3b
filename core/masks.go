package core

import (
	crand "crypto/rand"
	"encoding/binary"
	"math/rand/v2"
)

// maskKey returns a fresh masking key for a frame of a client. RFC 6455 5.3: "The
// masking key needs to be unpredictable", so that an application cannot choose
// what goes over the wire; the generator is seeded by the operating system.
func (th *Thread) maskKey() (key [4]byte) {
	binary.LittleEndian.PutUint32(key[:], uint32(th.random().Uint64()))
	return key
}

func (th *Thread) random() *rand.ChaCha8 {
	if th.masks == nil {
		var seed [32]byte
		crand.Read(seed[:])
		th.masks = rand.NewChaCha8(seed)
	}
	return th.masks
}
