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
	underway int // bytes sent but not arrived
	cap      int
	latency  time.Duration
	last     time.Time // arrival of what was sent last: nothing overtakes it
	closed   bool      // the sender has ended it
	fin      bool      // and the end has arrived
	dead     bool      // the reader has gone
	to       func(k *Kernel)
}

func (w *wire) size() int   { return len(w.buf) }
func (w *wire) room() int   { return max(0, w.cap-len(w.buf)-w.underway) }
func (w *wire) ended() bool { return w.fin && len(w.buf) == 0 && w.underway == 0 }

func (w *wire) take(p []byte) int {
	n := copy(p, w.buf)
	w.buf = w.buf[n:]
	if len(w.buf) == 0 {
		w.buf = nil
	}
	return n
}

// delivery is bytes, or the end, that arrive later.
type delivery struct {
	at   time.Time
	seq  int
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

// put sends what fits.
func (k *Kernel) put(w *wire, p []byte) int {
	n := min(len(p), w.room())
	if n == 0 {
		return 0
	}
	if w.latency == 0 && w.underway == 0 {
		w.buf = append(w.buf, p[:n]...)
		w.to(k)
		return n
	}
	w.underway += n
	k.later(delivery{w: w, data: append([]byte(nil), p[:n]...)})
	return n
}

// end ends a direction.
func (k *Kernel) end(w *wire) {
	if w.closed {
		return
	}
	w.closed = true
	if w.latency == 0 && w.underway == 0 {
		w.fin = true
		w.to(k)
		return
	}
	k.later(delivery{w: w, fin: true})
}

func (k *Kernel) later(d delivery) {
	k.counts.Deliveries++
	d.at, d.seq = k.now.Add(d.w.latency), k.counts.Deliveries
	if d.at.Before(d.w.last) {
		d.at = d.w.last
	}
	d.w.last = d.at
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
		d.w.underway -= len(d.data)
		d.w.fin = d.w.fin || d.fin
		d.w.to(k)
	}
	return any
}

// Peer is the far end of a connection.
type Peer struct {
	k         *Kernel
	name      string
	file      *file // core's end, nil before it is accepted
	client    *file // the far end, if that is core's too
	in        *wire // to the peer
	out       *wire // to core
	got       []byte
	all       int
	stalled   bool
	reset     bool
	resetSeen bool
	readSize  int
	writeSize int
}

// Dial connects to a listening address; nil if nobody listens there.
func (k *Kernel) Dial(addr string) *Peer {
	l := k.listeners[addr]
	if l == nil {
		return nil
	}
	k.counts.Deliveries++
	p := k.newPeer(fmt.Sprintf("peer:%d", k.counts.Deliveries))
	l.backlog = append(l.backlog, p)
	k.touch(l)
	return p
}

func (k *Kernel) newPeer(name string) *Peer {
	p := &Peer{k: k, name: name}
	p.in = &wire{cap: k.opt.Capacity, to: func(*Kernel) { p.drain() }}
	p.out = &wire{cap: k.opt.Capacity, to: func(k *Kernel) { k.touch(p.file) }}
	return p
}

// Pipe opens a stream descriptor for core to adopt, and its far end.
func (k *Kernel) Pipe() (int, *Peer) {
	p := k.newPeer("pipe")
	f := &file{kind: kindStream, peer: p, in: p.out, out: p.in}
	fd, err := k.open(f)
	if err != nil {
		panic(err) // a test's own limit
	}
	p.file = f
	return fd, p
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
	p.got = append(p.got, p.in.buf...)
	p.all += len(p.in.buf)
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
	return p.k.put(p.out, b)
}

// WriteString is Write of a string.
func (p *Peer) WriteString(s string) int { return p.Write([]byte(s)) }

// Read returns all that has arrived since the last Read.
func (p *Peer) Read() []byte {
	b := p.got
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
func (p *Peer) CloseWrite() { p.k.end(p.out) }

// Close ends both directions; what core still sends is answered by a reset.
func (p *Peer) Close() {
	p.k.end(p.out)
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
func (p *Peer) Gone() bool { return p.file != nil && p.k.file(p.file.fd) != p.file }

// FD returns core's descriptor of the connection, -1 before it is accepted.
func (p *Peer) FD() int {
	if p.file == nil {
		return -1
	}
	return p.file.fd
}

// SetReadSize makes core's reads return at most n bytes.
func (p *Peer) SetReadSize(n int) { p.readSize = n }

// SetWriteSize makes core's writes take at most n bytes.
func (p *Peer) SetWriteSize(n int) { p.writeSize = n }

// SetLatency makes bytes and ends arrive d later, each way.
func (p *Peer) SetLatency(d time.Duration) { p.in.latency, p.out.latency = d, d }

// Unread returns the bytes that core has not read yet.
func (p *Peer) Unread() int { return p.out.size() + p.out.underway }
