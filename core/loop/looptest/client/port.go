package client

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
)

// Systems give out ports from 32768 or 49152 on (FreeBSD: from 10000).
const (
	portsFrom = 20_000
	portsTo   = 32_000
)

// FreePort returns "127.0.0.1:port" where nobody listens, for who must name a port
// beforehand: another program, a second vhost on the same one, or a server that is to
// come back. It is none of those that a system gives to whoever asks for any, so
// that nobody is given it meanwhile.
func FreePort() (addr string, err error) {
	for range 100 {
		var l net.Listener
		if l, err = net.Listen("tcp", fmt.Sprint("127.0.0.1:", portsFrom+rand.IntN(portsTo-portsFrom))); err == nil {
			addr = l.Addr().String()
			return addr, l.Close()
		}
	}
	return "", errors.Join(errors.New("client: no port is free"), err)
}
