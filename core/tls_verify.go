package core

import (
	"bytes"
	"crypto/x509"
	"errors"
	"time"
)

// maxTried bounds how many of the certificates that a server sent we give a
// special look. Chains have three or four; a server may send hundreds, and each
// look costs signature checks on the loop thread.
const maxTried = 4

// serverCheck is crypto/tls's check of a server's certificate with parts of it
// left out.
type serverCheck struct {
	roots      *x509.CertPool   // nil: the system's
	name       string           // "": any
	now        func() time.Time // nil: the system's
	selfSigned bool             // a self-signed certificate that was sent is a root
	anyTime    bool             // dates have no meaning
}

// chains checks what was sent and returns the chains to roots.
func (k *serverCheck) chains(sent []*x509.Certificate) ([][]*x509.Certificate, error) {
	if len(sent) == 0 {
		return nil, errors.New("core: the server sent no certificate")
	}
	certs, times := sent, []time.Time{{}} // zero is now
	if k.now != nil {
		times[0] = k.now()
	}
	if k.anyTime {
		certs = undated(sent)
		// The dates of roots cannot be taken off. A root was valid when the
		// certificate below it began.
		for _, c := range sent[:min(len(sent), maxTried)] {
			times = append(times, c.NotBefore)
		}
	}
	opts := x509.VerifyOptions{DNSName: k.name, Intermediates: x509.NewCertPool()}
	for _, c := range certs[1:] {
		opts.Intermediates.AddCert(c)
	}
	pools := []*x509.CertPool{k.roots}
	if own := selfSigned(certs); k.selfSigned && own != nil {
		pools = append(pools, own)
	}
	var err error
	for _, opts.Roots = range pools {
		for _, opts.CurrentTime = range times {
			var chains [][]*x509.Certificate
			if chains, err = certs[0].Verify(opts); err == nil {
				return asSent(chains, certs, sent), nil
			}
		}
	}
	return nil, err
}

// selfSigned returns a pool of those certificates that have signed themselves; nil
// if there are none.
func selfSigned(certs []*x509.Certificate) (pool *x509.CertPool) {
	for i, c := range certs {
		// The last one is a root's place, however many there are.
		if i >= maxTried && i != len(certs)-1 || !bytes.Equal(c.RawSubject, c.RawIssuer) {
			continue
		}
		// Not CheckSignatureFrom: a server's own certificate need not be an
		// authority's.
		if c.CheckSignature(c.SignatureAlgorithm, c.RawTBSCertificate, c.Signature) != nil {
			continue
		}
		if pool == nil {
			pool = x509.NewCertPool()
		}
		pool.AddCert(c)
	}
	return pool
}

// undated returns copies of certs that are always valid.
func undated(certs []*x509.Certificate) []*x509.Certificate {
	out := make([]*x509.Certificate, len(certs))
	for i, c := range certs {
		d := *c
		d.NotBefore, d.NotAfter = time.Unix(0, 0), time.Unix(1<<40, 0)
		out[i] = &d
	}
	return out
}

// asSent puts the certificates themselves in the place of their copies.
func asSent(chains [][]*x509.Certificate, copies, sent []*x509.Certificate) [][]*x509.Certificate {
	for _, chain := range chains {
		for i, c := range chain {
			for j := range copies {
				if c == copies[j] {
					chain[i] = sent[j]
				}
			}
		}
	}
	return chains
}
