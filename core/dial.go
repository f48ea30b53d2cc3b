package core

import (
	"errors"
	"fmt"
	"iter"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"anyloop/core/h1"
	"anyloop/core/header"
	"anyloop/core/ws"
)

// Dial describes a client's WebSocket. It is copied, but not what its slices and
// pointers lead to: that must not change before Connected or ConnectFailed.
type Dial struct {
	// URL is what to open: "ws://host:port/path?query" or "wss://...", which
	// "http" and "https" mean as well. Without a port it is 80, or 443 with TLS.
	// A user and password in it are sent as Basic authorization.
	URL string
	// Addr is where to connect instead of the URL's host: "127.0.0.1:80",
	// "unix:/path" or "unix:@abstract" (Linux). Redirects within the host go
	// there too; with a Proxy it is not looked at.
	Addr string
	// Protocol names the protocol of the vhost whose WS handler serves the
	// connection. Empty: that which the server chooses of Subprotocols if the
	// vhost has one of its name, else the vhost's default protocol.
	Protocol string
	// WS makes the handler instead of a protocol's, of which the vhost then
	// needs to have none. It is called once; nil fails the connection. Loop
	// thread only.
	WS func(*Conn) WSHandler
	// Subprotocols are offered to the server, best first (RFC 6455 4.1). One
	// that answers without choosing is accepted.
	Subprotocols []string
	// Header is added to the request. The fields of the handshake itself are
	// refused with ErrHeaderForbidden.
	Header Header
	// Host is the Host field; empty: from the URL, as after a redirect to
	// another host.
	Host string
	// Origin is the Origin field, as browsers send it; empty: none.
	Origin string
	// LocalAddr is the address to connect from: "192.0.2.1", or with a port
	// "192.0.2.1:5000".
	LocalAddr string
	// Interface is the name of the network interface to connect through.
	Interface string
	// Proxy is a proxy to go through: "http://user:password@host:port" (HTTP
	// CONNECT; port 80 if there is none) or "socks5://user:password@host:port"
	// (1080). The proxy resolves the name. The environment is not looked at.
	Proxy string
	// Redirects is how many redirects are followed; 0 refuses the first.
	// Authorization and cookies stay behind when the host changes.
	Redirects int
	// Check sees the server's whole answer before the WebSocket counts as
	// open; an error makes the connection fail with it. Loop thread only.
	Check func(c *Conn, r *Response) error
	// TLS overrides the vhost's ClientTLS, for wss and https URLs.
	TLS *ClientTLS
	// Deflate overrides the vhost's options of compression, also where it has
	// none; NoDeflate goes without. The vhost's Limits.DeflateMemory bounds what
	// is kept in either case.
	Deflate   *Deflate
	NoDeflate bool
}

// ConnectFailer is told that a connection which Dial began did not come about:
// instead of Opened, once, and nothing follows. err is a *ConnectError. A handler
// without it is not told; the vhost's log is. Loop thread only.
type ConnectFailer interface {
	ConnectFailed(c *Conn, err error)
}

// Connector is told of an open connection that Dial began: what Opened is for a
// server. r can be read until Connected returns; an error closes as that of Opened
// does. Loop thread only.
type Connector interface {
	Connected(c *Conn, r *Response) error
}

// ConnectError says why a client's connection did not come about. Its text is one
// line: the stage, the address, who is to blame for what, and the option of ours
// that may be what is wrong.
type ConnectError struct {
	// Stage is how far it came: "connect", "proxy", "tls" (its handshake),
	// "handshake" (that of WebSockets) or "redirect".
	Stage string
	// Addr is the host and port of the URL, also where Dial.Addr or a proxy
	// led the way there.
	Addr string
	// Status is that of an HTTP answer, the server's or the proxy's, which
	// ended it; 0 if none did.
	Status int
	// Err is the cause, for errors.Is and errors.As: a *LimitError for a time
	// limit, ErrStopped, ErrDrop or a *CloseError if we ended it, what Check
	// or the system said (such as syscall.ECONNREFUSED, *net.DNSError,
	// x509.UnknownAuthorityError).
	Err error
}

