//go:build !linux

package e2e

// hole returns "": a full queue refuses here.
func (s *scene) hole() (addr string, fill func()) { return "", func() {} }
