package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/deflate"
	"anyloop/core/flate"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// shape is how the client sends.
type shape struct {
	conns  int
	flying int // connections with messages under way; the others wait their turn
	depth  int // messages of one turn of a connection
	size   int
	sample int // of so many connections one is checked
}

// sequence is what one connection sends, over and over: bursts of frames. The
// first message refers to nothing before it, so it may follow the last.
type sequence struct {
	messages [][]byte
	bursts   [][]byte
}

const key = "\x11\x92\x53\xe4" // the mask of all frames

// newSequence compresses the messages as z says, nil for not at all.
func newSequence(msgs [][]byte, depth int, z *deflate.Params) *sequence {
	s := &sequence{messages: msgs}
	var w deflate.Writer
	var ms flate.Matchers
	if z != nil {
		w.Init(z.ClientBits, !z.ClientNoTakeover, flate.Default)
	}
	for i, m := range msgs {
		if z != nil {
			m = w.Append(&ms, nil, m, true)
		}
		if i%depth == 0 {
			s.bursts = append(s.bursts, nil)
		}
		h := ws.Header{Op: ws.Text, Fin: true, RSV1: z != nil, Masked: true, Mask: [4]byte([]byte(key))}
		s.bursts[i/depth] = ws.AppendFrame(s.bursts[i/depth], h, m)
	}
	return s
}

// peer is one connection of the client.
type peer struct {
	file  io.Closer
	fd    int
	seq   *sequence
	next  int // burst
	owed  int // messages not answered
	dec   ws.Decoder
	check *checker
}

// checker compares answers with what was sent.
type checker struct {
	rx      deflate.Reader
	buf     []byte
	next    int // message
	checked int
}

// load is the client: one goroutine with poll(2) over the connections that have
// messages under way.
type load struct {
	shape
	peers          []*peer
	idle           []int // those that wait their turn, first come first
	fds            []unix.PollFd
	who            []int // whose they are
	limits         ws.Limits
	tables         flate.Tables
	buf            []byte
	bytesIn        int64 // of frames, from the server
	bytesOut       int64
	msgsIn, zipped int64 // messages, and those of them compressed
}

// dial opens the connections. z says what is agreed upon, nil without compression.
func dial(addr string, s shape, z *deflate.Params) (*load, error) {
	l := &load{shape: s, buf: make([]byte, 64<<10), limits: ws.Limits{RSV1: z != nil}}
	var seqs []*sequence
	for i := range 16 {
		n := max(64, 64<<10/s.size) / s.depth * s.depth
		seqs = append(seqs, newSequence(messages(uint64(i), n, s.size), s.depth, z))
	}
	for i := range s.conns {
		p := &peer{seq: seqs[i%len(seqs)]}
		p.dec.Init(ws.Client)
		if i%s.sample == 0 {
			p.check = &checker{buf: make([]byte, 0, s.size+1)}
			if z != nil {
				p.check.rx.Init(z.ServerBits, !z.ServerNoTakeover, deflate.Limits{})
			}
		}
		if err := p.dial(addr, z); err != nil {
			l.close()
			return nil, err
		}
		l.peers = append(l.peers, p)
		l.idle = append(l.idle, i)
	}
	return l, nil
}

// offer asks for exactly z, so that both sides use what is measured.
func offer(z *deflate.Params) string {
	s := fmt.Sprintf("%s; server_max_window_bits=%d; client_max_window_bits=%d", deflate.Name, z.ServerBits, z.ClientBits)
	if z.ServerNoTakeover {
		s += "; server_no_context_takeover"
	}
	if z.ClientNoTakeover {
		s += "; client_no_context_takeover"
	}
	return s
}

