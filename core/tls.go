package core

import (
	"crypto/tls"
	"crypto/x509"
	"time"
)

// TLS makes a vhost speak TLS 1.2 and 1.3 (RFC 5246, RFC 8446). All vhosts of one
// address do, or none. The certificate comes from exactly one of CertFile, Cert,
// Config and Load.
type TLS struct {
	// CertFile and KeyFile are PEM files: the certificate with its chain, and
	// the private key, unencrypted. Without KeyFile, the key is in CertFile too.
	// They are read again by VirtualHost.ReloadTLS.
	CertFile, KeyFile string
	// Cert and Key are the same as bytes, PEM or DER (a DER Cert may be
	// several certificates on end).
	Cert, Key []byte
	// Config is used as a base; it is cloned, and the options below are put on
	// top. Its GetConfigForClient is asked for each handshake, and the options
	// are put on what that returns. Its WrapSession, UnwrapSession and the keys
	// of SetSessionTicketKeys stay. Left out are "h2" in NextProtos,
	// renegotiation, NameToCertificate and Encrypted Client Hello.
	Config *tls.Config
	// Load is called when the vhost is made, and by ReloadTLS: it returns what
	// Config would be. An error fails the vhost, or the reload.
	Load func(vh *VirtualHost) (*tls.Config, error)
	// IgnoreMissing makes a vhost whose CertFile or KeyFile does not exist yet:
	// until ReloadTLS finds them, handshakes for it fail with the alert
	// "unrecognized_name".
	IgnoreMissing bool

	// MinVersion and MaxVersion are tls.VersionTLS12 or VersionTLS13; 0 leaves
	// it to Config, or to the standard library.
	MinVersion, MaxVersion uint16
	// Ciphers are the cipher suites of TLS 1.2, by their RFC names or OpenSSL's
	// ("ECDHE-RSA-AES128-GCM-SHA256"); nil is the standard library's choice,
	// "ALL" all it has that are not known to be weak. Those of TLS 1.3 cannot
	// be chosen. An unknown name fails the vhost. The order has no meaning.
	Ciphers []string
	// Curves are the key exchanges: "X25519", "P-256" or "prime256v1", "P-384"
	// or "secp384r1", "P-521" or "secp521r1", "X25519MLKEM768",
	// "SecP256r1MLKEM768", "SecP384r1MLKEM1024". nil is the
	// standard library's choice. An unknown name fails the vhost.
	Curves []string
	// ALPN are the application protocols to choose from (RFC 7301); nil is
	// Config's, or else "http/1.1"; empty is none. "h2" fails the vhost as long as
	// HTTP/2 is not built in.
	ALPN []string

	// ClientAuth asks for a client's certificate: tls.NoClientCert, ...,
	// tls.RequireAndVerifyClientCert. Resumed sessions are checked again.
	ClientAuth tls.ClientAuthType
	// ClientCAs and ClientCAFile (PEM) are the authorities to check it against:
	// both, if both are given; Config's, if none is. The file is read again by ReloadTLS.
	ClientCAs    *x509.CertPool
	ClientCAFile string
	// VerifyClient, if set, has the last word about a connection, resumed ones
	// included, after the checks of ClientAuth; an error refuses the handshake with the
	// alert "bad_certificate". c has no handler yet. Loop thread only.
	VerifyClient func(c *Conn, state *tls.ConnectionState) error

	// NoResumption turns session tickets off.
	NoResumption bool
	// TicketKeys encrypt session tickets: the first new ones, all of them old
	// ones. nil leaves them to Config, or else makes keys that change daily and
	// survive ReloadTLS. A ticket of one vhost never opens a session on another,
	// unless both are given the same keys.
	TicketKeys [][32]byte
	// OffLoop says which private keys sign on the engine's workers, while the
	// loop goes on.
	OffLoop OffLoop
	// LendBuffers lets crypto/tls decrypt in the thread's receive buffer, so
	// that an idle connection keeps none of its own. It reaches into
	// unexported fields of crypto/tls, whose names and types are checked at
	// start; if they have changed, it has no effect. Default: off.
	LendBuffers bool

	// HSTS adds strict-transport-security with this max-age, in whole seconds,
	// to every response over TLS (RFC 6797); 0: none.
	HSTS time.Duration
	// Plain is what becomes of a client that speaks HTTP without TLS on this
	// address. That of the first vhost of the address holds.
	Plain PlainPolicy
	// Info, if set, is told of the life of each TLS connection; an error
	// closes it. TLSStart is told to the first vhost of the address, what
	// follows to the one that the client's server name picks. Loop thread only, and not for longer than a callback may.
	Info func(c *Conn, ev TLSEvent) error
}

