package core

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync/atomic"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// site is one listening address and the vhosts on it.
type site struct {
	eng   *Engine
	key   string // the Addr that asked for it
	bound string
	tcp   bool
	names atomic.Pointer[siteNames]
	links []*link
	alien io.Closer // the listener of an engine that accepts by itself
	ended bool      // it is closed
}

// siteNames is replaced as a whole, since any thread reads it.
type siteNames struct {
	vhosts []*VirtualHost
	exact  map[string]*VirtualHost // lower-case, without port and final dot
	suffix []suffixName            // longest first
}

type suffixName struct {
	dotted string // ".example.org"
	vh     *VirtualHost
}

// listen gives vh its site, opening a socket if none listens there.
func (e *Engine) listen(vh *VirtualHost) error {
	if vh.cfg.Addr == "" && vh.cfg.Listener == nil {
		// It listens nowhere, but connections can be adopted to it.
		vh.site = &site{eng: e}
		vh.site.setNames([]*VirtualHost{vh})
		return nil
	}
	if vh.cfg.Listener == nil {
		for _, s := range e.listening() {
			// Each ":0" is a port of its own.
			if s.key == vh.cfg.Addr && !strings.HasSuffix(s.key, ":0") && s.listening() {
				vh.site = s
				s.setNames(append(slices.Clone(s.names.Load().vhosts), vh))
				return nil
			}
		}
	}
	s := &site{eng: e, key: vh.cfg.Addr}
	s.setNames([]*VirtualHost{vh})
	if err := s.open(vh.cfg.Listener); err != nil {
		return err
	}
	vh.site = s
	e.mu.Lock()
	e.sites = append(slices.Clone(e.sites), s)
	e.mu.Unlock()
	return nil
}

// listening returns the sites that have or had a listener.
func (e *Engine) listening() []*site {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sites
}

// open makes the listening sockets: those of the address on thread 0, or, with
// ReusePort, a set for each thread.
func (s *site) open(given net.Listener) error {
	e := s.eng
	if a, ok := e.backend.(loop.Acceptor); ok {
		return s.openAlien(a, given)
	}
	if given != nil {
		fd, err := sys.FromListener(given)
		if err != nil {
			return err
		}
		s.tcp, s.bound = given.Addr().Network() == "tcp", given.Addr().String()
		return s.watch(e.threads[0], fd)
	}
	threads := e.threads[:1]
	if e.cfg.ReusePort && !strings.HasPrefix(s.key, "unix:") {
		threads = e.threads
	}
	for _, th := range threads {
		if err := s.openOn(th, len(threads) > 1); err != nil {
			s.close()
			return err
		}
	}
	return nil
}

// openAlien makes the backend's engine listen.
func (s *site) openAlien(a loop.Acceptor, given net.Listener) error {
	if given != nil {
		return fmt.Errorf("core: backend %s listens by itself; it takes Addr, not Listener", s.eng.info.Name)
	}
	network, addr := s.address()
	bound, l, err := a.Listen(network, addr, s.acceptStream)
	if err != nil {
		return err
	}
	s.bound, s.alien = bound, l
	if network == "unix" {
		s.bound = s.key
	}
	return nil
}

// address splits the key into network and address.
func (s *site) address() (network, addr string) {
	if path, ok := strings.CutPrefix(s.key, "unix:"); ok {
		return "unix", path
	}
	s.tcp = true
	return "tcp", s.key
}

// listening reports whether further vhosts can share the site's socket.
func (s *site) listening() bool { return len(s.links) > 0 || s.alien != nil }

// closeAlien ends the listening of another engine.
func (s *site) closeAlien() {
	e := s.eng
	e.mu.Lock()
	l := s.alien
	s.alien, s.ended = nil, true
	e.mu.Unlock()
	if l == nil {
		return
	}
	if err := l.Close(); err != nil {
		e.log.Warn("closing a listener", "addr", s.bound, "err", err)
	}
}