func (e *ConnectError) Error() string {
	text := "no cause"
	if late, ok := e.Err.(*LimitError); ok && late.After > 0 {
		text = tooLate(e.Stage, late)
	} else if e.Err != nil {
		text = bare(e.Err.Error())
	}
	return "core: " + e.Stage + " " + e.Addr + ": " + text
}

// Unwrap returns the cause.
func (e *ConnectError) Unwrap() error { return e.Err }

// Response is the server's answer to a client's request: the status line and the
// header. It can be read until the callback that it was given to returns. Loop
// thread only.
type Response struct {
	head  h1.Response
	table *header.Table // nil: over
}

// Status returns the status code, 0 when r is over.
func (r *Response) Status() int {
	if r.table == nil {
		return 0
	}
	return r.head.Status
}

// Header returns the first value of a field, "" if there is none. The name is in
// lower case.
func (r *Response) Header(name string) string {
	if r.table == nil {
		return ""
	}
	return string(r.table.Get(name))
}

// Fields returns all header fields in order, names in lower case.
func (r *Response) Fields() iter.Seq2[string, string] {
	return func(yield func(string, string) bool) {
		for i := 0; r.table != nil && i < r.table.Len(); i++ {
			n, v := r.table.At(i)
			if !yield(string(n), string(v)) {
				return
			}
		}
	}
}

// Dial begins a WebSocket to a server, with this thread's loop, and returns at
// once; vh has the protocols, limits, log and compression for it. The handler is
// made later, once, and hears exactly one of Connected (if it is a Connector) and
// ConnectFailed (if it is a ConnectFailer); only after Connected anything else.
// Until then the conn can be closed, also in Check or while its handler is made,
// which makes it one that failed, and a Writable asked for.
//
// Names are resolved on goroutines of the engine's, all their addresses are
// tried, and Limits.ConnectTimeout and AnswerTimeout bound it. Errors: ErrNoVHost,
// ErrOtherEngine, what is wrong with d, ErrUnknownProtocol, ErrStopped, ErrRemoved,
// or a *LimitError if MaxConns connections are served. Loop thread only.
func (th *Thread) Dial(vh *VirtualHost, d Dial) (*Conn, error) {
	th.checkVerb("Dial")
	if err := th.eng.owns(vh); err != nil {
		return nil, err
	}
	r := &clientRole{d: d}
	if err := r.prepare(vh); err != nil {
		return nil, fmt.Errorf("core: dial %s: %w", withoutPassword(d.URL), err)
	}
	if err := th.takes(vh); err != nil {
		return nil, err
	}
	th.load.Add(1)
	th.conns++
	l := th.newLink(-1, r)
	l.flags |= lfCounted | lfKeepFD | lfHandshake | lfNoRead
	th.drift(l)
	c := l.own()
	c.setVHost(vh)
	if r.bound != nil {
		c.bind(r.bound)
	}
	r.arm(l)
	th.stats.Dials++
	th.force(func() { th.inService(l, func() { r.start(l) }) })
	return c, nil
}

// inService runs f with l in service, which it is no longer when it returns. It
// may be called while another link is, from a call of ours that this one made.
func (th *Thread) inService(l *link, f func()) {
	if l.is(lfDead) {
		return
	}
	cur := th.cur
	if cur != nil && cur != l {
		cur.flush() // the cork is one for all
	}
	defer func() { th.cur = cur }()
	defer th.rescue()
	th.begin(l)
	f()
	th.finishService(l)
}

