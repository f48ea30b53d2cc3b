package core

import (
	"context"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"anyloop/core/loop"
)

// Config is what New needs. It is copied, but not what its slices and pointers lead
// to: that must not change while the engine lives.
type Config struct {
	// Backend makes the event loops; required. See loops/poll, loops/external.
	Backend loop.Backend
	// Threads is the number of service threads; 0 means 1, at most 32.
	Threads int
	// VHosts are the virtual servers. Those with the same Addr share a
	// listening socket; of these the first serves unknown names.
	VHosts []VHost
	// Log receives everything the library has to say; nil is silent.
	Log *slog.Logger
	// Limits holds for all vhosts; its zero value is the documented default.
	Limits Limits
	// KeepAlive sets TCP keepalive on accepted, dialled and listening TCP sockets.
	KeepAlive KeepAlive
	// FilterConn, if set, sees each accepted connection before anything is
	// made for it; false closes it at once. Loop thread only.
	FilterConn func(vh *VirtualHost, peer string) bool
	// Resolver turns the names of Dial into addresses, on goroutines of the
	// engine's; nil is net.DefaultResolver.
	Resolver Resolver
	// ReusePort opens one listening socket per service thread (SO_REUSEPORT)
	// instead of spreading the connections of one.
	ReusePort bool

	inherited *inheritance // what Privileges.Drop has left
}

