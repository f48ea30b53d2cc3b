package e2e

import (
	"crypto/tls"
	"runtime"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

const (
	idleConns  = 1000
	idleFewest = 200 // or the question cannot be asked
)

// howManyIdle is idleConns, or what the limit on descriptors lets in: each takes
// one here and one in the client's hands, and engines that hand sockets over
// duplicate them.
func howManyIdle() int { return min(idleConns, (fileLimit()-len(openFiles())-100)/4) }

// tlsIdle: when their handshakes are over, a thousand connections over TLS have no
// goroutine.
func tlsIdle(s *scene) error {
	n := howManyIdle()
	if n < idleFewest {
		return &notApplicable{"the limit on open files is too low for 200 connections"}
	}
	if err := s.up(echoing(), core.Limits{PingInterval: -1}); err != nil {
		return err
	}
	s.must(s.ws().Close()) // what the first connection of a process makes stays
	s.nobody()
	none := s.steady("the number of goroutines", func() uint64 { return uint64(runtime.NumGoroutine()) })
	all := s.crowded(n)
	s.quiet(int(none), "with connections that are idle")
	if n < idleConns {
		s.t.Logf("%d connections: the limit on open files lets in no more", n)
	}
	s.laps() // each turn publishes them
	st := s.eng.Stats()
	if st.Conns != n || st.Shaking != 0 || st.Handshakes != uint64(n)+1 {
		s.t.Errorf("%d connections of %d, %d handshakes, %d underway", st.Conns, n, st.Handshakes, st.Shaking)
	}
	for i := 0; i < n; i += 50 {
		s.must(all[i].Echo(ws.Text, []byte("still here")))
	}
	for _, c := range all {
		c.Close()
	}
	s.nobody()
	s.quiet(int(none), "after they have gone")
	return nil
}

// crowded upgrades n clients, several at a time, most of which resume a session.
// Each has the bound for itself.
func (s *scene) crowded(n int) []*client.Conn {
	s.t.Helper()
	const at = 16
	all := make([]*client.Conn, n)
	upgraded := make(chan error, n)
	cfg := ours().client("test")
	cfg.ClientSessionCache = tls.NewLRUClientSessionCache(1)
	for w := range at {
		go func() {
			for i := w; i < n; i += at {
				c, err := client.DialTLS(s.addr, s.host.Bound, cfg, client.AsMade)
				if err == nil {
					s.owns(c)
					err = c.Upgrade("")
				}
				all[i] = c
				upgraded <- err
			}
		}()
	}
	for range n {
		s.no(take(s, upgraded, "a client is upgraded"))
	}
	if s.t.Failed() {
		s.t.Fatalf("not all of %d clients are upgraded", n)
	}
	for _, c := range all {
		c.SetDeadline(time.Now().Add(s.host.Bound))
	}
	return all
}

// nobody waits until the engine has no connection.
func (s *scene) nobody() {
	s.t.Helper()
	s.until("all connections are gone", func() bool { s.laps(); return s.eng.Stats().Conns == 0 })
}

// quiet waits until there are no more goroutines than most.
func (s *scene) quiet(most int, when string) {
	s.t.Helper()
	is := 0
	s.until("as few goroutines as before, "+when, func() bool {
		is = runtime.NumGoroutine()
		return is <= most
	})
}
