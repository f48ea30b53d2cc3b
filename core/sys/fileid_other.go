//go:build !unix

package sys

import "io/fs"

// InfoID is not to be had here: it returns the zero FileID.
func InfoID(fs.FileInfo) FileID { return FileID{} }