// Resolver looks names up; *net.Resolver is one. It may be called by several
// goroutines at a time, and should return soon after ctx ends.
type Resolver interface {
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// KeepAlive is TCP's own check for dead peers (RFC 9293 3.8.4, spec'd in the
// operating system's tcp(7)). The zero value leaves it off.
type KeepAlive struct {
	Idle     time.Duration // without traffic before the first probe; 0: off
	Interval time.Duration // between probes; required when Idle is set
	Probes   int           // unanswered probes before the connection is dead; required when Idle is set
}

// VHost describes one virtual server.
type VHost struct {
	// Name is matched against Host, without port, exactly and ignoring case;
	// "*.example.org" matches every name below example.org. The first vhost
	// of an address also serves all other names. Default: "default".
	Name string
	// Aliases are further names.
	Aliases []string
	// Addr is where to listen: "localhost:7681", ":0", "[::1]:80",
	// "unix:/path" or "unix:@abstract" (Linux). Empty: not listening. Vhosts
	// with the same Addr, Interface, BindInterface and Family share a socket;
	// how it listens is the first one's choice. Each ":0" is a port of its
	// own, which others share by its number. A unix socket's path that nobody
	// listens on is replaced, and removed again at the end.
	Addr string
	// Listener is used instead of Addr: its socket is duplicated and the
	// original closed. The options below are not for it.
	Listener net.Listener
	// Family restricts a TCP Addr without an address, "localhost" or an
	// Interface to IPv4 or IPv6; see the constants.
	Family Family
	// Interface makes it listen on the addresses of this network interface
	// alone, those that it has when listening begins: ":80" on all of the
	// Family, "[fe80::1]:80" on one that must be its own. Empty: any.
	Interface string
	// BindInterface keeps the traffic of all other interfaces out
	// (SO_BINDTODEVICE), on the listening, the accepted and the adopted
	// sockets; ":80" then means every address, now or later. Linux only;
	// before Linux 5.7 it needs CAP_NET_RAW.
	BindInterface bool
	// BindLater lets New and AddVHost succeed while Interface or the address
	// is not there (yet); it is tried again every second. Anything else, like
	// a port in use, fails at once.
	BindLater bool
	// Backlog is how many connections may wait to be accepted; 0 is what the
	// system allows, which is also the most.
	Backlog int
	// FastOpen is how many connections may be in the making that brought data
	// with their first packet (RFC 7413); 0 is off. Linux only.
	FastOpen int
	// UnixMode is the mode of a unix socket's path; 0 means 0660.
	UnixMode fs.FileMode
	// UnixOwner is who owns the path: "user:group", "user" or ":group", names
	// or numbers. Empty: who runs the program.
	UnixOwner string
	// Protocols are the named handlers of this vhost. The first answers
	// requests that no mount takes.
	Protocols []Protocol
	// DefaultProtocol is the protocol for WebSockets that offer no
	// subprotocol; empty means the first one with WS, "-" refuses them.
	DefaultProtocol string
	// RawOnly names the protocol whose Raw serves every connection of the
	// address from its beginning: no HTTP is spoken. Empty: off. That of the
	// first vhost of the address holds, like that of RawFallback; over TLS both
	// are about what is inside.
	RawOnly string
	// RawFallback names the protocol whose Raw serves the connections that do
	// not begin with an HTTP method (GET, HEAD, POST, PUT, DELETE, OPTIONS,
	// PATCH, CONNECT, TRACE): the first Receive carries all bytes so far. Who
	// says nothing that decides is closed after HandshakeTimeout. Empty: off.
	RawFallback string
	// Mounts route URL prefixes; the longest that matches wins.
	Mounts []Mount
	// Header is added to every HTTP response, unless the handler set a field
	// of that name itself.
	Header Header
	// Origins are those whose pages may open WebSockets, and no others, also
	// not those of the vhost's own names: "https://example.org",
	// "http://localhost:8080", "https://*.example.org"; see the function
	// Origins. New and AddVHost refuse what is none. Empty: Origin decides.
	Origins []string
	// Origin decides about WebSockets that browsers open; nil is SameOrigin.
	// Other clients send no Origin and are not asked about.
	Origin OriginPolicy
	// TLS makes the vhost speak TLS; nil is off. SNI (RFC 6066 3) picks the
	// vhost whose certificate is shown, and Host the one that serves.
	TLS *TLS
	// ClientTLS is how Dial checks the servers of wss and https URLs; nil is
	// its zero value.
	ClientTLS *ClientTLS
	// StrictHost answers requests with 421 whose Host is none of this vhost's
	// names, where it would serve them as the first of its address, and those
	// that come over TLS for another vhost's name (RFC 9110 15.5.20). A vhost
	// with TLS.ClientAuth never serves the latter.
	StrictHost bool
	// Deflate turns permessage-deflate (RFC 7692) on, for WebSockets accepted
	// and dialled; nil is off.
	Deflate *Deflate
	// ErrorDocument404 is a path to redirect to on 404; it is then served
	// with status 404.
	ErrorDocument404 string
	// Limits overrides Config.Limits.
	Limits Limits
	// Log overrides Config.Log; Level, if set, is this vhost's own level.
	Log   *slog.Logger
	Level slog.Leveler
}

// Protocol is a named set of handlers, one handler value per connection. At
// least one of WS, HTTP, File and Raw is set.
type Protocol struct {
	// Name is the WebSocket subprotocol (case-sensitive), the name that
	// callback mounts use, and the name that adopting uses.
	Name string
	// AnyName makes WS serve every subprotocol that a client offers when no
	// protocol has that name: the client's first is echoed.
	AnyName bool

	// WS makes the handler of one WebSocket; nil refuses an upgrade with 403,
	// and fails a Dial. Loop thread only, like all the makers.
	WS   func(*Conn) WSHandler
	HTTP func(*Conn) HTTPHandler
	File func(*Conn) FileHandler
	Raw  func(*Conn) RawHandler

	// FilterWS decides about an upgrade before it is answered; the whole
	// request is readable. nil accepts. An *HTTPError answers with its
	// status, any other error with 403. Loop thread only.
	FilterWS func(c *Conn, r *Request) error

	// Deflate, if set, sees the vhost's compression options before they are
	// negotiated on an upgrade, and may change them for this connection: d is
	// a copy. false goes without. It is not called if the peer offers none.
	// Loop thread only.
	Deflate func(c *Conn, r *Request, d *Deflate) bool

	// Init runs once per vhost on a loop thread, before the first
	// connection; an error, which is logged, disables the protocol on this vhost. Destroy runs
	// after the last connection of the vhost is gone, iff Init succeeded.
	Init    func(vh *VirtualHost) error
	Destroy func(vh *VirtualHost)
	// WaitCancelled runs on each service thread after a Wake: at least once
	// after the last one. It may also run without one.
	WaitCancelled func(th *Thread, vh *VirtualHost)
}

// Mount routes a URL prefix. It matches the whole path or at a '/': "/a"
// serves "/a" and "/a/b", not "/ab".
type Mount struct {
	Path string
	// Exact makes it match the path alone.
	Exact bool
	// Protocol names a protocol of the vhost whose HTTP handler serves the
	// mount (a callback mount); Request.MountPath is what follows Path. The
	// handler lives as long as successive requests of a connection hit this
	// mount.
	Protocol string
	// HTTP makes the handler directly; packages like core/mount set it.
	HTTP func(*Conn) HTTPHandler
	// Hole makes the mount count as no match: it punches a hole into a
	// larger one.
	Hole bool
	// Header is added to every response from this mount.
	Header Header
	// ReuseRequests says that the mount's handlers forget a *Request, and its
	// writer, when its response has ended: the same value then serves later
	// requests. Without it each request has a value of its own, which stays
	// over, and costs an allocation.
	ReuseRequests bool
}

// Callback returns a Mount that hands requests for path to the HTTP handler of
// the named protocol.
func Callback(path, protocol string) Mount { return Mount{Path: path, Protocol: protocol} }

// Field is one header field. Names are lower-case.
type Field struct{ Name, Value string }

// Header is a list of header fields in order.
type Header []Field

// Get returns the first value of a field, "" if there is none.
func (h Header) Get(name string) string {
	for i := range h {
		if h[i].Name == name {
			return h[i].Value
		}
	}
	return ""
}

func (h Header) has(name string) bool {
	for i := range h {
		if h[i].Name == name {
			return true
		}
	}
	return false
}