// prepare checks what can be checked at once. What it returns names the field of Dial.
func (r *clientRole) prepare(vh *VirtualHost) error {
	d := &r.d
	var err error
	if r.url, err = dialURL(d.URL); err != nil {
		return err
	}
	if r.proxy, err = proxyURL(d.Proxy); err != nil {
		return fmt.Errorf("Dial.Proxy: %w", err)
	}
	if r.bound = vh.dialled(d); r.bound == nil && (d.WS == nil || d.Protocol != "") {
		if d.Protocol == "" {
			return fmt.Errorf("neither this vhost nor Dial has a WS: %w", plain{ErrUnknownProtocol})
		}
		return fmt.Errorf("Dial.Protocol %q with WS: %w", d.Protocol, plain{ErrUnknownProtocol})
	}
	if err := d.checkFields(); err != nil {
		return err
	}
	if r.zip, err = clientDeflate(vh, d); err != nil {
		return err
	}
	if err := r.prepareTLS(vh); err != nil {
		return err
	}
	r.at = target{iface: d.Interface}
	if err := r.at.local(d.LocalAddr); err != nil {
		return err
	}
	if _, err := r.goal(); err != nil {
		return err
	}
	return r.rehearse()
}

// checkFields looks at what goes into the request.
func (d *Dial) checkFields() error {
	for _, f := range d.Header {
		switch {
		case !h1.ValidField(f.Name, f.Value):
			return fmt.Errorf("Dial.Header %q: %w", f.Name, plain{ErrHeaderSyntax})
		case handshakeField(f.Name):
			return fmt.Errorf("Dial.Header %q: %w%s", f.Name, plain{ErrHeaderForbidden}, fieldHints[f.Name])
		}
	}
	if err := ws.CheckOffer(d.Subprotocols); err != nil {
		return fmt.Errorf("Dial.Subprotocols %q: %w", d.Subprotocols, plain{err})
	}
	if !header.IsValue(d.Origin) {
		return fmt.Errorf("Dial.Origin %q: %w", d.Origin, plain{ErrHeaderSyntax})
	}
	if !header.IsValue(d.Host) {
		return fmt.Errorf("Dial.Host %q: %w", d.Host, plain{ErrHeaderSyntax})
	}
	return nil
}

// fieldHints name what writes a field of the handshake.
var fieldHints = map[string]string{
	"host": "; see Dial.Host", "origin": "; see Dial.Origin",
	"sec-websocket-protocol": "; see Dial.Subprotocols", "sec-websocket-extensions": "; see Dial.Deflate",
}

// rehearse writes what is to be sent, so that what cannot be is known at once.
func (r *clientRole) rehearse() error {
	if _, err := r.appendRequest(nil); errors.Is(err, h1.ErrBadHost) && r.d.Host != "" {
		return fmt.Errorf("Dial.Host %q: %w", r.d.Host, plain{err})
	} else if err != nil {
		return plain{err}
	}
	if r.proxy == nil {
		return nil
	}
	if _, err := r.appendProxyRequest(nil); err != nil {
		return fmt.Errorf("Dial.Proxy: %w", plain{err})
	}
	return nil
}

// dialled returns the binding of a client's conn, which hears of the failure, too;
// nil if there is none, which only a Dial with a handler of its own can do without.
func (vh *VirtualHost) dialled(d *Dial) *binding {
	if d.Protocol != "" {
		if b := vh.byName[d.Protocol]; b != nil && (b.proto.WS != nil || d.WS != nil) {
			return b
		}
		return nil
	}
	for _, name := range d.Subprotocols {
		if b := vh.byName[name]; b != nil && b.proto.WS != nil {
			return b
		}
	}
	if vh.plain == nil && d.WS != nil && len(vh.bindings) > 0 {
		return vh.bindings[0]
	}
	return vh.plain
}

// handshakeField reports whether a field is written by the handshake itself.
func handshakeField(name string) bool {
	switch name {
	case "host", "connection", "upgrade", "origin", "content-length", "transfer-encoding":
		return true
	}
	return strings.HasPrefix(name, "sec-websocket-")
}

