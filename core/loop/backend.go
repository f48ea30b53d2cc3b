package loop

import "time"

// Tier says how much of a connection the engine under a backend owns.
type Tier uint8

const (
	// Readiness: the loop watches every descriptor of core.
	Readiness Tier = iota
	// Nested: the loop watches one descriptor, that of a poll set which
	// watches the rest.
	Nested
	// Bytes: the engine owns the sockets and hands over bytes.
	Bytes
)

// String returns the tier's name in lower case.
func (t Tier) String() string {
	return [...]string{"readiness", "nested", "bytes"}[t%3]
}

// Info describes a backend.
type Info struct {
	Name string // for logs and the server's status page, e.g. "poll/epoll"
	Tier Tier
	// Foreign is true if the application turns the loop; Engine.Run then
	// returns an error at once.
	Foreign bool
	// RunsHere is true if a Runner's Run serves everything on the goroutine
	// that called it, and never locks that to a thread: core may then switch
	// stacks on it.
	RunsHere bool
	// Cannot lists interest masks that the loop is unable to hold exactly;
	// core tolerates the readiness it then gets unasked.
	Cannot []Events
}

// Backend makes the loops of an engine, one per service thread.
type Backend interface {
	// Info describes the backend.
	Info() Info
	// Open returns the loop of service thread number thread (from 0), which
	// reports to s. It is called when the engine attaches; core calls
	// nothing of s's before, and the loop must not call s before Open has
	// returned.
	Open(thread int, s Service) (Loop, error)
}

// Runner is a Loop that Engine.Run can turn, in a goroutine of its own.
type Runner interface {
	Loop
	// Run turns the loop until s.Hosted() is false, and returns nil then.
	Run() error
}

// Closer is a Loop with something to release. Core calls Close after the last
// DelPollFD, when the engine has ended or detached; on a Runner after Run has
// returned.
type Closer interface {
	Close() error
}

// Clock is implemented by a Backend that keeps its own time: a simulator, or a
// loop that caches the time of a turn. Core reads it once per entry. Times must
// not go backwards. Without it core uses the system's clock.
type Clock interface {
	Now() time.Time
}

// Kernel is implemented by a Backend that stands in for the operating system:
// a simulator. Descriptors are then its own numbers, and the calls mean what
// the system calls of the same name mean on non-blocking descriptors: errors
// are of type syscall.Errno (EAGAIN, EMFILE, ECONNRESET, EPIPE, ...), and a Read
// of 0 bytes without an error is the end of the stream. Without it core calls
// the operating system.
type Kernel interface {
	// Listen makes a listening socket. network is "tcp" or "unix"; bound is
	// the address with the port that was chosen for ":0".
	Listen(network, address string) (fd int, bound string, err error)
	// Accept takes one waiting connection, EAGAIN if there is none.
	Accept(fd int) (nfd int, peer string, err error)
	Read(fd int, p []byte) (n int, err error)
	// Write takes what fits; n < len(head)+len(tail) only if the kernel's
	// buffer is full. tail may be empty.
	Write(fd int, head, tail []byte) (n int, err error)
	// Peek reports how many bytes could be read now (1 stands for any
	// number), 0 at the end of the stream, EAGAIN if there is nothing.
	Peek(fd int) (n int, err error)
	// SockError returns and clears the pending error, nil if there is none.
	SockError(fd int) error
	// HungUp reports whether poll(2) would say POLLHUP or POLLERR now.
	HungUp(fd int) bool
	// CloseWrite sends the end of the stream.
	CloseWrite(fd int) error
	Close(fd int) error
	// Doorbell makes a descriptor that is readable from Ring (any goroutine)
	// until Clear.
	Doorbell() (Doorbell, error)
}

// Connecter is a Kernel that can connect. Without it core cannot dial over the
// kernel.
type Connecter interface {
	// Connect makes a descriptor that is being connected. It becomes ready when
	// that is decided. Errors are those that are known at once.
	Connect(to ConnectTo) (fd int, err error)
	// Connected tells how it came out: nil when it is connected, EINPROGRESS
	// while that is not decided, else why it is not. A failure is told once.
	Connected(fd int) error
}

// ConnectTo says where to connect to, and from where.
type ConnectTo struct {
	Network   string // "tcp" or "unix"
	Address   string // "192.0.2.1:80", "[2001:db8::1]:80"; a path, or "@name"
	LocalAddr string // an address without a port; "" for any
	LocalPort uint16 // 0 for any
	Interface string // a network interface; "" for any
}

// Doorbell is a descriptor that anybody can make readable.
type Doorbell interface {
	FD() int
	Ring()  // any goroutine
	Clear() // loop thread
	Close() error
}