// OffLoop says which private keys are used on the engine's workers.
type OffLoop uint8

const (
	// OffLoopSlow: RSA keys, and those that the standard library did not make,
	// such as a security module's.
	OffLoopSlow OffLoop = iota
	// OffLoopAll: all keys.
	OffLoopAll
	// OffLoopNone: none; every signature holds up the loop.
	OffLoopNone
)

// PlainPolicy is what becomes of HTTP without TLS on a port that speaks TLS.
type PlainPolicy uint8

const (
	// PlainRefuse answers requests with status 400, and closes.
	PlainRefuse PlainPolicy = iota
	// PlainRedirect answers requests with 301 to the same host and path by
	// https, and closes.
	PlainRedirect
	// PlainServe serves it like a port without TLS.
	PlainServe
	// PlainClose closes without a word.
	PlainClose
	// PlainRaw gives whatever is not TLS, HTTP too, to the protocol that
	// VHost.RawFallback or RawOnly names.
	PlainRaw
)

// TLSEvent is something that happened on a TLS connection.
type TLSEvent struct {
	Kind TLSEventKind
	// Alert is the code of an alert (RFC 8446 6).
	Alert uint8
	// Err is what crypto/tls says about it, if anything.
	Err error
}

// TLSEventKind says what happened.
type TLSEventKind uint8

const (
	// TLSStart: a handshake begins.
	TLSStart TLSEventKind = iota
	// TLSDone: it is complete; Conn.TLS has the details.
	TLSDone
	// TLSAlertSent: we sent an alert that ends the connection; of
	// close_notify nothing is said.
	TLSAlertSent
	// TLSAlertReceived: the peer did.
	TLSAlertReceived
)

// ClientTLS is how Dial checks a server, and what it shows of us. The zero value
// checks against the system's authorities. A vhost's is read once, by New or
// AddVHost, which return what is wrong with it, and keeps sessions of 64 servers for later handshakes. Dial.TLS is
// read anew by each Dial, files included (hundreds of authorities hold up the loop
// for tens of milliseconds), and its sessions end with it, unless Config has a
// ClientSessionCache.
type ClientTLS struct {
	// Config is used as a base; it is cloned. ServerName, if empty, is the
	// URL's host.
	Config *tls.Config
	// RootCAFile (PEM) holds the authorities to check servers against, instead
	// of Config's or the system's.
	RootCAFile string
	// CertFile and KeyFile (PEM) are our own certificate, if the server asks,
	// instead of Config's; as in TLS.
	CertFile, KeyFile string
	// MinVersion, MaxVersion, Ciphers and Curves are as in TLS.
	MinVersion, MaxVersion uint16
	Ciphers, Curves        []string
	// ALPN are the application protocols to offer, as in TLS.
	ALPN []string

	// Each of the following relaxes exactly one check, for resumed sessions too.
	// Config's own VerifyPeerCertificate and VerifyConnection are still asked;
	// Config.InsecureSkipVerify is like Insecure.

	// AllowSelfSigned trusts a chain that ends in a certificate which was sent
	// and has signed itself.
	AllowSelfSigned bool
	// SkipHostname does not compare the name.
	SkipHostname bool
	// AllowExpired does not look at the dates.
	AllowExpired bool
	// Insecure checks nothing at all.
	Insecure bool

	// NoResumption keeps no sessions for later handshakes.
	NoResumption bool
	// OffLoop and LendBuffers are as in TLS; OffLoop is about our own key.
	OffLoop     OffLoop
	LendBuffers bool
	// Info is as in TLS.
	Info func(c *Conn, ev TLSEvent) error
}
