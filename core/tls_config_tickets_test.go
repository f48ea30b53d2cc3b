package core

import (
	"crypto/tls"
	"sync"
	"testing"
	"time"
)

var bothVersions = []uint16{tls.VersionTLS12, tls.VersionTLS13}

// resumes meets a client with v and reports whether a session was resumed.
func resumes(t *testing.T, v *vhostTLS, c *tls.Config) bool {
	t.Helper()
	srv, cli := v.with(c)
	talks(t, srv, cli)
	if srv.state.DidResume != cli.state.DidResume {
		t.Errorf("resumed: server %v, client %v", srv.state.DidResume, cli.state.DidResume)
	}
	return cli.state.DidResume
}

// TestTickets: a session is resumed where it was made, also after a reload with another
// certificate, and nowhere else.
func TestTickets(t *testing.T) {
	ca := newTestCA(t)
	fresh := func() *tls.Config {
		cert, _, _ := ca.leaf(t, "a.test")
		return &tls.Config{Certificates: []tls.Certificate{cert}}
	}
	used := fresh()
	meet(used, trusting(ca), nil) // crypto/tls gives it keys of its own
	for name, load := range map[string]func() *tls.Config{
		"new Configs":            fresh,
		"a Config used before":   func() *tls.Config { return used },
		"tickets off and on":     fresh,
		"GetConfigForClient too": func() *tls.Config { c := fresh(); c.GetConfigForClient = other(fresh()); return c },
	} {
		for _, version := range bothVersions {
			off := name == "tickets off and on"
			o := TLS{MaxVersion: version, Load: func(*VirtualHost) (*tls.Config, error) {
				c := load().Clone()
				c.SessionTicketsDisabled = off
				return c, nil
			}}
			v := serving(t, o)
			c := trusting(ca)
			c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
			if off {
				resumes(t, v, c)
				if resumes(t, v, c) {
					t.Errorf("%s: resumed without tickets", name)
				}
				off = false
				if err := v.vh.ReloadTLS(); err != nil {
					t.Fatal(err)
				}
			}
			if resumes(t, v, c) || !resumes(t, v, c) {
				t.Errorf("%s, %s: not the second handshake is resumed", name, tls.VersionName(version))
			}
			if err := v.vh.ReloadTLS(); err != nil || !resumes(t, v, c) {
				t.Errorf("%s, %s: not resumed after a reload: %v", name, tls.VersionName(version), err)
			}
			if resumes(t, serving(t, o), c) {
				t.Errorf("%s, %s: resumed on another vhost", name, tls.VersionName(version))
			}
		}
	}
}

func other(c *tls.Config) func(*tls.ClientHelloInfo) (*tls.Config, error) {
	return func(*tls.ClientHelloInfo) (*tls.Config, error) { return c, nil }
}

// TestTicketKeys: vhosts that are given the same keys open each other's tickets:
// by the option, which wins, or in the Config.
func TestTicketKeys(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	config := func(key byte) *tls.Config {
		c := &tls.Config{Certificates: []tls.Certificate{cert}}
		if key != 0 {
			c.SetSessionTicketKeys([][32]byte{{key}})
		}
		return c
	}
	k1, k21 := [][32]byte{{1}}, [][32]byte{{2}, {1}}
	for _, test := range []struct {
		name     string
		one, two TLS
		want     bool
	}{
		{"option", TLS{Config: config(0), TicketKeys: k1}, TLS{Config: config(0), TicketKeys: k1}, true},
		{"an old one", TLS{Config: config(0), TicketKeys: k1}, TLS{Config: config(0), TicketKeys: k21}, true},
		{"a new one", TLS{Config: config(0), TicketKeys: k21}, TLS{Config: config(0), TicketKeys: k1}, false},
		{"Config", TLS{Config: config(1)}, TLS{Config: config(1)}, true},
		{"Configs differ", TLS{Config: config(1)}, TLS{Config: config(2)}, false},
		{"Config and option", TLS{Config: config(1)}, TLS{Config: config(0), TicketKeys: k1}, true},
		{"option wins", TLS{Config: config(1)}, TLS{Config: config(1), TicketKeys: [][32]byte{{2}}}, false},
		{"none", TLS{Config: config(0)}, TLS{Config: config(0)}, false},
		{"no resumption", TLS{Config: config(1), NoResumption: true}, TLS{Config: config(1)}, false},
		{"no resumption there", TLS{Config: config(1)}, TLS{Config: config(1), NoResumption: true}, false},
	} {
		for _, version := range bothVersions {
			c := trusting(ca)
			c.MaxVersion, c.ClientSessionCache = version, tls.NewLRUClientSessionCache(1)
			resumes(t, serving(t, test.one), c)
			if got := resumes(t, serving(t, test.two), c); got != test.want {
				t.Errorf("%s, %s: resumed %v", test.name, tls.VersionName(version), got)
			}
		}
	}
}

