package core

import (
	"sync"

	"anyloop/core/tlsio"
)

// lazyTLS is read when it is first needed.
type lazyTLS struct {
	mu   sync.Mutex
	read *dialTLS
}

func (z *lazyTLS) get(t *ClientTLS) (*dialTLS, error) {
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.read == nil {
		d, err := t.prepare()
		if err != nil {
			return nil, err
		}
		z.read = d
	}
	return z.read, nil
}

// prepareTLS reads the options for URLs that want TLS, if this is one.
func (r *clientRole) prepareTLS(vh *VirtualHost) (err error) {
	switch {
	case r.tls != nil || !overTLS(r.url):
		return nil
	case r.d.TLS != nil:
		r.tls, err = r.d.TLS.prepare()
	default:
		r.tls, err = vh.client.get(vh.cfg.ClientTLS)
	}
	return err
}

// arrived: the server is at the other end of the link. What it has said already
// is early.
func (r *clientRole) arrived(l *link, early []byte) {
	if !overTLS(r.url) {
		r.ask(l)
		return
	}
	r.state = clShaking
	if err := r.prepareTLS(l.own().vh()); err != nil { // a redirect has brought us to TLS
		r.fail(l, err)
		return
	}
	l.arm(phaseAnswer, l.own().limits().AnswerTimeout)
	cfg := r.tls.forHost(r.url.Hostname())
	s := tlsio.Client(cfg, tlsio.Options{Coroutine: l.th.steady, Lend: r.tls.opt.LendBuffers, Owner: l})
	l.beginTLS(s, r.tls.opt.Info, early)
	l.tls().due = true // it speaks first
	l.unseal()
}

// behindProxy goes on with what follows the proxy's consent, of which n bytes of
// p were read.
func (r *clientRole) behindProxy(l *link, p []byte, n int) (used int, more bool) {
	if overTLS(r.url) {
		r.arrived(l, p[n:])
		return len(p), false
	}
	r.ask(l)
	return n, len(p) > n
}

// secure: TLS is there; the opening handshake follows.
func (r *clientRole) secure(l *link) { r.ask(l) }