// upgrade opens a WebSocket.
func upgrade(addr string, z *deflate.Params) (*client.Conn, error) {
	c, err := client.Dial(addr, time.Minute)
	if err != nil {
		return nil, err
	}
	extra := ""
	if z != nil {
		extra = "Sec-WebSocket-Extensions: " + offer(z) + "\r\n"
	}
	_, err = fmt.Fprintf(c, "GET / HTTP/1.1\r\nHost: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n%s\r\n", extra)
	if err == nil {
		err = c.ReadUpgrade()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

func (p *peer) dial(addr string, z *deflate.Params) error {
	c, err := upgrade(addr, z)
	if err != nil {
		return err
	}
	defer c.Close()
	f, err := c.Conn.(*net.TCPConn).File()
	if err != nil {
		return err
	}
	p.file, p.fd = f, int(f.Fd())
	return unix.SetNonblock(p.fd, true)
}

func (l *load) close() {
	for _, p := range l.peers {
		p.file.Close()
	}
}

// run keeps the connections busy while more says so, which is given the messages
// sent so far; then it takes the last answers, and returns how many there were.
func (l *load) run(more func(n int) bool) (n int, err error) {
	for len(l.fds) < l.flying && len(l.idle) > 0 && more(n) {
		if err := l.send(); err != nil {
			return n, err
		}
		n += l.depth
	}
	for len(l.fds) > 0 {
		if _, err := unix.Poll(l.fds, 30_000); err != nil && !errors.Is(err, unix.EINTR) {
			return n, err
		}
		goOn := more(n)
		for i := len(l.fds) - 1; i >= 0; i-- {
			if l.fds[i].Revents == 0 {
				continue
			}
			done, err := l.receive(l.peers[l.who[i]])
			if err != nil {
				return n, fmt.Errorf("connection %d: %w", l.who[i], err)
			}
			if !done {
				continue
			}
			l.idle = append(l.idle, l.who[i])
			last := len(l.fds) - 1
			l.fds[i], l.who[i] = l.fds[last], l.who[last]
			l.fds, l.who = l.fds[:last], l.who[:last]
			if !goOn {
				continue
			}
			if err := l.send(); err != nil {
				return n, err
			}
			n += l.depth
		}
	}
	return n, nil
}

// runFor is run for a time, runCount for a number of messages.
func (l *load) runFor(d time.Duration) (int, error) {
	end := time.Now().Add(d)
	return l.run(func(int) bool { return time.Now().Before(end) })
}

func (l *load) runCount(count int) (int, error) {
	return l.run(func(n int) bool { return n < count })
}

// send gives the connection whose turn it is a burst: it always fits, since the
// one before is answered.
func (l *load) send() error {
	i := l.idle[0]
	l.idle = l.idle[1:]
	p := l.peers[i]
	burst := p.seq.bursts[p.next]
	p.next = (p.next + 1) % len(p.seq.bursts)
	p.owed = l.depth
	l.fds = append(l.fds, unix.PollFd{Fd: int32(p.fd), Events: unix.POLLIN})
	l.who = append(l.who, i)
	l.bytesOut += int64(len(burst))
	n, err := unix.Write(p.fd, burst)
	if err == nil && n < len(burst) {
		err = io.ErrShortWrite
	}
	return err
}

// receive reads what is there and reports whether the burst is answered.
func (l *load) receive(p *peer) (done bool, err error) {
	n, err := unix.Read(p.fd, l.buf)
	switch {
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EINTR):
		return false, nil
	case err != nil:
		return false, err
	case n == 0:
		return false, io.ErrUnexpectedEOF
	}
	l.bytesIn += int64(n)
	for in := l.buf[:n]; len(in) > 0; {
		var ev ws.Event
		used, err := p.dec.Decode(in, &l.limits, &ev)
		if err != nil {
			return false, err
		}
		in = in[used:]
		if ev.Kind == ws.None {
			continue
		}
		if ev.Kind != ws.Data {
			return false, fmt.Errorf("frame of kind %v, code %d", ev.Kind, ev.Code)
		}
		if p.check != nil {
			if err := p.check.add(&l.tables, &ev, p.seq.messages); err != nil {
				return false, err
			}
		}
		if ev.Final {
			p.owed--
			l.msgsIn++
			if ev.Compressed {
				l.zipped++
			}
		}
	}
	if p.owed < 0 {
		return false, errors.New("more answers than messages")
	}
	return p.owed == 0, nil
}

var errContent = errors.New("an answer is not what was sent")

// add takes a piece of an answer.
func (c *checker) add(t *flate.Tables, ev *ws.Event, want [][]byte) error {
	if !ev.Compressed {
		c.buf = append(c.buf, ev.Payload...)
	} else {
		src := ev.Payload
		for done := false; !done; {
			out, n, end, err := c.rx.Next(t, c.buf, src, ev.Final)
			if err != nil {
				return err
			}
			c.buf, src, done = out, src[n:], end || !ev.Final && n == len(src) && !c.rx.More()
			if !done && len(c.buf) == cap(c.buf) {
				return errContent
			}
		}
	}
	if !ev.Final {
		return nil
	}
	if !bytes.Equal(c.buf, want[c.next]) {
		return errContent
	}
	c.next = (c.next + 1) % len(want)
	c.checked++
	c.buf = c.buf[:0]
	return nil
}

// checked is how many answers were compared.
func (l *load) checked() (n int) {
	for _, p := range l.peers {
		if p.check != nil {
			n += p.check.checked
		}
	}
	return n
}
