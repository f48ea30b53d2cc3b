package sim

import (
	"container/heap"
	"sort"
	"strings"
	"syscall"

	"anyloop/core/loop"
)

// stream returns the open stream fd, which core must own.
func (k *Kernel) stream(call string, fd int) (*file, error) {
	f := k.file(fd)
	if f == nil {
		k.violation("line 6: %s on closed descriptor %d", call, fd)
		return nil, syscall.EBADF
	}
	if f.kind == kindApp {
		k.violation("line 3: %s on the application's descriptor %d", call, fd)
		return nil, syscall.EBADF
	}
	if f.kind != kindStream {
		return nil, syscall.ENOTSOCK
	}
	return f, nil
}

// Listen implements loop.Kernel. The address is any name.
func (k *Kernel) Listen(_, address string) (int, string, error) {
	if strings.HasSuffix(address, ":0") {
		address = strings.TrimSuffix(address, "0") + "4" + string(rune('0'+len(k.listeners)%10))
	}
	if k.listeners[address] != nil {
		return -1, "", syscall.EADDRINUSE
	}
	f := &file{kind: kindListener, addr: address}
	fd, err := k.open(f)
	if err != nil {
		return -1, "", err
	}
	k.listeners[address] = f
	return fd, address, nil
}

// Accept implements loop.Kernel.
func (k *Kernel) Accept(fd int) (int, string, error) {
	k.counts.Accepts++
	f := k.file(fd)
	if f == nil || f.kind != kindListener {
		k.violation("line 6: Accept on descriptor %d, which is no listener", fd)
		return -1, "", syscall.EBADF
	}
	if len(f.backlog) == 0 {
		return -1, "", syscall.EAGAIN
	}
	p := f.backlog[0]
	s := &file{kind: kindStream, peer: p, in: p.out, out: p.in}
	nfd, err := k.open(s)
	if err != nil {
		return -1, "", err
	}
	f.backlog = f.backlog[1:]
	p.file = s
	if p.reset {
		s.err = syscall.ECONNRESET
	}
	k.touch(f)
	return nfd, p.name, nil
}

// Read implements loop.Kernel.
func (k *Kernel) Read(fd int, p []byte) (int, error) {
	k.counts.Reads++
	f, err := k.stream("Read", fd)
	if err != nil {
		return 0, err
	}
	defer k.touch(f)
	defer k.touch(f.far())
	if f.waits {
		return 0, syscall.ENOTCONN
	}
	if f.err != 0 {
		e := f.err
		f.err = 0
		f.in.dead = true
		return 0, e
	}
	if f.peer != nil && f.peer.readSize > 0 && len(p) > f.peer.readSize {
		p = p[:f.peer.readSize]
	}
	n := f.in.take(p)
	k.counts.BytesIn += n
	if n == 0 && len(p) > 0 {
		if f.in.ended() || f.in.dead {
			return 0, nil
		}
		return 0, syscall.EAGAIN
	}
	return n, nil
}

// Write implements loop.Kernel.
func (k *Kernel) Write(fd int, head, tail []byte) (int, error) {
	k.counts.Writes++
	f, err := k.stream("Write", fd)
	if err != nil {
		return 0, err
	}
	defer k.touch(f)
	if f.waits {
		return 0, syscall.ENOTCONN
	}
	if f.err != 0 {
		e := f.err
		f.err = 0
		return 0, e
	}
	if f.out.closed || f.out.dead {
		return 0, syscall.EPIPE
	}
	n := 0
	for _, b := range [2][]byte{head, tail} {
		if f.peer != nil && f.peer.writeSize > 0 {
			b = b[:min(len(b), f.peer.writeSize-min(n, f.peer.writeSize))]
		}
		n += k.put(f.out, b)
	}
	k.counts.BytesOut += n
	if n == 0 && len(head)+len(tail) > 0 {
		return 0, syscall.EAGAIN
	}
	return n, nil
}

// Peek implements loop.Kernel.
func (k *Kernel) Peek(fd int) (int, error) {
	f, err := k.stream("Peek", fd)
	switch {
	case err != nil:
		return 0, err
	case f.err != 0:
		return 0, f.err
	case f.in.size() > 0:
		return f.in.size(), nil
	case f.in.ended() || f.in.dead:
		return 0, nil
	}
	return 0, syscall.EAGAIN
}

// SockError implements loop.Kernel.
func (k *Kernel) SockError(fd int) error {
	f := k.file(fd)
	if f == nil || f.err == 0 {
		return nil
	}
	e := f.err
	f.err = 0
	f.in.dead = true
	return e
}

// HungUp implements loop.Kernel.
func (k *Kernel) HungUp(fd int) bool {
	f := k.file(fd)
	return f != nil && k.readiness(f)&(loop.Hup|loop.Err) != 0
}

