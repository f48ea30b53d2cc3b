package e2e

// tlsCases are about TLS itself: they are always over it.
var tlsCases = []kase{
	{"tls-sni", "two vhosts and certificates on one port, picked by name", tlsNames, nil},
	{"tls-plain", "HTTP without TLS on its port: refused, redirected, served, closed", tlsPlain, nil},
	{"tls-reload", "a new certificate for those who come later; the others stay", tlsReload, nil},
	{"tls-close", "close_notify ends a stream; a FIN that it has not announced is told", tlsClose, nil},
	{"tls-dial", "wss by name: certificates that hold, and every failure", tlsDial, nil},
	{"tls-idle", "1,000 idle connections have no goroutine", tlsIdle, nil},
	{"tls-suspended", "stopped and moved with 200 handshakes on their way, from anywhere", tlsSuspended, nil},
}
