package sys

import "errors"

// What ReadNow says of a file that it has not read.
var (
	// ErrNotNow: it may take waiting, or is no small file. Somebody who may wait
	// will find out.
	ErrNotNow = errors.New("sys: this file cannot be read without waiting")
	// ErrNever: the kernel or the file system cannot tell. Do not ask again.
	ErrNever = errors.New("sys: files cannot be read without waiting here")
)
