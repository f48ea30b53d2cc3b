//go:build linux

package load

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// fixedCache has one session, which every connection resumes.
type fixedCache struct {
	mu      sync.Mutex
	session *tls.ClientSessionState
}

func (c *fixedCache) Get(string) (*tls.ClientSessionState, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.session, c.session != nil
}

func (c *fixedCache) Put(_ string, s *tls.ClientSessionState) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.session == nil {
		c.session = s
	}
}

// noCache makes a client ask for a session ticket, as browsers do, and forget it.
type noCache struct{}

func (noCache) Get(string) (*tls.ClientSessionState, bool) { return nil, false }
func (noCache) Put(string, *tls.ClientSessionState)        {}

func (l *load) shakeConfig(s Shake) (*tls.Config, error) {
	cfg := config()
	if s.X25519 {
		cfg.CurvePreferences = []tls.CurveID{tls.X25519}
	}
	if s.TLS12 {
		cfg.MaxVersion = tls.VersionTLS12
	}
	cfg.ClientSessionCache = noCache{}
	if s.Resume {
		cfg.ServerName = "localhost"
		cfg.ClientSessionCache = &l.cache
		if _, ok := l.cache.Get(""); !ok {
			return cfg, l.visit(cfg)
		}
	}
	return cfg, nil
}

// visit opens a connection for its session ticket.
func (l *load) visit(cfg *tls.Config) error {
	c, err := tls.Dial("tcp", l.addr, cfg)
	if err != nil {
		return err
	}
	defer c.Close()
	if err := upgrade(c); err != nil { // the ticket has come when its answer has
		return err
	}
	if _, ok := l.cache.Get(""); !ok {
		return errors.New("the server has sent no session ticket")
	}
	return nil
}

// shake makes handshakes as fast as it can.
func (l *load) shake(s Shake) (sum Shaken, err error) {
	cfg, err := l.shakeConfig(s)
	if err != nil {
		return sum, err
	}
	var begun, done, resumed atomic.Int64
	until := time.Now().Add(s.For)
	more := func() bool {
		if s.Count > 0 {
			return begun.Add(1) <= int64(s.Count)
		}
		return time.Now().Before(until)
	}
	var all sync.WaitGroup
	errs := make([]error, max(s.Parallel, 1))
	for i := range errs {
		all.Go(func() {
			for errs[i] == nil && more() {
				var again bool
				if again, errs[i] = handshake(l.addr, cfg); errs[i] != nil {
					continue
				}
				done.Add(1)
				if again {
					resumed.Add(1)
				}
			}
		})
	}
	all.Wait()
	return Shaken{int(done.Load()), int(resumed.Load())}, errors.Join(errs...)
}

// handshake opens a connection and closes it in good order: the server has seen
// the end of the handshake when it sees that.
func handshake(addr string, cfg *tls.Config) (resumed bool, err error) {
	raw, err := net.DialTimeout("tcp", addr, patience)
	if err != nil {
		return false, err
	}
	defer raw.Close()
	raw.SetDeadline(time.Now().Add(patience))
	c := tls.Client(raw, cfg)
	if err := c.Handshake(); err != nil {
		return false, err
	}
	if err := c.CloseWrite(); err != nil {
		return false, err
	}
	if err := raw.(*net.TCPConn).CloseWrite(); err != nil {
		return false, err
	}
	if _, err := io.Copy(io.Discard, raw); err != nil { // the server closes
		return false, err
	}
	return c.ConnectionState().DidResume, nil
}
