//go:build !race && foreignloops && cgo && linux

package cloop_test

const racing = false
