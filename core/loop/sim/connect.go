package sim

import (
	"container/heap"
	"syscall"
	"time"

	"anyloop/core/loop"
)

// Answer is what becomes of a connection that core makes. The zero value accepts
// it at once.
type Answer struct {
	// After is the virtual time until it is decided.
	After time.Duration
	// Err refuses it, e.g. with ECONNREFUSED.
	Err syscall.Errno
	// Now, with Err, makes the call itself fail: no descriptor is made.
	Now bool
	// Silent leaves it undecided for ever: a black hole.
	Silent bool
	// Accept, if set, is told of the server's end when it is accepted, before
	// core knows. It may use the Peer, and nothing that turns the loops.
	Accept func(p *Peer)
}

// Attempt is one connection that core has tried to make.
type Attempt struct {
	loop.ConnectTo
	// At is the virtual time of the call.
	At time.Time
	// Peer is the server's end: it does not answer before it is accepted. nil if
	// the call failed, or if a listener of this kernel has the connection.
	Peer *Peer
}

// Answer decides what becomes of the connections that core makes to an address
// from now on: "192.0.2.1:80", "[2001:db8::1]:80", or a path. Addresses without
// an answer lead to the listener that has them, as one engine may dial another or
// itself on one kernel, and are refused if there is none.
func (k *Kernel) Answer(address string, a Answer) { k.answers[address] = a }

// Attempts returns the connections that core has tried to make, oldest first.
func (k *Kernel) Attempts() []Attempt { return k.attempts }

var _ loop.Connecter = (*Kernel)(nil)

// Connect implements loop.Connecter.
func (k *Kernel) Connect(to loop.ConnectTo) (int, error) {
	k.note(step{what: "connect", text: to.Address})
	a, scripted := k.answers[to.Address]
	at := Attempt{ConnectTo: to, At: k.now}
	defer func() { k.attempts = append(k.attempts, at) }()
	if a.Now && a.Err != 0 {
		return -1, a.Err
	}
	p := k.newPeer(len(k.attempts))
	f := &file{kind: kindStream, peer: p, waits: true}
	fd, err := k.open(f)
	if err != nil {
		return -1, err
	}
	p.file = f
	switch {
	case !scripted:
		k.inTime(0, func() { k.decide(f, func() { k.join(f, p, to.Address) }) })
		return fd, nil
	case !a.Silent:
		k.inTime(a.After, func() {
			k.decide(f, func() {
				if f.err = a.Err; f.err == 0 && a.Accept != nil {
					a.Accept(p)
				}
			})
		})
	}
	at.Peer = p
	return fd, nil
}

// Connected implements loop.Connecter.
func (k *Kernel) Connected(fd int) error {
	f, err := k.stream("Connected", fd)
	switch {
	case err != nil:
		return err
	case f.waits:
		return syscall.EINPROGRESS
	}
	return k.SockError(fd)
}

// inTime lets something happen d later.
func (k *Kernel) inTime(d time.Duration, then func()) {
	k.counts.Deliveries++
	h := deliveries(k.due)
	heap.Push(&h, delivery{at: k.now.Add(d), seq: k.counts.Deliveries, then: then})
	k.due = h
}

// decide ends the waiting of a descriptor that is still there.
func (k *Kernel) decide(f *file, how func()) {
	if k.file(int(f.fd)) != f {
		return
	}
	f.waits = false
	how()
	k.touch(f)
}

// join puts a descriptor that core has connected on a listener's queue: p is
// what joins both of core's ends.
func (k *Kernel) join(f *file, p *Peer, address string) {
	l := k.listeners[address]
	if l == nil {
		f.err = syscall.ECONNREFUSED
		return
	}
	f.client = true // it is the far end
	p.file, p.client = nil, f
	l.queue.backlog = append(l.queue.backlog, p)
	k.touch(l)
}

// far returns the other end of a stream, if it is core's too and accepted.
func (f *file) far() *file {
	if f.client {
		return f.peer.file
	}
	return f.peer.client
}

// sever breaks a connection from its far end.
func (k *Kernel) sever(f *file) {
	if f != nil {
		f.err = syscall.ECONNRESET
		k.touch(f)
	}
}
