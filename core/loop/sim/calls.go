package sim

import (
	"container/heap"
	"slices"
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
	f := &file{kind: kindListener, queue: &queue{addr: address}}
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
	q := f.queue
	if len(q.backlog) == 0 {
		return -1, "", syscall.EAGAIN
	}
	p := q.backlog[0]
	s := &file{kind: kindStream, peer: p}
	nfd, err := k.open(s)
	if err != nil {
		return -1, "", err
	}
	q.backlog[0] = nil
	q.backlog = q.backlog[1:]
	p.file = s
	if p.reset {
		s.err = syscall.ECONNRESET
	}
	k.touch(f)
	return nfd, p.name(), nil
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
		f.in().dead = true
		return 0, e
	}
	if sp := f.script(); sp != nil && sp.readSize > 0 && len(p) > int(sp.readSize) {
		p = p[:sp.readSize]
	}
	in := f.in()
	n := k.take(in, p)
	k.counts.BytesIn += n
	if n == 0 && len(p) > 0 {
		if in.ended() || in.dead {
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
	out := f.out()
	if out.closed || out.dead {
		return 0, syscall.EPIPE
	}
	n := 0
	for _, b := range [2][]byte{head, tail} {
		if sp := f.script(); sp != nil && sp.writeSize > 0 {
			b = b[:min(len(b), int(sp.writeSize)-min(n, int(sp.writeSize)))]
		}
		n += k.put(f.peer, out, b)
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
	case f.in().size() > 0:
		return f.in().size(), nil
	case f.in().ended() || f.in().dead:
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
	f.in().dead = true
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
	k.end(f.peer, f.out())
	k.touch(f)
	return nil
}

// Close implements loop.Kernel.
func (k *Kernel) Close(fd int) error {
	k.note(step{what: "close", fd: fd})
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
		delete(k.listeners, f.queue.addr)
		for _, p := range f.queue.backlog {
			p.resetSeen = true
			k.sever(p.client)
		}
	case kindBell:
		k.bells = slices.DeleteFunc(k.bells, func(b *file) bool { return b == f })
	}
	k.close(f)
	return nil
}

// hangUp is close(2) of a socket: a reset if bytes were left unread, else the end
// of the stream.
func (k *Kernel) hangUp(f *file) {
	if f.in().size() > 0 {
		if sp := f.script(); sp != nil {
			sp.resetSeen = true
		}
		k.sever(f.far())
	}
	f.in().dead = true
	k.end(f.peer, f.out())
}

// Doorbell implements loop.Kernel.
func (k *Kernel) Doorbell() (loop.Doorbell, error) {
	f := &file{kind: kindBell}
	if _, err := k.open(f); err != nil {
		return nil, err
	}
	k.bells = append(k.bells, f)
	return &bell{k, f}, nil
}

type bell struct {
	k *Kernel
	f *file
}

func (b *bell) FD() int { return int(b.f.fd) }

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

func (b *bell) Close() error { return b.k.Close(b.FD()) }

// readiness is what poll(2) would say, masked or not.
func (k *Kernel) readiness(f *file) loop.Events {
	switch f.kind {
	case kindListener:
		if len(f.queue.backlog) > 0 {
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
	in, out := f.in(), f.out()
	var ev loop.Events
	if in.size() > 0 || in.ended() || in.dead {
		ev |= loop.In
	}
	if k.room(out) > 0 || out.closed {
		ev |= loop.Out
	}
	if f.err != 0 {
		ev |= loop.Err | loop.Hup | loop.In | loop.Out
	}
	if (in.fin || in.dead) && out.closed {
		ev |= loop.Hup
	}
	return ev
}

// touch notes that a watched descriptor may have become ready. That it is not any
// more is found when somebody looks.
func (k *Kernel) touch(f *file) {
	if f == nil || !f.watched || f.hot {
		return
	}
	if k.readiness(f)&(f.mask|loop.Hup|loop.Err) != 0 || f.kind == kindBell {
		f.hot = true
		k.hot = append(k.hot, f)
	}
}

// ready returns the ready descriptors of a thread in order of their numbers. The
// answer is good until the next one.
func (k *Kernel) ready(th *thread) []delivered {
	all, still := th.batch[:0], k.hot[:0]
	for _, f := range k.hot {
		if !f.watched {
			f.hot = false
			continue
		}
		if f.owner == th {
			ev := k.readiness(f) & (f.mask | loop.Hup | loop.Err)
			if ev == 0 && f.kind != kindBell {
				f.hot = false
				continue
			}
			if ev != 0 {
				all = append(all, delivered{int(f.fd), ev})
			}
		}
		still = append(still, f)
	}
	clear(k.hot[len(still):])
	k.hot = still
	slices.SortFunc(all, func(a, b delivered) int { return a.fd - b.fd })
	th.batch = all
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
