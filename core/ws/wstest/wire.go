package wstest

import (
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"testing"
	"time"
)

// Wire is the peer's end of a connection with the testee. One goroutine at a
// time.
type Wire interface {
	// Write sends all of p, which is the caller's again when it returns. What a
	// testee that has closed does not take is no error.
	Write(p []byte) error
	// Read returns what has arrived, at least one byte, waiting for it; the
	// bytes are lent until the next call. io.EOF is the end of the testee's
	// direction in good order, ErrSilent that nothing comes any more,
	// syscall.ECONNRESET, wrapped or not, a reset.
	Read() ([]byte, error)
	// CloseWrite ends our direction.
	CloseWrite() error
	// Close gives the connection up. An error says that the testee has not
	// let go of a connection that both sides have ended.
	Close() error
}

// Poller is a Wire that knows when the testee is at rest.
type Poller interface {
	// Poll lets the testee do all it can now, and returns what it has said,
	// nothing if it was silent.
	Poll() ([]byte, error)
}

// Judge is a Wire that learns what the testee thinks of the connection.
type Judge interface {
	// Verdict waits for the testee to be done with the connection: nil if it
	// ended well, an error if it was not established or ended badly.
	Verdict() error
}

// ErrSilent says that something was expected of the testee and nothing comes.
var ErrSilent = errors.New("wstest: the testee is silent")

// bound is a limit on a hang, far above what anything takes.
const bound = 60 * time.Second

// Dial returns how to open connections to a server at "host:port" or "unix:path".
func Dial(addr string) func() (Wire, error) {
	network := "tcp"
	if path, ok := strings.CutPrefix(addr, "unix:"); ok {
		network, addr = "unix", path
	}
	return func() (Wire, error) {
		c, err := net.DialTimeout(network, addr, bound)
		if err != nil {
			return nil, err
		}
		return NewWire(c), nil
	}
}

// NewWire makes a Wire of a connection, which it owns from then on. The deadline
// of the whole is a minute from now.
func NewWire(c net.Conn) Wire {
	c.SetDeadline(time.Now().Add(bound))
	return &netWire{c: c, buf: make([]byte, 64<<10)}
}

type netWire struct {
	c   net.Conn
	buf []byte
}

func (w *netWire) Write(p []byte) error {
	_, err := w.c.Write(p)
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return fmt.Errorf("%w: it takes no bytes", ErrSilent)
	}
	return nil
}

func (w *netWire) Read() ([]byte, error) {
	n, err := w.c.Read(w.buf)
	if n > 0 {
		return w.buf[:n], nil
	}
	var ne net.Error
	if errors.As(err, &ne) && ne.Timeout() {
		return nil, ErrSilent
	}
	if err == nil {
		err = io.ErrNoProgress
	}
	return nil, err
}

func (w *netWire) CloseWrite() error {
	if h, ok := w.c.(interface{ CloseWrite() error }); ok {
		h.CloseWrite() // an error says that the testee is gone
		return nil
	}
	return fmt.Errorf("wstest: CloseWrite: %w", errors.ErrUnsupported)
}

func (w *netWire) Close() error {
	w.c.Close()
	return nil
}

// Listen returns how to make a client connect: each time connect is called, on a
// goroutine of its own, with the URL to connect to, and is to return when that
// connection is over: nil after a clean close, else an error, also if the
// connection was not established. The listening socket is closed at the test's
// end.
func Listen(t testing.TB, connect func(url string) error) func() (Wire, error) {
	t.Helper()
	l, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	var calls sync.WaitGroup
	t.Cleanup(func() {
		l.Close()
		calls.Wait()
	})
	url := "ws://" + l.Addr().String() + "/"
	return func() (Wire, error) {
		over := make(chan error, 1)
		calls.Go(func() { over <- connect(url) })
		l.(*net.TCPListener).SetDeadline(time.Now().Add(bound))
		c, err := l.Accept()
		if err != nil {
			return nil, err
		}
		return &judged{NewWire(c).(*netWire), over}, nil
	}
}

// judged is a wire to a client that says how it went.
type judged struct {
	*netWire
	over chan error
}

func (w *judged) Verdict() error {
	select {
	case err := <-w.over:
		return err
	case <-time.After(bound):
		return ErrSilent
	}
}
