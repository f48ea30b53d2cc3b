//go:build race && foreignloops && cgo && linux

package cloop_test

// racing says that the race detector makes everything several times as slow.
const racing = true