func (s *site) openOn(th *Thread, reuse bool) error {
	network, addr := s.address()
	if s.bound != "" {
		addr = s.bound // the port that the first thread got
	}
	if th.kernel != nil {
		fd, bound, err := th.kernel.Listen(network, addr)
		if err != nil {
			return err
		}
		s.bound = bound
		return s.watch(th, fd)
	}
	fds, bound, err := sys.ListenAll(sys.ListenOptions{Network: network, Address: addr, ReusePort: reuse})
	if err != nil {
		return err
	}
	if network == "unix" {
		bound = s.key
	}
	s.bound = bound
	for i, fd := range fds {
		if err := s.watch(th, fd); err != nil {
			for _, fd := range fds[i+1:] {
				th.closeRaw(fd)
			}
			return err
		}
	}
	return nil
}

func (s *site) watch(th *Thread, fd int) error {
	l := th.newLink(fd, &listenRole{site: s})
	l.flags |= lfReady
	if err := l.watch(loop.In); err != nil {
		l.doom(err)
		th.bury(l)
		return err
	}
	s.links = append(s.links, l)
	return nil
}

func (s *site) close() {
	s.closeAlien()
	for _, l := range slices.Clone(s.links) {
		if !l.is(lfDead) {
			l.doom(ErrStopped)
			l.th.buryLink(l)
		}
	}
}

// unlisten forgets a listener that is gone.
func (s *site) unlisten(l *link) {
	s.eng.mu.Lock()
	s.links = slices.DeleteFunc(slices.Clone(s.links), func(x *link) bool { return x == l })
	s.eng.mu.Unlock()
}

// first returns the vhost that serves unknown names.
func (s *site) first() *VirtualHost {
	if v := s.names.Load().vhosts; len(v) > 0 {
		return v[0]
	}
	return nil
}

// removeVHost takes vh off the site; the socket closes with the last one.
func (s *site) removeVHost(vh *VirtualHost) {
	s.setNames(slices.DeleteFunc(slices.Clone(s.names.Load().vhosts), func(v *VirtualHost) bool { return v == vh }))
	if s.first() != nil {
		return
	}
	s.closeAlien()
	for _, l := range s.links {
		l.th.Post(func() {
			if !l.is(lfDead) {
				l.doom(ErrStopped)
			}
		})
	}
}

func (s *site) setNames(vhosts []*VirtualHost) {
	n := &siteNames{vhosts: vhosts, exact: map[string]*VirtualHost{}}
	for _, vh := range vhosts {
		for _, name := range append([]string{vh.name}, vh.cfg.Aliases...) {
			name = strings.ToLower(strings.TrimSuffix(name, "."))
			if rest, ok := strings.CutPrefix(name, "*."); ok {
				n.suffix = append(n.suffix, suffixName{"." + rest, vh})
				continue
			}
			if n.exact[name] == nil {
				n.exact[name] = vh
			}
			// The suffix form: the vhost "example.org" takes "www.example.org".
			if strings.Contains(name, ".") && net.ParseIP(strings.Trim(name, "[]")) == nil {
				n.suffix = append(n.suffix, suffixName{"." + name, vh})
			}
		}
	}
	slices.SortStableFunc(n.suffix, func(a, b suffixName) int { return len(b.dotted) - len(a.dotted) })
	s.names.Store(n)
}

// match returns the vhost for a Host header value: exactly, then by the longest
// suffix at a dot, then the first on the address. The port in it is ignored
// (RFC 9110 7.2: host and port name the target; ours is the one it came to).
func (s *site) match(host string) *VirtualHost {
	n := s.names.Load()
	name := hostName(host)
	if vh := n.exact[name]; vh != nil {
		return vh
	}
	for _, sf := range n.suffix {
		if strings.HasSuffix(name, sf.dotted) {
			return sf.vh
		}
	}
	return s.first()
}

// hostName strips port and final dot, and lowers the case.
func hostName(host string) string {
	if strings.HasPrefix(host, "[") {
		if i := strings.IndexByte(host, ']'); i > 0 {
			return strings.ToLower(host[:i+1])
		}
	}
	if i := strings.IndexByte(host, ':'); i >= 0 {
		host = host[:i]
	}
	return strings.ToLower(strings.TrimSuffix(host, "."))
}

func (s *site) String() string { return fmt.Sprintf("site %s", s.bound) }
