package h1

import (
	"encoding/base64"
	"errors"
	"net/netip"
	"strconv"
	"strings"

	"anyloop/core/header"
)

// The errors of the functions that write requests. What they refuse could be read
// as another request than the one that was meant.
var (
	ErrBadMethod      = errors.New("h1: the method is not a token")
	ErrBadTarget      = errors.New("h1: the request target has another form, or a byte that must be percent-encoded")
	ErrBadHost        = errors.New("h1: malformed host")
	ErrBadCredentials = errors.New("h1: a control byte in the credentials, or a colon in the user name")
)

// AppendRequestLine appends "method target HTTP/1.1" and the line's end. The
// target is a path with its query, "*" for OPTIONS, host and port for CONNECT, or
// "http://host/path" (RFC 9112 3.2), as it goes over the wire: percent-encoded,
// without a fragment. After ErrBadMethod or ErrBadTarget dst is as it was.
func AppendRequestLine(dst []byte, method, target string) ([]byte, error) {
	switch {
	case !header.IsToken(method) || len(method) > maxMethod:
		return dst, ErrBadMethod
	case !validTarget(method, target):
		return dst, ErrBadTarget
	}
	dst = append(append(dst, method...), ' ')
	dst = append(dst, target...)
	return append(dst, " HTTP/1.1\r\n"...), nil
}

func validTarget(method, target string) bool {
	for i := 0; i < len(target); i++ {
		if c := target[i]; c <= ' ' || c >= 0x7f || c == '#' {
			return false
		}
	}
	switch {
	case method == "CONNECT":
		return validHostPort(target)
	case target == "*":
		return method == "OPTIONS"
	case strings.HasPrefix(target, "/"):
		return true
	}
	_, host, _, ok := cutAbsolute([]byte(target))
	return ok && len(host) > 0 && validHost(host)
}

// validHostPort: the authority-form, whose port is a must (RFC 9112 3.2.3).
func validHostPort(s string) bool {
	i := strings.LastIndexByte(s, ':')
	if i <= 0 || !validHost([]byte(s)) {
		return false
	}
	port, err := strconv.ParseUint(s[i+1:], 10, 16)
	return err == nil && port > 0
}

// AppendHost appends the Host field. host is a name or an address, with or
// without a port, as AppendAuthority makes it. After ErrBadHost dst is as it was.
func AppendHost(dst []byte, host string) ([]byte, error) {
	if host == "" || !validHost([]byte(host)) {
		return dst, ErrBadHost
	}
	dst = append(append(dst, "host: "...), host...)
	return append(dst, '\r', '\n'), nil
}

// AppendAuthority appends host and port as they stand in Host, or as the target of
// CONNECT: an IPv6 address in brackets and without its zone, which means nothing
// to others (RFC 6874); the port unless it is omit, the scheme's own (0: the port
// is always written). host may be in brackets already. After ErrBadHost dst is as
// it was.
func AppendAuthority(dst []byte, host string, port, omit uint16) ([]byte, error) {
	if strings.HasPrefix(host, "[") && strings.HasSuffix(host, "]") {
		host = host[1 : len(host)-1]
		if !strings.Contains(host, ":") {
			return dst, ErrBadHost
		}
	}
	if strings.Contains(host, ":") {
		addr, err := netip.ParseAddr(host)
		if err != nil {
			return dst, ErrBadHost
		}
		dst = append(addr.WithZone("").AppendTo(append(dst, '[')), ']')
	} else {
		if host == "" || !validHost([]byte(host)) {
			return dst, ErrBadHost
		}
		dst = append(dst, host...)
	}
	if port != omit || omit == 0 {
		dst = strconv.AppendUint(append(dst, ':'), uint64(port), 10)
	}
	return dst, nil
}

// AppendBasic appends the value of an Authorization or Proxy-Authorization field:
// "Basic" and the credentials (RFC 7617). After ErrBadCredentials dst is as it
// was.
func AppendBasic(dst []byte, user, pass string) ([]byte, error) {
	both := user + ":" + pass
	if strings.IndexByte(user, ':') >= 0 {
		return dst, ErrBadCredentials
	}
	for i := 0; i < len(both); i++ {
		if both[i] < ' ' || both[i] == 0x7f {
			return dst, ErrBadCredentials
		}
	}
	return base64.StdEncoding.AppendEncode(append(dst, "Basic "...), []byte(both)), nil
}

// AppendConnect appends a whole CONNECT request (RFC 9110 9.3.6) for a proxy.
// hostport is where the tunnel leads, see AppendAuthority; without user and pass
// there is no Proxy-Authorization. Parse the answer with a ResponseParser whose
// Method is CONNECT: behind a 2xx the tunnel begins. After an error dst is as it
// was.
func AppendConnect(dst []byte, hostport, user, pass string) ([]byte, error) {
	out, err := AppendRequestLine(dst, "CONNECT", hostport)
	if err != nil {
		return dst, err
	}
	if out, err = AppendHost(out, hostport); err != nil {
		return dst, err
	}
	if user != "" || pass != "" {
		out, err = AppendBasic(append(out, "proxy-authorization: "...), user, pass)
		if err != nil {
			return dst, err
		}
		out = append(out, '\r', '\n')
	}
	return append(out, '\r', '\n'), nil
}
