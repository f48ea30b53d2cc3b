package e2e

import (
	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// tlsPlain: what becomes of clients that speak HTTP without TLS, by policy; those
// that speak TLS are served in any case.
func tlsPlain(s *scene) error {
	for _, k := range []struct {
		policy   core.PlainPolicy
		status   int // of the answer to a request; 0: none comes
		location string
	}{
		{core.PlainRefuse, 400, ""},
		{core.PlainRedirect, 301, "https://test/a?b"},
		{core.PlainServe, 200, ""},
		{core.PlainClose, 0, ""},
	} {
		err := s.afresh(func(s *scene) error {
			vh := echoing()
			vh.Protocols[0].HTTP = naming("plain").Protocols[0].HTTP
			vh.TLS = &core.TLS{Config: ours().server(), Plain: k.policy}
			if err := s.up(vh, core.Limits{}); err != nil {
				return err
			}
			for range 2 * s.threads {
				s.must(s.ws().Echo(ws.Text, []byte("over TLS")))
				c := s.bare()
				r, err := c.Ask("GET", "/a?b", "")
				switch {
				case k.status == 0 && err == nil:
					s.t.Errorf("policy %d: status %d", k.policy, r.StatusCode)
				case k.status == 0:
				case err != nil:
					s.t.Errorf("policy %d: %v", k.policy, err)
				case r.StatusCode != k.status || r.Header.Get("Location") != k.location:
					s.t.Errorf("policy %d: status %d, location %q", k.policy, r.StatusCode, r.Header.Get("Location"))
				}
				if k.policy == core.PlainServe {
					c = s.bare()
					s.must(c.Upgrade(""))
					s.must(c.Echo(ws.Text, []byte("as it is")))
				} else if rest, err := gone(c); rest != "" || err != nil {
					s.t.Errorf("policy %d: %q, %v", k.policy, rest, err)
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// bare connects a client without TLS.
func (s *scene) bare() *client.Conn {
	s.t.Helper()
	c, err := client.Dial(s.addr, s.host.Bound)
	s.must(err)
	s.owns(c)
	return c
}
