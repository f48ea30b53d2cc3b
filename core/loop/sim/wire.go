package sim

import (
	"container/heap"
	"fmt"
	"syscall"
	"time"
)

// wire is one direction of a connection: bytes that have arrived and wait, and
// bytes that are still on their way.
type wire struct {
	buf      []byte
	slow     *slow // nil: nothing takes any time
	underway int32 // bytes sent but not arrived
	closed   bool  // the sender has ended it
	fin      bool  // and the end has arrived
	dead     bool  // the reader has gone
}

// slow is a direction on which bytes take their time.
type slow struct {
	latency time.Duration
	last    time.Time // arrival of what was sent last: nothing overtakes it
}

func (w *wire) size() int          { return len(w.buf) }
func (w *wire) ended() bool        { return w.fin && len(w.buf) == 0 && w.underway == 0 }
func (w *wire) atOnce() bool       { return (w.slow == nil || w.slow.latency == 0) && w.underway == 0 }
func (k *Kernel) room(w *wire) int { return max(0, k.opt.Capacity-len(w.buf)-int(w.underway)) }

// take moves what fits into p.
func (k *Kernel) take(w *wire, p []byte) int {
	n := copy(p, w.buf)
	if n < len(w.buf) {
		w.buf = w.buf[n:]
		return n
	}
	k.recycle(w.buf)
	w.buf = nil
	return n
}

// Empty buffers of up to spareSize bytes are kept for the next wires, as many as
// spareMost.
const (
	spareSize = 1 << 10
	spareMost = 1 << 10
)

func (k *Kernel) recycle(b []byte) {
	if c := cap(b); c >= 64 && c <= spareSize && len(k.spare) < spareMost {
		k.spare = append(k.spare, b[:0])
	}
}

// add is append to the bytes of a wire.
func (k *Kernel) add(buf, p []byte) []byte {
	if n := len(k.spare); buf == nil && n > 0 && len(p) <= spareSize {
		buf = k.spare[n-1]
		k.spare[n-1] = nil
		k.spare = k.spare[:n-1]
	}
	return append(buf, p...)
}

// delivery is bytes, or the end, that arrive later.
type delivery struct {
	at   time.Time
	seq  int
	p    *Peer
	w    *wire
	data []byte
	fin  bool
	then func() // instead of bytes
}

type deliveries []delivery

func (d deliveries) Len() int { return len(d) }
func (d deliveries) Less(i, j int) bool {
	return d[i].at.Before(d[j].at) || d[i].at.Equal(d[j].at) && d[i].seq < d[j].seq
}
func (d deliveries) Swap(i, j int) { d[i], d[j] = d[j], d[i] }
func (d *deliveries) Push(x any)   { *d = append(*d, x.(delivery)) }
func (d *deliveries) Pop() any {
	old := *d
	x := old[len(old)-1]
	*d = old[:len(old)-1]
	return x
}

// put sends what fits, over one of p's wires.
func (k *Kernel) put(p *Peer, w *wire, b []byte) int {
	n := min(len(b), k.room(w))
	if n == 0 {
		return 0
	}
	if w.atOnce() {
		w.buf = k.add(w.buf, b[:n])
		p.arrived(w)
		return n
	}
	w.underway += int32(n)
	k.later(delivery{p: p, w: w, data: append([]byte(nil), b[:n]...)})
	return n
}

// end ends a direction.
func (k *Kernel) end(p *Peer, w *wire) {
	if w.closed {
		return
	}
	w.closed = true
	if w.atOnce() {
		w.fin = true
		p.arrived(w)
		return
	}
	k.later(delivery{p: p, w: w, fin: true})
}

func (k *Kernel) later(d delivery) {
	k.counts.Deliveries++
	if d.w.slow == nil {
		d.w.slow = &slow{}
	}
	s := d.w.slow
	d.at, d.seq = k.now.Add(s.latency), k.counts.Deliveries
	if d.at.Before(s.last) {
		d.at = s.last
	}
	s.last = d.at
	h := deliveries(k.due)
	heap.Push(&h, d)
	k.due = h
}

// arrive delivers what is due.
func (k *Kernel) arrive() bool {
	any := false
	for len(k.due) > 0 && !k.due[0].at.After(k.now) {
		h := deliveries(k.due)
		d := heap.Pop(&h).(delivery)
		k.due = h
		any = true
		if d.then != nil {
			d.then()
			continue
		}
		d.w.buf = append(d.w.buf, d.data...)
		d.w.underway -= int32(len(d.data))
		d.w.fin = d.w.fin || d.fin
		d.p.arrived(d.w)
	}
	return any
}

// Peer is the far end of a connection.
type Peer struct {
	k         *Kernel
	file      *file // core's end, nil before it is accepted
	client    *file // the far end, if that is core's too
	in        wire  // to the peer
	out       wire  // to core
	got       []byte
	all       int
	number    int32 // in its name
	readSize  int32
	writeSize int32
	stalled   bool
	reset     bool
	resetSeen bool
}

