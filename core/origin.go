package core

import (
	"errors"
	"fmt"
	"net/netip"
	"strconv"
	"strings"

	"anyloop/core/header"
)

// OriginPolicy decides whether a WebSocket may be opened from a page of this
// origin, for example "https://example.org": a browser lets any page open one to
// any server, with the user's cookies (RFC 6455 10.2). It is asked about requests
// that have an Origin field; "null" is what a page without an origin of its own
// sends, such as a file. What it refuses is answered with 403. Loop thread only.
type OriginPolicy func(r *Request, origin string) bool

// SameOrigin lets in pages that came from the host and port that the request's
// Host field names. The scheme is not compared, as TLS may end in front of us; it
// only says which port is meant where none is written. What is no origin of the
// web, "null" among it, is refused. A page whose own name leads here passes,
// whatever the name: who needs protection from that uses VHost.Origins.
func SameOrigin(r *Request, origin string) bool {
	o, ok := parseOrigin(origin)
	if !ok || o.defaultPort() == 0 {
		return false
	}
	host, port, ok := splitAuthority(r.Host(), true)
	if port == 0 {
		port = o.defaultPort()
	}
	return ok && o.host == host && o.port == port
}

// AnyOrigin lets all pages in. It is right where a WebSocket gives a foreign page
// nothing that its author could not fetch himself: no session, no inner network.
func AnyOrigin(*Request, string) bool { return true }

// Origins returns the policy of VHost.Origins, for a policy of one's own that asks
// it, too. It lets in pages of the listed origins: "https://example.org",
// "http://localhost:8080", and "https://*.example.org" for all names below
// example.org, itself not included. Scheme, host and port are compared; where no
// port is written it is the scheme's own. What no page can have as its origin is an
// error that names the entry; an empty list lets nobody in. The policy can be used
// by several vhosts. Any goroutine.
func Origins(list ...string) (OriginPolicy, error) {
	all := make([]originEntry, len(list))
	for i, s := range list {
		var err error
		if all[i], err = parseOriginEntry(s); err != nil {
			return nil, fmt.Errorf("core: Origins: %w", err)
		}
	}
	return func(_ *Request, s string) bool {
		o, ok := parseOrigin(s)
		if !ok {
			return false
		}
		for i := range all {
			if all[i].has(&o) {
				return true
			}
		}
		return false
	}, nil
}

// originEntry is one of the origins that are listed.
type originEntry struct {
	origin
	below string // ".example.org": the names below it instead
}

func (e *originEntry) has(o *origin) bool {
	switch {
	case o.scheme != e.scheme || o.port != e.port:
		return false
	case e.below != "":
		return strings.HasSuffix(o.host, e.below)
	}
	return o.host == e.host
}

func parseOriginEntry(s string) (e originEntry, err error) {
	scheme, rest, _ := strings.Cut(s, "://")
	name, wild := strings.CutPrefix(rest, "*.")
	var ok bool
	if e.origin, ok = parseOrigin(scheme + "://" + name); ok && wild {
		e.below = "." + e.host
		_, notName := netip.ParseAddr(strings.Trim(e.host, "[]"))
		ok = notName != nil
	}
	switch {
	case s == "*":
		return e, errors.New(`"*" is none; AnyOrigin lets all pages in`)
	case !ok:
		return e, fmt.Errorf("%q is none; one is written scheme://host or scheme://host:port, with \"*.\" before the host for all names below it", s)
	case e.scheme == "ws" || e.scheme == "wss":
		return e, fmt.Errorf("%q is no page's; pages come by http or https", s)
	}
	return e, nil
}

// addOrigins makes the policy of the origins that are listed.
func (vh *VirtualHost) addOrigins() error {
	switch {
	case len(vh.cfg.Origins) == 0:
		return nil
	case vh.cfg.Origin != nil:
		return errors.New("VHost.Origin and Origins exclude each other; a policy can ask what Origins() returns")
	}
	p, err := Origins(vh.cfg.Origins...)
	if err != nil {
		return plain{err}
	}
	vh.cfg.Origin = p
	return nil
}

// origin is scheme, host and port (RFC 6454 4), in the form in which equal ones
// are equal.
type origin struct {
	scheme, host string
	port         int // 0: none written, and the scheme has none
}

func (o *origin) defaultPort() int {
	switch o.scheme {
	case "http", "ws":
		return 80
	case "https", "wss":
		return 443
	}
	return 0
}

// parseOrigin reads scheme "://" host [ ":" port ] (RFC 6454 6.2): no path, no
// user, no list.
func parseOrigin(s string) (o origin, ok bool) {
	scheme, rest, found := strings.Cut(s, "://")
	if !found || !validScheme(scheme) {
		return o, false
	}
	o.scheme = strings.ToLower(scheme)
	if o.host, o.port, ok = splitAuthority(rest, false); !ok {
		return o, false
	}
	if o.port == 0 {
		o.port = o.defaultPort()
	}
	return o, true
}

// validScheme: RFC 3986 3.1.
func validScheme(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i] | 0x20
		if letter := 'a' <= c && c <= 'z'; !letter && (i == 0 || (s[i] < '0' || s[i] > '9') && strings.IndexByte("+-.", s[i]) < 0) {
			return false
		}
	}
	return s != ""
}

// splitAuthority takes host and port apart. Letters come out lower-case, a name
// without its final dot, an IPv6 address in its one canonical form in brackets. port
// is 0 if there is none; emptyPort allows a colon with nothing behind it.
func splitAuthority(s string, emptyPort bool) (host string, port int, ok bool) {
	var end int
	if inside, ok := strings.CutPrefix(s, "["); ok {
		inside, _, ok = strings.Cut(inside, "]")
		addr, err := netip.ParseAddr(inside)
		if !ok || err != nil || !addr.Is6() || addr.Zone() != "" {
			return "", 0, false
		}
		host, end = "["+addr.String()+"]", len(inside)+2
	} else {
		if end = strings.IndexByte(s, ':'); end < 0 {
			end = len(s)
		}
		host = strings.ToLower(strings.TrimSuffix(s[:end], "."))
		if !validOriginHost(host) {
			return "", 0, false
		}
	}
	rest := s[end:]
	switch {
	case rest == "":
		return host, 0, true
	case rest == ":":
		return host, 0, emptyPort
	case rest[0] != ':' || len(rest) > len(":65535"):
		return "", 0, false
	}
	n, err := strconv.ParseUint(rest[1:], 10, 16)
	return host, int(n), err == nil && n > 0
}

// validOriginHost is narrower than a URI's host: browsers send names in ASCII and
// percent-encode nothing in them.
func validOriginHost(s string) bool {
	for i := 0; i < len(s); i++ {
		c := s[i]
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("-._~", c) < 0 {
			return false
		}
	}
	return s != "" && s[0] != '.'
}

// checkOrigin asks the vhost's policy; status is 0 if the page may open it.
func (r *h1Role) checkOrigin(l *link) (status int, text string) {
	t := r.req.table
	from := t.First(header.Origin)
	if from == nil {
		return 0, "" // no browser: it could say what it likes
	}
	if t.Twice(header.Origin) {
		return 400, "two origin fields"
	}
	c := l.own()
	policy := c.vh().cfg.Origin
	if policy == nil {
		policy = SameOrigin
	} else {
		r.req.shown = true
	}
	c.calling("Origin")
	allowed := policy(r.req, string(from))
	c.called()
	if !allowed {
		return 403, "origin not allowed"
	}
	return 0, ""
}
