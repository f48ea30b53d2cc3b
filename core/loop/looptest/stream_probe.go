package looptest

import (
	"fmt"
	"hash/maphash"
	"io"
	"sync"

	"anyloop/core/loop"
)

// StreamWatch stands between core and an engine that owns the sockets, and notes
// what either side does against the lines S1 to S13 of package loop. Watch puts
// it in front of a backend; Stream and Conn watch a single connection that is
// adopted without one. Its other methods: any goroutine.
type StreamWatch struct {
	mu       sync.Mutex
	faults   []StreamFault
	all      []*watched
	inside   int // calls of core's to the engine that run
	refused  int
	spoilIn  bool // what is fed is a copy that is overwritten when the loan is over
	spoilOut bool // what is written likewise
	seed     maphash.Seed
}

// StreamFault is something done against a line of the contract.
type StreamFault struct {
	Line string // "S1"
	What string
}

// String returns "S1: what was done".
func (f StreamFault) String() string { return f.Line + ": " + f.What }

// NewStreamWatch returns a watch that has seen nothing.
func NewStreamWatch() *StreamWatch { return &StreamWatch{seed: maphash.MakeSeed()} }

// SpoilInput makes the watch feed core copies, and overwrite them as soon as Feed
// or Steal has returned, so that keeping them shows in the bytes. Before anything
// else.
func (w *StreamWatch) SpoilInput() { w.spoilIn = true }

// SpoilOutput does the same to what the engine is given to Write.
func (w *StreamWatch) SpoilOutput() { w.spoilOut = true }

// Faults returns what was done against the contract so far.
func (w *StreamWatch) Faults() []StreamFault {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]StreamFault(nil), w.faults...)
}

// StreamCounts is what a watch has seen, over all connections.
type StreamCounts struct {
	Streams int // taken by core
	Open    int // of these, not Closed or stolen by the engine
	Refused int // that core did not take
	Chokes  int // Writes that took less than everything, and Sends not Sent at once
	Closes  int // by core
	Cuts    int // of these, with bytes Buffered
	Pauses  int // PauseInput(true)
	Late    int // the most bytes that were fed during one pause
	EOFs    int
	Stolen  int
	Inside  int // reports from inside a call of core's
	Fed     int // bytes
	Taken   int // bytes that the engine took
}

// Counts returns what was seen so far.
func (w *StreamWatch) Counts() StreamCounts {
	w.mu.Lock()
	defer w.mu.Unlock()
	sum := StreamCounts{Streams: len(w.all), Refused: w.refused}
	for _, s := range w.all {
		n := &s.n
		sum.Chokes += n.Chokes
		sum.Closes += n.Closes
		sum.Cuts += n.Cuts
		sum.Pauses += n.Pauses
		sum.Late = max(sum.Late, n.Late)
		sum.EOFs += n.EOFs
		sum.Stolen += n.Stolen
		sum.Inside += n.Inside
		sum.Fed += n.Fed
		sum.Taken += n.Taken
		if !s.gone {
			sum.Open++
		}
	}
	return sum
}

// Watch puts the watch in front of a backend. The result has the optional
// interface loop.Clock if b has it.
func (w *StreamWatch) Watch(b loop.Acceptor) loop.Acceptor {
	wb := watchedBackend{b, w}
	if c, ok := b.(loop.Clock); ok {
		return struct {
			watchedBackend
			loop.Clock
		}{wb, c}
	}
	return wb
}

type watchedBackend struct {
	loop.Acceptor
	w *StreamWatch
}

// Listen implements loop.Acceptor.
func (b watchedBackend) Listen(network, address string, accept func(thread int, s loop.Stream, peer string) (loop.StreamConn, error)) (string, io.Closer, error) {
	return b.Acceptor.Listen(network, address, func(thread int, s loop.Stream, peer string) (loop.StreamConn, error) {
		ours := b.w.Stream(s)
		sc, err := accept(thread, ours, peer)
		return b.w.Conn(ours, sc, err)
	})
}

// Stream returns what core is to be given for the engine's stream s.
func (w *StreamWatch) Stream(s loop.Stream) loop.Stream {
	t := &watched{w: w, s: s}
	if h, ok := s.(loop.StreamHolder); ok {
		return &watchedHolder{t, h}
	}
	return t
}

// Conn returns what the engine is to be given for core's answer sc to a stream
// that Stream has made.
func (w *StreamWatch) Conn(ours loop.Stream, sc loop.StreamConn, err error) (loop.StreamConn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	t, ok := ours.(*watched)
	if !ok {
		t = ours.(*watchedHolder).watched
	}
	if err != nil {
		w.refused++
		return sc, err
	}
	t.sc = sc
	w.all = append(w.all, t)
	return &watchedConn{t}, nil
}

func (w *StreamWatch) fault(line, format string, args ...any) {
	if len(w.faults) < 100 {
		w.faults = append(w.faults, StreamFault{line, fmt.Sprintf(format, args...)})
	}
}

