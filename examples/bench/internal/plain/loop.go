//go:build linux

package plain

import (
	"crypto/rand"
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is all connections and the epoll set that waits for them. It makes raw system
// calls: nothing else has to run in this process.
type loop struct {
	Work
	ep     int
	events []unix.EpollEvent
	conns  []conn
	buf    []byte
	to     unix.RawSockaddrInet4
	stream *stream

	request []byte // the handshake
	accept  string // what its answer must have

	opens  int  // connections that are open
	busy   int  // units under way
	ending bool // begin no more of them
	units  uint64
	reads  uint64
	lat    hist

	kind    byte                          // opcode of messages from the server
	nowOpen func(c *conn) error           // a connection is open
	receive func(c *conn, b []byte) error // bytes have come
	expect  func(c *conn) []byte          // the message that must come next
	message func(c *conn, at int64) error // a whole message has come
	start   func(t int64) error           // begins a slice
	between func(t int64) error           // between two waits in a slice; may be nil
}

// patience is how long a server may keep silent unless Work says otherwise: a bound
// on a hang.
const patience = time.Minute

var errSilent = errors.New("the server says nothing")

func newLoop(w Work) (*loop, error) {
	a, err := net.ResolveTCPAddr("tcp4", w.Addr)
	if err != nil {
		return nil, err
	}
	if !a.IP.IsLoopback() {
		return nil, fmt.Errorf("%s: only addresses of this machine are loaded", w.Addr)
	}
	w.Depth = max(w.Depth, 1)
	if w.Patience == 0 {
		w.Patience = patience
	}
	l := &loop{Work: w, events: make([]unix.EpollEvent, 1024), buf: make([]byte, 1<<20), kind: opBinary}
	l.to.Family, l.to.Addr = unix.AF_INET, [4]byte(a.IP.To4())
	l.to.Port = uint16(a.Port>>8 | a.Port<<8&0xff00) // network byte order on a little-endian machine
	var nonce [16]byte
	rand.Read(nonce[:])
	key := base64.StdEncoding.EncodeToString(nonce[:])
	sum := sha1.Sum([]byte(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11")) // RFC 6455 4.2.2
	l.accept = base64.StdEncoding.EncodeToString(sum[:])
	l.request = fmt.Appendf(nil, "GET / HTTP/1.1\r\nHost: %s\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n", w.Addr, key)
	if err := l.prepare(); err != nil {
		return nil, err
	}
	l.ep, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	return l, err
}

// prepare sets what is called according to the kind of work.
func (l *loop) prepare() error {
	l.receive, l.message = l.takeFrames, l.echoed
	l.expect = func(c *conn) []byte { return l.stream.payloads[c.next] }
	l.nowOpen = l.opened
	l.start = l.startEcho
	if l.Raw {
		l.receive = l.takeRaw
	}
	switch l.Kind {
	case Echo, Broadcast:
		l.stream = newStream(l.Raw, l.Size, l.Depth)
	case Connect:
		l.prepareConnect()
	case Get:
		l.prepareGet()
	default:
		return fmt.Errorf("no work is called %q", l.Kind)
	}
	return nil
}

var epoch = time.Now()

func now() int64 { return int64(time.Since(epoch)) }

// call makes a system call on the first byte of b.
func call(trap uintptr, fd int, b []byte) (int, syscall.Errno) {
	n, _, e := unix.RawSyscall(trap, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
	return int(n), e
}

// dial begins to connect.
func (l *loop) dial(c *conn) error {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	_, _, e := unix.RawSyscall(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&l.to)), unsafe.Sizeof(l.to))
	if e != 0 && e != unix.EINPROGRESS {
		unix.Close(fd)
		return e
	}
	*c = conn{i: c.i, fd: fd, state: connecting, began: now(), out: true, times: c.times, part: c.part[:0]}
	if l.stream != nil {
		c.next = c.i * 7 % l.stream.count // not all with the same
		c.pos = c.next * l.stream.each
	}
	return unix.EpollCtl(l.ep, unix.EPOLL_CTL_ADD, fd, &unix.EpollEvent{
		Events: unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP, Fd: int32(c.i)})
}

// reset closes by RST, which leaves no TIME_WAIT behind.
func (l *loop) reset(c *conn) {
	if c.state == closed {
		return
	}
	unix.SetsockoptLinger(c.fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	unix.Close(c.fd)
	c.state = closed
}

func (l *loop) closeAll() {
	for i := range l.conns {
		l.reset(&l.conns[i])
	}
	l.opens = 0
}

func (l *loop) end() error {
	l.closeAll()
	return unix.Close(l.ep)
}

// poll waits once, for so many milliseconds, and serves what there is.
func (l *loop) poll(ms int) error {
	n, _, e := unix.RawSyscall6(unix.SYS_EPOLL_WAIT, uintptr(l.ep), uintptr(unsafe.Pointer(&l.events[0])),
		uintptr(len(l.events)), uintptr(ms), 0, 0)
	if e != 0 && e != unix.EINTR {
		return e
	}
	for k := range l.events[:max(0, int(int32(n)))] {
		ev := &l.events[k]
		c := &l.conns[ev.Fd]
		if c.state == closed {
			continue
		}
		if err := l.serve(c, ev.Events); err != nil {
			return fmt.Errorf("connection %d: %w", c.i, err)
		}
	}
	return nil
}

func (l *loop) serve(c *conn, events uint32) error {
	if events&(unix.EPOLLOUT|unix.EPOLLERR) != 0 {
		if c.state == connecting {
			if err := l.connected(c); err != nil {
				return err
			}
		}
		if err := l.flush(c); err != nil {
			return err
		}
	}
	if events&^unix.EPOLLOUT != 0 && c.state != closed {
		return l.read(c)
	}
	return nil
}

// connected sends the handshake, if there is one.
func (l *loop) connected(c *conn) error {
	if e, err := unix.GetsockoptInt(c.fd, unix.SOL_SOCKET, unix.SO_ERROR); err != nil || e != 0 {
		return errors.Join(err, unix.Errno(e))
	}
	if l.Raw || l.Kind == Get {
		return l.nowOpen(c)
	}
	c.state = shaking
	c.extra = l.request
	return nil
}

func (l *loop) opened(c *conn) error {
	c.state = open
	l.opens++
	return nil
}
