package e2e

// tlsCases are about TLS itself: they are always over it.
var tlsCases = []kase{
	{"tls-close", "close_notify ends a stream; a FIN that it has not announced is told", tlsClose, nil},
	{"tls-idle", "1,000 idle connections have no goroutine", tlsIdle, nil},
	{"tls-suspended", "stopped and moved with 200 handshakes on their way, from anywhere", tlsSuspended, nil},
}
