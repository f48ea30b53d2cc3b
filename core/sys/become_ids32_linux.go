//go:build linux && (386 || arm)

package sys

import "golang.org/x/sys/unix"

// The older calls know 16-bit ids only.
const (
	sysSetgroups = unix.SYS_SETGROUPS32
	sysSetresgid = unix.SYS_SETRESGID32
	sysSetresuid = unix.SYS_SETRESUID32
)
