//go:build !unix

package e2e

// adoptFile: this system has no pipes that can be polled.
func adoptFile(*scene) error { return &notApplicable{"no pipes that can be polled"} }
