package core

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"

	"anyloop/core/deflate"
	"anyloop/core/h1"
	"anyloop/core/socks"
	"anyloop/core/tlsio"
	"anyloop/core/ws"
)

// This file has the texts of a ConnectError: one prefix, the stage, the address, who is to
// blame for what, and the name of an option of ours where that may be what is wrong.

// told is an error with a text for users, in the place of what cause says.
type told struct {
	text  string
	cause error
}

func (t *told) Error() string { return t.text }
func (t *told) Unwrap() error { return t.cause }

// tooLate says what has not happened within a time limit.
func tooLate(stage string, e *LimitError) string {
	what := "no answer"
	switch stage {
	case "connect":
		what = "no connection"
	case "proxy":
		what = "no consent of the proxy"
	case "tls":
		what = "the TLS handshake was not complete"
	}
	return fmt.Sprintf("%s within %v (Limits.%s)", what, e.After, e.Limit)
}

// dest is the URL's host and port.
func (r *clientRole) dest() string {
	port, _ := portOf(r.url, defaultPort(r.url))
	return net.JoinHostPort(r.url.Hostname(), strconv.Itoa(int(port)))
}

// via is who the link is talking to: the proxy before its consent, else the server.
func (r *clientRole) via() string {
	if r.state == clSocks || r.state == clTunnel {
		return "the proxy " + r.proxy.Host
	}
	return "the server"
}

// failure makes a ConnectError of err. status is that of an answer that was none of 101,
// or 0.
func (r *clientRole) failure(status int, err error) *ConnectError {
	stage := stages[r.state]
	if status/100 == 3 {
		stage = "redirect"
	}
	return &ConnectError{Stage: stage, Addr: r.dest(), Status: status, Err: r.explain(err)}
}

// explain puts errors of protocols into words that say who and what, as far as their own do
// not. It looks at err itself and not into it: what a user returned keeps its text.
func (r *clientRole) explain(err error) error {
	text := ""
	switch e := err.(type) {
	case *dialError:
		text = e.tried(r.dest())
		if r.proxy != nil {
			text = "the proxy cannot be reached: " + text
		}
	case *TransportError:
		text = r.broken(e)
	case *h1.Error:
		text = fmt.Sprintf("%s's answer: %s (%s)%s", r.via(), e.Text, e.Section, limitOf[e])
		if e == h1.ErrNotResponse {
			text = r.via() + " does not speak HTTP"
		}
	case *ws.HandshakeError:
		text = fmt.Sprintf("the server's answer is no WebSocket's: %s (RFC 6455 %s)%s", e.Text, e.Section, offerHints[e])
	case *socks.ReplyError:
		text = fmt.Sprintf("%s refused: %s", r.via(), bare(e.Error()))
	default:
		return r.explainPlain(err)
	}
	return &told{text, err}
}

// declined says that the answer has a status that ends it.
func (r *clientRole) declined(status int, reason string) error {
	hint := statusHints[status]
	if r.state == clTunnel {
		hint = ""
		if status == 407 {
			hint = setProxyUser
		}
	}
	return errors.New(strings.TrimSuffix(fmt.Sprintf("%s answered %d %.64s", r.via(), status, reason), " ") + hint)
}

// unconnected says how far it has come when the time was over.
func (r *clientRole) unconnected(late *LimitError) error {
	if r.cancel == nil {
		return late
	}
	failed, ok := r.cancel().(*dialError)
	if !ok {
		return late
	}
	text := ""
	if so := failed.tried(r.dest()); so == errNoAnswerYet.Error() {
		text = tooLate("", late)
	} else {
		text = tooLate("connect", late) + "; until then: " + so
	}
	return &told{text, fmt.Errorf("%w; until then: %w", late, failed)}
}