// Dial connects to a listening address; nil if nobody listens there.
func (k *Kernel) Dial(addr string) *Peer {
	l := k.listeners[addr]
	if l == nil {
		return nil
	}
	k.counts.Deliveries++
	p := k.newPeer(k.counts.Deliveries)
	l.queue.backlog = append(l.queue.backlog, p)
	k.touch(l)
	return p
}

func (k *Kernel) newPeer(number int) *Peer { return &Peer{k: k, number: int32(number)} }

// name is what core is told of the far end.
func (p *Peer) name() string {
	if p.k.opt.Nameless {
		return "unix"
	}
	return fmt.Sprintf("peer:%d", p.number)
}

// Pipe opens a stream descriptor for core to adopt, and its far end.
func (k *Kernel) Pipe() (int, *Peer) {
	p := k.newPeer(0)
	f := &file{kind: kindStream, peer: p}
	fd, err := k.open(f)
	if err != nil {
		panic(err) // a test's own limit
	}
	p.file = f
	return fd, p
}

// arrived: there is something new on one of its wires.
func (p *Peer) arrived(w *wire) {
	if w == &p.in {
		p.drain()
		return
	}
	p.k.touch(p.file)
}

// drain takes what has arrived, unless the peer is stalled.
func (p *Peer) drain() {
	if p.client != nil {
		p.k.touch(p.client) // core reads there itself
		return
	}
	if p.stalled || len(p.in.buf) == 0 {
		return
	}
	p.all += len(p.in.buf)
	if p.got == nil {
		p.got = p.in.buf
	} else {
		p.got = append(p.got, p.in.buf...)
		p.k.recycle(p.in.buf)
	}
	p.in.buf = nil
	p.k.touch(p.file)
}

// Write sends what the wire takes and returns how much that was. Nothing is
// taken after CloseWrite, Close or Reset. To a gone reader it is answered by a
// reset.
func (p *Peer) Write(b []byte) int {
	if p.out.closed || p.reset {
		return 0
	}
	if p.out.dead {
		p.resetSeen = true
		return 0
	}
	return p.k.put(p, &p.out, b)
}

// WriteString is Write of a string.
func (p *Peer) WriteString(s string) int { return p.Write([]byte(s)) }

// Read returns all that has arrived since the last Read.
func (p *Peer) Read() []byte {
	b := p.got
	p.got = nil
	return b
}

// ReadTo is Read that appends to b; nothing is allocated if it has room.
func (p *Peer) ReadTo(b []byte) []byte {
	b = append(b, p.got...)
	p.k.recycle(p.got)
	p.got = nil
	return b
}

// Received returns the number of bytes that have arrived in all.
func (p *Peer) Received() int { return p.all }

// Stall stops the peer from taking bytes, so that the wire fills; false lets it
// go on.
func (p *Peer) Stall(on bool) {
	p.stalled = on
	p.drain()
	p.k.touch(p.file)
}

// TakeSome lets a stalled peer take n bytes.
func (p *Peer) TakeSome(n int) {
	n = min(n, len(p.in.buf))
	p.got = append(p.got, p.in.buf[:n]...)
	p.all += n
	p.in.buf = p.in.buf[n:]
	p.k.touch(p.file)
}

// CloseWrite ends the peer's direction; it still reads.
func (p *Peer) CloseWrite() { p.k.end(p, &p.out) }

// Close ends both directions; what core still sends is answered by a reset.
func (p *Peer) Close() {
	p.k.end(p, &p.out)
	p.in.dead = true
	p.k.touch(p.file)
}

// Reset breaks the connection.
func (p *Peer) Reset() {
	p.reset, p.out.closed, p.in.dead = true, true, true
	p.out.buf = nil
	if p.file != nil {
		p.file.err = syscall.ECONNRESET
		p.k.touch(p.file)
	}
}

// EOF reports whether core has ended its direction and all of it has arrived.
func (p *Peer) EOF() bool { return p.in.fin && len(p.in.buf) == 0 && p.in.underway == 0 }

// ResetSeen reports whether core's end answered with a reset.
func (p *Peer) ResetSeen() bool { return p.resetSeen }

// Gone reports whether core has closed its descriptor.
func (p *Peer) Gone() bool { return p.file != nil && p.k.file(int(p.file.fd)) != p.file }

// FD returns core's descriptor of the connection, -1 before it is accepted.
func (p *Peer) FD() int {
	if p.file == nil {
		return -1
	}
	return int(p.file.fd)
}

// SetReadSize makes core's reads return at most n bytes.
func (p *Peer) SetReadSize(n int) { p.readSize = int32(n) }

// SetWriteSize makes core's writes take at most n bytes.
func (p *Peer) SetWriteSize(n int) { p.writeSize = int32(n) }

// SetLatency makes bytes and ends arrive d later, each way.
func (p *Peer) SetLatency(d time.Duration) {
	for _, w := range []*wire{&p.in, &p.out} {
		if w.slow == nil {
			w.slow = &slow{}
		}
		w.slow.latency = d
	}
}

// Unread returns the bytes that core has not read yet.
func (p *Peer) Unread() int { return p.out.size() + int(p.out.underway) }