func dialURL(s string) (*url.URL, error) {
	u, err := parseURL(s)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "ws" && u.Scheme != "http" && !overTLS(u):
		return nil, fmt.Errorf("scheme %q is none of ws, wss, http, https", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("there is no host in it")
	}
	_, err = portOf(u, defaultPort(u))
	return u, err
}

// parseURL is url.Parse, whose errors repeat the URL, password and all.
func parseURL(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	var e *url.Error
	if errors.As(err, &e) {
		err = e.Err
	}
	return u, err
}

// withoutPassword is a URL for a text, also if it is none.
func withoutPassword(s string) string {
	if u, err := url.Parse(s); err == nil {
		if u.User != nil {
			s = u.Redacted()
		}
		return strconv.Quote(s)
	}
	if i := strings.LastIndexByte(s, '@'); i >= 0 {
		s = "..." + s[i:]
	}
	return strconv.Quote(s)
}

// overTLS reports whether the URL's scheme is one of TLS.
func overTLS(u *url.URL) bool { return u.Scheme == "wss" || u.Scheme == "https" }

// defaultPort is that of the URL's scheme (RFC 6455 3).
func defaultPort(u *url.URL) uint16 {
	if overTLS(u) {
		return 443
	}
	return 80
}

func proxyURL(s string) (*url.URL, error) {
	if s == "" {
		return nil, nil
	}
	u, err := parseURL(s)
	switch {
	case err != nil:
		return nil, err
	case u.Scheme != "http" && u.Scheme != "socks5" && u.Scheme != "socks5h":
		return nil, fmt.Errorf("scheme %q is none of http, socks5", u.Scheme)
	case u.Hostname() == "":
		return nil, errors.New("there is no host in it")
	}
	_, err = portOf(u, 1080)
	return u, err
}

// portOf returns a URL's port, or the scheme's.
func portOf(u *url.URL, def uint16) (uint16, error) {
	if u.Port() == "" {
		return def, nil
	}
	n, err := strconv.ParseUint(u.Port(), 10, 16)
	if err != nil || n == 0 {
		return 0, fmt.Errorf("port %q is not a number from 1 to 65535", u.Port())
	}
	return uint16(n), nil
}

// local sets the address to connect from.
func (t *target) local(s string) error {
	if s == "" {
		return nil
	}
	if a, err := netip.ParseAddr(s); err == nil {
		t.laddr = a
		return nil
	}
	ap, err := netip.ParseAddrPort(s)
	if err != nil {
		return fmt.Errorf("Dial.LocalAddr %q is neither an IP address nor one with a port", s)
	}
	t.laddr, t.lport = ap.Addr(), ap.Port()
	return nil
}

func errAddr(a string) error {
	return fmt.Errorf("Dial.Addr %q is none of host:port, unix:/path and unix:@name", a)
}

// goal fills in where the socket is to be connected to: the proxy, Addr, or the
// URL's host.
func (r *clientRole) goal() (target, error) {
	t := r.at
	t.network = "tcp"
	if r.proxy != nil {
		def := uint16(80)
		if r.proxy.Scheme != "http" {
			def = 1080
		}
		t.host = r.proxy.Hostname()
		t.port, _ = portOf(r.proxy, def)
		return t, nil
	}
	if a := r.d.Addr; a != "" {
		if path, ok := strings.CutPrefix(a, "unix:"); ok {
			if t.network, t.path = "unix", path; path == "" {
				return t, errAddr(a)
			}
			return t, nil
		}
		host, port, err := net.SplitHostPort(a)
		n, numErr := strconv.ParseUint(port, 10, 16)
		if err != nil || numErr != nil || host == "" || n == 0 {
			return t, errAddr(a)
		}
		t.host, t.port = host, uint16(n)
		return t, nil
	}
	t.host = r.url.Hostname()
	t.port, _ = portOf(r.url, defaultPort(r.url))
	return t, nil
}
