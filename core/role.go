package core

// role is what a link speaks: listen, h1, ws, file, wake; http/2 later. One
// value per link. Above the link nothing assumes that a link has one conn:
// whatever concerns a handler takes the conn.
//
// All methods run with the link in service (between Thread.begin and
// Thread.end), so what they append to the cork is flushed by the caller.
type role interface {
	name() string
	// input consumes bytes and returns how many. What it leaves is kept and
	// presented again: with more behind it if it was incomplete, unchanged
	// after a pause.
	input(l *link, p []byte) int
	// eof: the peer sends no more.
	eof(l *link)
	// ready: the descriptor is readable and this role reads it itself
	// (listen, file, wake). Roles that take input never see it.
	ready(l *link)
	// writable hands c its writer once. Called only if c may be written to.
	writable(c *Conn)
	// drained: what the wire had refused is gone.
	drained(l *link)
	// progressed: the wire took some bytes, or refused some for the first time.
	progressed(l *link)
	// allowance is how many bytes c may write now beyond what the wire
	// takes: flow control of the protocol. Unlimited: maxAllowance.
	allowance(c *Conn) int
	// closeConn begins the orderly end of c, because of cause.
	closeConn(c *Conn, cause error)
	// expire: the link's time limit has come.
	expire(l *link)
	// pausing: c was paused or resumed; the wire's interest is the link's
	// business, protocol credit the role's.
	pausing(c *Conn, paused bool)
	// stop: the engine stops; end what may end, in good order.
	stop(l *link)
	// handler returns what the optional interfaces are looked for on.
	handler(c *Conn) any
	// gone ends every conn of the link: each opened one gets Closed.
	gone(l *link, err error)
}

// maxAllowance is "no flow control above the wire".
const maxAllowance = 1 << 30

// baseRole answers for roles that have no use for a method.
type baseRole struct{}

func (baseRole) input(_ *link, p []byte) int { return len(p) }
func (baseRole) eof(l *link)                 { l.doom(l.peerGone()) }
func (baseRole) ready(*link)                 {}
func (baseRole) writable(*Conn)              {}
func (baseRole) drained(*link)               {}
func (baseRole) progressed(*link)            {}
func (baseRole) allowance(*Conn) int         { return maxAllowance }
func (baseRole) expire(*link)                {}
func (baseRole) pausing(*Conn, bool)         {}
func (baseRole) stop(l *link)                { l.doom(l.th.farewell()) }
func (baseRole) handler(*Conn) any           { return nil }
func (baseRole) gone(l *link, err error)     { l.own().end(err) }

func (baseRole) closeConn(c *Conn, cause error) { c.link.doom(cause) }
