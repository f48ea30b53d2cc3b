//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

import "github.com/panjf2000/gnet/v2"

type stream struct{}
type chokedList struct{}

func (s *stream) traffic() gnet.Action { return gnet.None }
func (s *stream) gone(error)           {}
