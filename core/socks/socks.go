// Package socks is the client's side of SOCKS5 (RFC 1928) with the methods "none"
// and "user name and password" (RFC 1929): bytes in, bytes out. It does no I/O and
// resolves no names: a name goes to the proxy as a name. It resumes at every byte
// boundary.
package socks

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// The errors of Init.
var (
	ErrHost        = errors.New("socks: no host, a host of more than 255 bytes, or one that is neither a name nor an address")
	ErrPort        = errors.New("socks: port 0")
	ErrCredentials = errors.New("socks: user name or password of more than 255 bytes, or a password without a user name")
)

// The errors of Next, beside *ReplyError. All are final.
var (
	ErrVersion = errors.New("socks: the proxy does not speak SOCKS5")
	ErrMethod  = errors.New("socks: the proxy wants an authentication that was not offered")
	ErrAuth    = errors.New("socks: the proxy refused user name and password")
	ErrReply   = errors.New("socks: malformed reply")
)

// ReplyError says why the proxy did not connect (RFC 1928 6).
type ReplyError struct{ Code byte }

var replies = [...]string{
	1: "general failure", 2: "not allowed by the ruleset", 3: "network unreachable", 4: "host unreachable",
	5: "connection refused", 6: "TTL expired", 7: "command not supported", 8: "address type not supported",
}

func (e *ReplyError) Error() string {
	if int(e.Code) < len(replies) && replies[e.Code] != "" {
		return "socks: " + replies[e.Code]
	}
	return fmt.Sprintf("socks: reply code %d", e.Code)
}

// What stands in the messages.
const (
	version     = 5
	authVersion = 1
	methodNone  = 0
	methodUser  = 2
	cmdConnect  = 1
	addrIPv4    = 1
	addrName    = 3
	addrIPv6    = 4
	maxLength   = 255 // of what has its length in one byte
)

// Client asks a proxy for one connection. Init before use; then send what Append
// appends, and give Next what arrives, in turn until done.
type Client struct {
	host       string
	addr       netip.Addr // valid: sent instead of host
	port       uint16
	user, pass string

	state state
	send  bool // what the state asks with is still to be sent
	got   int  // bytes of head
	left  int  // bytes of the reply's address and port
	head  [5]byte
	err   error
}

// state is which answer comes next:
//
//	method --none--> reply --> bound --> over
//	method --user--> auth --> reply
type state uint8

const (
	inMethod state = iota
	inAuth
	inReply
	inBound
	over
)

// Init begins. host is a name, or an address (an IPv6 one may be in brackets; a
// zone means nothing to a proxy and is refused); port is not 0. With a user name
// the proxy may choose to ask for it and for the password, or not. What the
// protocol cannot say is an error here, before anything is sent.
func (c *Client) Init(host string, port uint16, user, pass string) error {
	*c = Client{host: host, port: port, user: user, pass: pass, send: true}
	if port == 0 {
		return c.fail(ErrPort)
	}
	if len(user) > maxLength || len(pass) > maxLength || user == "" && pass != "" {
		return c.fail(ErrCredentials)
	}
	bare := host
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		bare = host[1 : len(host)-1]
	}
	addr, err := netip.ParseAddr(bare)
	switch {
	case err != nil && !validName(host):
		return c.fail(ErrHost)
	case err == nil && (addr.Zone() != "" || addr.Is4() && bare != host):
		return c.fail(ErrHost)
	}
	c.addr = addr
	return nil
}

// validName leaves to the resolver what names there can be, and keeps out what
// would be read as something else.
func validName(s string) bool {
	for i := 0; i < len(s); i++ {
		if c := s[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("[]:/@%", c) >= 0 {
			return false
		}
	}
	return len(s) > 0 && len(s) <= maxLength
}

func (c *Client) fail(err error) error {
	c.err, c.send = err, false
	return err
}

// Append appends what is to be sent now, and takes it as sent; mostly that is
// nothing.
func (c *Client) Append(dst []byte) []byte {
	if !c.send {
		return dst
	}
	c.send = false
	switch c.state {
	case inMethod:
		if c.user == "" {
			return append(dst, version, 1, methodNone)
		}
		return append(dst, version, 2, methodNone, methodUser)
	case inAuth:
		dst = append(dst, authVersion, byte(len(c.user)))
		dst = append(dst, c.user...)
		dst = append(dst, byte(len(c.pass)))
		return append(dst, c.pass...)
	}
	dst = append(dst, version, cmdConnect, 0)
	switch {
	case c.addr.Is4():
		dst = append(dst, addrIPv4)
		dst = append(dst, c.addr.AsSlice()...)
	case c.addr.IsValid():
		dst = append(dst, addrIPv6)
		dst = append(dst, c.addr.AsSlice()...)
	default:
		dst = append(dst, addrName, byte(len(c.host)))
		dst = append(dst, c.host...)
	}
	return append(dst, byte(c.port>>8), byte(c.port))
}

// Next consumes n bytes of p: the proxy's next answer, or a part of it, and never
// what follows the last one. It consumes nothing while there is something to send:
// call Append behind each call, and present the rest again. done tells that the
// connection that was asked for begins at p[n]. Errors are final.
func (c *Client) Next(p []byte) (n int, done bool, err error) {
	for n < len(p) && c.err == nil && !c.send && c.state != over {
		if c.state == inBound {
			k := min(c.left, len(p)-n)
			n += k
			if c.left -= k; c.left == 0 {
				c.state = over
			}
			continue
		}
		c.head[c.got] = p[n]
		n++
		c.got++
		c.take()
	}
	return n, c.state == over && c.err == nil, c.err
}

// take judges the newest byte of head, so that a wrong answer is known early: a
// proxy that refuses may send no more than the code.
func (c *Client) take() {
	b := c.head[c.got-1]
	switch c.state {
	case inMethod:
		c.method(b)
	case inAuth:
		switch {
		case c.got == 1 && b != authVersion:
			c.fail(ErrReply)
		case c.got == 2 && b != 0:
			c.fail(ErrAuth)
		case c.got == 2:
			c.ask(inReply)
		}
	case inReply:
		c.reply(b)
	}
}

func (c *Client) method(b byte) {
	switch {
	case c.got == 1:
		if b != version {
			c.fail(ErrVersion)
		}
	case b == methodNone:
		c.ask(inReply)
	case b == methodUser && c.user != "":
		c.ask(inAuth)
	default: // 0xff, or one that was not offered
		c.fail(ErrMethod)
	}
}

// ask goes on to a state that begins with a message of ours.
func (c *Client) ask(s state) { c.state, c.send, c.got = s, true, 0 }

// reply: VER REP RSV ATYP BND.ADDR BND.PORT (RFC 1928 6). What is bound at the
// proxy does not matter here.
func (c *Client) reply(b byte) {
	switch c.got {
	case 1:
		if b != version {
			c.fail(ErrReply)
		}
	case 2:
		if b != 0 {
			c.fail(&ReplyError{Code: b})
		}
	case 3:
		if b != 0 {
			c.fail(ErrReply)
		}
	case 4:
		if b != addrIPv4 && b != addrName && b != addrIPv6 {
			c.fail(ErrReply)
		}
	case 5:
		const port = 2
		switch c.head[3] {
		case addrIPv4:
			c.left = 4 - 1 + port
		case addrIPv6:
			c.left = 16 - 1 + port
		default:
			c.left = int(b) + port
		}
		c.state = inBound
	}
}