// CloseWrite implements loop.Kernel.
func (k *Kernel) CloseWrite(fd int) error {
	f, err := k.stream("CloseWrite", fd)
	if err != nil {
		return err
	}
	k.end(f.out)
	k.touch(f)
	return nil
}

// Close implements loop.Kernel.
func (k *Kernel) Close(fd int) error {
	k.note("close %d", fd)
	f := k.file(fd)
	switch {
	case f == nil:
		k.violation("line 6: second close of descriptor %d", fd)
		return syscall.EBADF
	case f.kind == kindApp:
		k.violation("line 3: close of the application's descriptor %d", fd)
		return syscall.EBADF
	case f.watched:
		k.violation("line 1: close of descriptor %d before its Del", fd)
	}
	switch f.kind {
	case kindStream:
		k.hangUp(f)
	case kindListener:
		delete(k.listeners, f.addr)
		for _, p := range f.backlog {
			p.resetSeen = true
			k.sever(p.client)
		}
	}
	k.close(f)
	return nil
}

// hangUp is close(2) of a socket: a reset if bytes were left unread, else the end
// of the stream.
func (k *Kernel) hangUp(f *file) {
	if f.in.size() > 0 {
		if f.peer != nil {
			f.peer.resetSeen = true
		}
		k.sever(f.far())
	}
	f.in.dead = true
	k.end(f.out)
}

// Doorbell implements loop.Kernel.
func (k *Kernel) Doorbell() (loop.Doorbell, error) {
	f := &file{kind: kindBell}
	if _, err := k.open(f); err != nil {
		return nil, err
	}
	return &bell{k, f}, nil
}

type bell struct {
	k *Kernel
	f *file
}

func (b *bell) FD() int { return b.f.fd }

func (b *bell) Ring() {
	b.k.mu.Lock()
	b.f.bell = true
	b.k.rung = true
	b.k.mu.Unlock()
}

func (b *bell) Clear() {
	b.k.mu.Lock()
	b.f.bell = false
	b.k.mu.Unlock()
	b.k.touch(b.f)
}

func (b *bell) Close() error { return b.k.Close(b.f.fd) }

// readiness is what poll(2) would say, masked or not.
func (k *Kernel) readiness(f *file) loop.Events {
	switch f.kind {
	case kindListener:
		if len(f.backlog) > 0 {
			return loop.In
		}
		return 0
	case kindBell:
		k.mu.Lock()
		defer k.mu.Unlock()
		if f.bell {
			return loop.In
		}
		return 0
	case kindApp:
		return loop.In
	}
	if f.waits {
		return 0
	}
	var ev loop.Events
	if f.in.size() > 0 || f.in.ended() || f.in.dead {
		ev |= loop.In
	}
	if f.out.room() > 0 || f.out.closed {
		ev |= loop.Out
	}
	if f.err != 0 {
		ev |= loop.Err | loop.Hup | loop.In | loop.Out
	}
	if (f.in.fin || f.in.dead) && f.out.closed {
		ev |= loop.Hup
	}
	return ev
}

// touch notes that a watched descriptor may have become ready.
func (k *Kernel) touch(f *file) {
	if f == nil || !f.watched {
		return
	}
	if k.readiness(f)&(f.mask|loop.Hup|loop.Err) != 0 || f.kind == kindBell {
		k.hot[f.fd] = struct{}{}
		return
	}
	delete(k.hot, f.fd)
}

// ready returns the ready descriptors of a thread in order of their numbers.
func (k *Kernel) ready(th *thread) []delivered {
	var all []delivered
	for fd := range k.hot {
		f := k.files[fd]
		if f == nil || !f.watched {
			delete(k.hot, fd)
			continue
		}
		if f.owner != th {
			continue
		}
		if ev := k.readiness(f) & (f.mask | loop.Hup | loop.Err); ev != 0 {
			all = append(all, delivered{fd, ev})
		} else if f.kind != kindBell {
			delete(k.hot, fd)
		}
	}
	sort.Slice(all, func(i, j int) bool { return all[i].fd < all[j].fd })
	return all
}

// The closed numbers are a heap.
type intHeap []int

func (h intHeap) Len() int           { return len(h) }
func (h intHeap) Less(i, j int) bool { return h[i] < h[j] }
func (h intHeap) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *intHeap) Push(x any)        { *h = append(*h, x.(int)) }
func (h *intHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func (k *Kernel) pushFree(fd int) {
	h := intHeap(k.free)
	heap.Push(&h, fd)
	k.free = h
}

func (k *Kernel) popFree() int {
	h := intHeap(k.free)
	fd := heap.Pop(&h).(int)
	k.free = h
	return fd
}
