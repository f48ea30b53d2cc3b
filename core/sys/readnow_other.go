//go:build !linux

package sys

import "io/fs"

// ReadNow is not to be had here.
func ReadNow(int, string, int64) ([]byte, fs.FileInfo, error) { return nil, nil, ErrNever }

// AbsentNow is not to be had here.
func AbsentNow(int, string) bool { return false }
