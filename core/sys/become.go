package sys

// Identity is who a process is to the kernel, and what it may do.
type Identity struct {
	UID, GID int
	Groups   []int // supplementary groups
	Keep     []int // capabilities, by number
}
