//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package gnetloop

import "anyloop/core/loop"

const mustNest = true

type pollers struct{}

// Loop is the loop of one service thread; there is none on this operating
// system.
type Loop struct{}

func (*Loop) inUse() bool { return false }

func (b *Loops) open(int, loop.Service) (*Loop, loop.Loop, error) { return nil, nil, ErrUnsupported }