func (w *StreamWatch) sum(p []byte) uint64 { return maphash.Bytes(w.seed, p) }

// watched is one connection: what the two sides have told each other. The fields
// are guarded by the watch's lock, which is not held during calls.
type watched struct {
	w  *StreamWatch
	s  loop.Stream
	sc loop.StreamConn

	choked bool // the engine took less than everything, and has not said Room
	rooms  int
	paused bool
	late   int // fed since
	left   bool
	closed bool // the engine has said so
	stolen bool
	gone   bool // closed or stolen
	eof    bool
	out    []byte // of the Send that is out
	sum    uint64
	sent   int
	n      StreamCounts
}

// begin is the begin of a call of core's.
func (t *watched) begin(call string) {
	w := t.w
	w.mu.Lock()
	defer w.mu.Unlock()
	w.inside++
	switch {
	case t.stolen:
		w.fault("S10", "%s after Steal", call)
	case t.closed:
		w.fault("S6", "%s after Closed", call)
	case t.left && call != "Buffered":
		w.fault("S6", "%s after Close", call)
	}
}

// end is its end; it returns with the lock held.
func (t *watched) end() {
	t.w.mu.Lock()
	t.w.inside--
}

// Write implements loop.Stream.
func (t *watched) Write(head, tail []byte) (int, error) {
	w := t.w
	t.begin("Write")
	w.mu.Lock()
	if t.choked {
		w.fault("S1", "Write after a short count, without Room")
	}
	rooms := t.rooms
	w.mu.Unlock()
	h, l, before := head, tail, w.sum(head)^w.sum(tail)*3
	if w.spoilOut {
		h, l = append([]byte(nil), head...), append([]byte(nil), tail...)
	}
	n, err := t.s.Write(h, l)
	after := w.sum(h) ^ w.sum(l)*3
	if w.spoilOut {
		overwrite(h)
		overwrite(l)
	}
	t.end()
	defer w.mu.Unlock()
	total := len(head) + len(tail)
	switch {
	case after != before:
		w.fault("S2", "the engine has changed what it was given to send")
	case n < 0 || n > total:
		w.fault("S2", "Write took %d of %d bytes", n, total)
	}
	t.n.Taken += max(n, 0)
	if err == nil && n < total {
		t.n.Chokes++
		t.choked = t.rooms == rooms
	}
	return n, err
}

func overwrite(p []byte) {
	for i := range p {
		p[i] = 0xa5
	}
}

// Buffered implements loop.Stream.
func (t *watched) Buffered() int {
	t.begin("Buffered")
	n := t.s.Buffered()
	t.end()
	defer t.w.mu.Unlock()
	if n < 0 {
		t.w.fault("S5", "Buffered is %d", n)
	}
	return n
}

// PauseInput implements loop.Stream.
func (t *watched) PauseInput(on bool) {
	w := t.w
	t.begin("PauseInput")
	w.mu.Lock()
	if on == t.paused {
		w.fault("S4", "PauseInput(%v) twice", on)
	}
	t.paused, t.late = on, 0
	if on {
		t.n.Pauses++
	}
	w.mu.Unlock()
	t.s.PauseInput(on)
	t.end()
	w.mu.Unlock()
}

// CloseWrite implements loop.Stream.
func (t *watched) CloseWrite() error {
	t.begin("CloseWrite")
	err := t.s.CloseWrite()
	t.end()
	t.w.mu.Unlock()
	return err
}

// Close implements loop.Stream.
func (t *watched) Close() error {
	w := t.w
	t.begin("Close")
	buffered := 0
	if !t.closed {
		buffered = t.s.Buffered()
	}
	w.mu.Lock()
	t.left = true
	t.n.Closes++
	if buffered > 0 {
		t.n.Cuts++
	}
	w.mu.Unlock()
	err := t.s.Close()
	t.end()
	w.mu.Unlock()
	return err
}

// watchedHolder is a connection of an engine that holds what it sends.
type watchedHolder struct {
	*watched
	h loop.StreamHolder
}

// Write implements loop.Stream: a holder is not written to.
func (t *watchedHolder) Write(head, tail []byte) (int, error) {
	t.w.mu.Lock()
	t.w.fault("S1", "Write to an engine that has Send")
	t.w.mu.Unlock()
	return t.watched.Write(head, tail)
}

// Send implements loop.StreamHolder.
func (t *watchedHolder) Send(p []byte) error {
	w := t.w
	t.begin("Send")
	w.mu.Lock()
	if t.out != nil {
		w.fault("S1", "Send of %d bytes while one is out", len(p))
	}
	if len(p) == 0 {
		w.fault("S1", "Send of nothing")
	}
	t.out, t.sum, t.sent = p, w.sum(p), 0
	w.mu.Unlock()
	err := t.h.Send(p)
	t.end()
	defer w.mu.Unlock()
	if t.out != nil {
		t.n.Chokes++
	}
	if err != nil {
		t.out = nil
	} else {
		t.n.Taken += len(p)
	}
	return err
}
