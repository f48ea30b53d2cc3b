// Package fds is a table indexed by descriptor. It grows by pieces, so that a new
// highest number neither copies nor doubles it.
package fds

const (
	shift = 8
	piece = 1 << shift
)

// Table holds a T for each descriptor. The zero value is empty and ready for use.
// Not for several goroutines at a time.
type Table[T any] struct {
	pieces []*[piece]T
}

// Get returns what fd has, the zero T if nothing was set. Any int may be asked
// for.
func (t *Table[T]) Get(fd int) (v T) {
	if i := uint(fd) >> shift; i < uint(len(t.pieces)) {
		if p := t.pieces[i]; p != nil {
			return p[uint(fd)%piece]
		}
	}
	return v
}

// Set gives fd, which is not negative, its v.
func (t *Table[T]) Set(fd int, v T) {
	i := fd >> shift
	for i >= len(t.pieces) {
		t.pieces = append(t.pieces, nil)
	}
	if t.pieces[i] == nil {
		t.pieces[i] = new([piece]T)
	}
	t.pieces[i][fd%piece] = v
}

// All calls yield for every descriptor of the pieces that exist, in order, until
// it is false: also for such as have nothing.
func (t *Table[T]) All(yield func(fd int, v T) bool) {
	for i, p := range t.pieces {
		if p == nil {
			continue
		}
		for k := range p {
			if !yield(i<<shift|k, p[k]) {
				return
			}
		}
	}
}