// explainPlain is explain for errors that are no type of their own.
func (r *clientRole) explainPlain(err error) error {
	switch {
	case errors.Is(err, deflate.ErrAnswer):
		return &told{bare(err.Error()) + "; Dial.NoDeflate goes without compression", err}
	case err == socks.ErrVersion:
		return &told{r.via() + " does not speak SOCKS5", err}
	case err == socks.ErrMethod:
		return &told{r.via() + " wants an authentication that was not offered" + setProxyUser, err}
	case err == socks.ErrAuth:
		return &told{r.via() + " refused user name and password" + setProxyUser, err}
	case err == socks.ErrReply:
		return &told{r.via() + "'s reply is malformed (RFC 1928)", err}
	}
	return err
}

// looksLikeTLS reports whether p may begin with a record of a handshake or an alert (RFC
// 8446 5.1).
func looksLikeTLS(p []byte) bool {
	return len(p) > 1 && (p[0] == 0x15 || p[0] == 0x16) && p[1] == 3
}

const setProxyUser = "; Dial.Proxy takes user:password@host:port"

// limitOf names the limits that an answer can exceed.
var limitOf = map[*h1.Error]string{
	h1.ErrHeaderSize:    "; see Limits.HeaderBytes and HeaderFields",
	h1.ErrStatusTooLong: "; see Limits.RequestLine",
	h1.ErrBodySize:      "; see Limits.MaxBody",
}

// offerHints name what has offered what the server may choose.
var offerHints = map[*ws.HandshakeError]string{
	ws.ErrProtocol:  "; see Dial.Subprotocols",
	ws.ErrExtension: "; see Dial.Deflate",
}

// tried tells of each address once; alone is one that is known already.
func (e *dialError) tried(alone string) string {
	return e.list(func(err error) string {
		a, ok := err.(*attemptError)
		switch {
		case !ok:
			return bare(err.Error())
		case len(e.errs) == 1 && a.dest == alone:
			return a.err.Error()
		}
		return a.dest + ": " + a.err.Error()
	})
}

// broken is for what a wire has said.
func (r *clientRole) broken(e *TransportError) string {
	switch {
	case e.Op != "tls" && r.state <= clTunnel:
		return r.via() + ": " + bare(e.Error())
	case e.Op != "tls":
		return bare(e.Error())
	}
	var cert *tls.CertificateVerificationError
	var alert *tlsio.Alert
	var record tls.RecordHeaderError
	switch {
	case errors.As(e.Err, &cert):
		return certText(cert.Err)
	case errors.As(e.Err, &alert) && !alert.Sent:
		name := strings.TrimPrefix(tls.AlertError(alert.Code).Error(), "tls: ")
		return fmt.Sprintf("the server refused with alert %d (%s)%s", alert.Code, name, alertHints[alert.Code])
	case errors.As(e.Err, &record):
		return "the server does not speak TLS: " + record.Msg + "; ws and http are the schemes without"
	}
	return bare(e.Err.Error())
}

// certText says what is wrong with the server's certificate.
func certText(err error) string {
	text := bare(err.Error())
	if errors.As(err, new(x509.UnknownAuthorityError)) {
		return "the server's certificate is " + strings.TrimPrefix(text, "certificate ") + "; ClientTLS.RootCAFile can name it"
	}
	if rest, ok := strings.CutPrefix(text, "certificate "); ok {
		return "the server's certificate " + rest
	}
	return "the server's certificate: " + text
}

// alertHints name what may be wrong on our side (RFC 8446 6.2).
var alertHints = map[uint8]string{
	40:  "; it may want ClientTLS.CertFile, or other Ciphers or Curves",
	42:  "; see ClientTLS.CertFile",
	43:  "; see ClientTLS.CertFile",
	44:  "; see ClientTLS.CertFile",
	45:  "; see ClientTLS.CertFile",
	46:  "; see ClientTLS.CertFile",
	48:  "; see ClientTLS.CertFile",
	70:  "; see ClientTLS.MinVersion and MaxVersion",
	112: "; it has nothing by the name of the URL",
	116: "; it wants a certificate: ClientTLS.CertFile",
	120: "; see ClientTLS.ALPN",
}

// statusHints name what may be wrong on our side.
var statusHints = map[int]string{
	401: "; Dial.URL takes user:password@host, and Dial.Header an authorization field",
	403: "; see Dial.Origin",
	404: "; see the path of Dial.URL",
}