// TestTicketsOfAnotherConfig: keys of a Config without tickets serve what its
// GetConfigForClient returns.
func TestTicketsOfAnotherConfig(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	config := &tls.Config{SessionTicketsDisabled: true, GetConfigForClient: other(&tls.Config{Certificates: []tls.Certificate{cert}})}
	config.SetSessionTicketKeys([][32]byte{{1}})
	v := serving(t, TLS{Config: config})
	c := trusting(ca)
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if resumes(t, v, c) || !resumes(t, v, c) {
		t.Error("not resumed")
	}
}

// TestTicketKeysReloaded: keys that Load has set anew replace the old ones.
func TestTicketKeysReloaded(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	keys := [][32]byte{{1}}
	v := serving(t, TLS{Load: func(*VirtualHost) (*tls.Config, error) {
		c := &tls.Config{Certificates: []tls.Certificate{cert}}
		c.SetSessionTicketKeys(keys)
		return c, nil
	}})
	c := trusting(ca)
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	resumes(t, v, c)
	keys = [][32]byte{{2}}
	if err := v.vh.ReloadTLS(); err != nil || resumes(t, v, c) || !resumes(t, v, c) {
		t.Errorf("the old key opens tickets still: %v", err)
	}
}

// TestTicketsRotate: keys that nobody has given change daily, and open tickets
// for a week.
func TestTicketsRotate(t *testing.T) {
	now := time.Now()
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	clock := func() time.Time { return now }
	v := serving(t, TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}, Time: clock}})
	ticket := func() []byte {
		c := trusting(ca)
		c.Time, c.ClientSessionCache = clock, tls.NewLRUClientSessionCache(1)
		resumes(t, v, c)
		session, _ := c.ClientSessionCache.Get("a.test")
		b, _, err := session.ResumptionState()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	opens := func(ticket []byte) bool {
		s, err := v.keeper.DecryptTicket(ticket, tls.ConnectionState{})
		if err != nil {
			t.Fatal(err)
		}
		return s != nil
	}
	one := ticket()
	now = now.Add(25 * time.Hour)
	two := ticket()
	if !opens(one) || !opens(two) {
		t.Errorf("after a day: %v, %v", opens(one), opens(two))
	}
	now = now.Add(6*24*time.Hour + time.Hour)
	ticket() // old keys go when a new one comes
	if opens(one) || !opens(two) {
		t.Errorf("after a week: %v, %v", opens(one), opens(two))
	}
}

// TestOwnSessions: a Config's own WrapSession and UnwrapSession stay.
func TestOwnSessions(t *testing.T) {
	ca := newTestCA(t)
	cert, _, _ := ca.leaf(t, "a.test")
	var mu sync.Mutex
	kept := map[string]*tls.SessionState{}
	v := serving(t, TLS{Config: &tls.Config{
		Certificates: []tls.Certificate{cert},
		WrapSession: func(_ tls.ConnectionState, s *tls.SessionState) ([]byte, error) {
			mu.Lock()
			defer mu.Unlock()
			kept["ticket"] = s
			return []byte("ticket"), nil
		},
		UnwrapSession: func(id []byte, _ tls.ConnectionState) (*tls.SessionState, error) {
			mu.Lock()
			defer mu.Unlock()
			return kept[string(id)], nil
		},
	}})
	c := trusting(ca)
	c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	if resumes(t, v, c) || !resumes(t, v, c) || len(kept) != 1 {
		t.Errorf("kept: %v", kept)
	}
}

// TestReloadDuringHandshakes: handshakes beside a reload have the old Config or
// the new one. For -race.
func TestReloadDuringHandshakes(t *testing.T) {
	ca := newTestCA(t)
	cert, certPEM, keyPEM := ca.leaf(t, "a.test")
	v := serving(t, TLS{Cert: certPEM, Key: keyPEM, VerifyClient: func(*Conn, *tls.ConnectionState) error { return nil }})
	var wg sync.WaitGroup
	wg.Go(func() {
		for range 50 {
			if err := v.vh.ReloadTLS(); err != nil {
				t.Error(err)
			}
		}
	})
	wg.Go(func() {
		c := trusting(ca)
		c.ClientSessionCache = tls.NewLRUClientSessionCache(1)
		for range 20 {
			if srv, cli := v.with(c); !srv.done || !cli.done || !cli.state.PeerCertificates[0].Equal(cert.Leaf) {
				t.Error(srv.err, cli.err)
			}
		}
	})
	wg.Wait()
}
