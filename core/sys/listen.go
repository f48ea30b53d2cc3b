package sys

import (
	"errors"
	"io/fs"
	"syscall"
)

// ListenOptions says where and how to listen.
type ListenOptions struct {
	Network string // "tcp" or "unix"
	Address string // "host:port", ":0", "[::1]:80"; a path, or "@name" in Linux's abstract namespace

	Family        Family // of a TCP address without one
	Interface     string // listen on this interface's addresses alone
	BindInterface bool   // and let only its traffic in: SO_BINDTODEVICE
	ReusePort     bool   // SO_REUSEPORT: several sockets share the port
	Backlog       int    // connections that wait to be accepted; 0: as many as the system allows
	FastOpen      int    // TCP_FASTOPEN: connections in the making that brought data; 0: off

	UnixMode  fs.FileMode // of a unix socket's path; 0: 0660
	UnixOwner string      // "user:group", "user" or ":group", names or numbers; "": as it comes
}

// Family restricts what a TCP listener serves.
type Family uint8

// The families.
const (
	AnyFamily Family = iota // IPv4 and IPv6
	IPv4
	IPv6
)

// ErrAbsent says that an interface, or an address of it, is not there.
var ErrAbsent = errors.New("not there")

// Absent reports whether a ListenAll failed for want of an interface or address
// that may still come.
func Absent(err error) bool {
	return errors.Is(err, ErrAbsent) || errors.Is(err, syscall.EADDRNOTAVAIL) || errors.Is(err, syscall.ENODEV)
}

// FileID tells one file from all others that exist at the same time.
type FileID struct{ Dev, Ino uint64 }
