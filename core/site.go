package core

import (
	"fmt"
	"io"
	"net"
	"slices"
	"strings"
	"sync"
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
	mu    sync.Mutex // changes of names
	socks atomic.Int32
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

// sock is a listening socket that no loop watches yet.
type sock struct {
	th *Thread
	fd int
}

// listen gives vh its site, opening sockets if none listens there. Nothing is
// accepted for it before serve.
func (e *Engine) listen(vh *VirtualHost) (socks []sock, err error) {
	if vh.cfg.Addr == "" && vh.cfg.Listener == nil {
		// It listens nowhere, but connections can be adopted to it.
		vh.site = &site{eng: e}
		return nil, nil
	}
	if vh.cfg.Listener == nil {
		for _, s := range e.listening() {
			// Each ":0" is a port of its own.
			if s.key == vh.cfg.Addr && !strings.HasSuffix(s.key, ":0") && s.isOpen() {
				vh.site = s
				return nil, nil
			}
		}
	}
	s := &site{eng: e, key: vh.cfg.Addr}
	s.setNames(nil)
	if socks, err = s.open(vh.cfg.Listener); err != nil {
		return nil, err
	}
	vh.site = s
	e.mu.Lock()
	e.sites = append(slices.Clone(e.sites), s)
	e.mu.Unlock()
	return socks, nil
}

// serve lets vh have the connections of its site. From a thread of several, the
// sockets go to their loops by post.
func (e *Engine) serve(vh *VirtualHost, socks []sock) error {
	s := vh.site
	s.changeNames(func(v []*VirtualHost) []*VirtualHost { return append(v, vh) })
	for i, sk := range socks {
		err := error(nil)
		if e.started.Load() && len(e.threads) > 1 {
			err = sk.th.Post(func() { s.watchLate(sk) })
		} else {
			err = s.watch(sk)
		}
		if err != nil {
			s.closeSocks(socks[i:])
			s.removeVHost(vh)
			return err
		}
	}
	return nil
}

// closeSocks closes sockets that no loop watches.
func (s *site) closeSocks(socks []sock) {
	for _, sk := range socks {
		sk.th.closeRaw(sk.fd)
		s.socks.Add(-1)
	}
}

// listening returns the sites that have or had a listener.
func (e *Engine) listening() []*site {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sites
}

// open makes the listening sockets: those of the address for thread 0, or, with
// ReusePort, a set for each thread.
func (s *site) open(given net.Listener) (socks []sock, err error) {
	e := s.eng
	if a, ok := e.backend.(loop.Acceptor); ok {
		return nil, s.openAlien(a, given)
	}
	if given != nil {
		fd, err := sys.FromListener(given)
		if err != nil {
			return nil, err
		}
		s.tcp, s.bound = given.Addr().Network() == "tcp", given.Addr().String()
		s.socks.Add(1)
		return []sock{{e.threads[0], fd}}, nil
	}
	threads := e.threads[:1]
	if e.cfg.ReusePort && !strings.HasPrefix(s.key, "unix:") {
		threads = e.threads
	}
	for _, th := range threads {
		fds, err := s.openOn(th, len(threads) > 1)
		if err != nil {
			s.closeSocks(socks)
			return nil, err
		}
		for _, fd := range fds {
			socks = append(socks, sock{th, fd})
			s.socks.Add(1)
		}
	}
	return socks, nil
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

func (s *site) openOn(th *Thread, reuse bool) ([]int, error) {
	network, addr := s.address()
	if s.bound != "" {
		addr = s.bound // the port that the first thread got
	}
	if th.kernel != nil {
		fd, bound, err := th.kernel.Listen(network, addr)
		s.bound = bound
		return []int{fd}, err
	}
	fds, bound, err := sys.ListenAll(sys.ListenOptions{Network: network, Address: addr, ReusePort: reuse})
	if err != nil {
		return nil, err
	}
	if network == "unix" {
		bound = s.key
	}
	s.bound = bound
	return fds, nil
}

// isOpen reports whether further vhosts can share the site's socket.
func (s *site) isOpen() bool {
	s.eng.mu.Lock()
	defer s.eng.mu.Unlock()
	return s.socks.Load() > 0 || s.alien != nil
}

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

// watch gives a socket to its thread's loop. Its loop thread only. On an error
// the socket stays the caller's.
func (s *site) watch(sk sock) error {
	r := &listenRole{site: s}
	l := sk.th.newLink(sk.fd, r)
	l.flags |= lfReady
	if err := l.watch(loop.In); err != nil {
		l.flags |= lfKeepFD
		l.doom(err)
		sk.th.buryLink(l)
		return err
	}
	r.on = true
	return nil
}

// watchLate is watch when nobody waits for the answer any more.
func (s *site) watchLate(sk sock) {
	err := error(ErrStopped)
	if sk.th.end.phase == endNot {
		err = s.watch(sk)
	}
	if err != nil {
		s.eng.log.Error("a listening socket is lost", "addr", s.bound, "thread", sk.th.index, "err", err)
		s.closeSocks([]sock{sk})
	}
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
	left := s.changeNames(func(v []*VirtualHost) []*VirtualHost {
		return slices.DeleteFunc(v, func(v *VirtualHost) bool { return v == vh })
	})
	if left > 0 {
		return
	}
	s.closeAlien()
	for _, th := range s.eng.threads {
		th.Post(func() { th.closeListeners(s) })
	}
}

func (th *Thread) closeListeners(s *site) {
	if s.first() != nil {
		return // another vhost has come meanwhile
	}
	for _, l := range th.links() {
		if r, ok := l.role.(*listenRole); ok && r.site == s && !l.is(lfDead) {
			l.doom(ErrStopped)
		}
	}
}

// changeNames replaces the vhosts by what change makes of a copy of them.
func (s *site) changeNames(change func([]*VirtualHost) []*VirtualHost) (n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var old []*VirtualHost
	if names := s.names.Load(); names != nil {
		old = names.vhosts
	}
	v := change(slices.Clone(old))
	s.setNames(v)
	return len(v)
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
