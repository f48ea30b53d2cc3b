//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package gnetengine

// divert does nothing: gnet shares no port here.
func divert(int) {}
