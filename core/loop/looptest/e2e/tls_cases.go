package e2e

// tlsCases are about TLS itself: they are always over it.
var tlsCases = []kase{
	{"tls-close", "close_notify ends a stream; a FIN that it has not announced is told", tlsClose, nil},
}
