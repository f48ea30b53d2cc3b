package core

import (
	"crypto/tls"
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
	key   listenKey
	opts  sys.ListenOptions // of the vhost that came first
	plain bool              // they are what an Addr means by itself
	tcp   bool
	quick bool                   // its connections are born with TCP_NODELAY
	bound string                 // written before its sockets are watched
	where atomic.Pointer[string] // the same, for anybody
	path  sys.FileID             // of a unix socket that is ours
	names atomic.Pointer[siteNames]
	mu    sync.Mutex // changes of names
	socks atomic.Int32
	tls   bool        // TLS is spoken; settled with the first vhost
	base  *tls.Config // what a handshake begins with

	// Under Engine.mu:
	users int            // vhosts that hold it
	ended bool           // it is closed, or about to be: it takes no further vhost
	waits *waiting       // not nil: it does not listen yet
	alien io.Closer      // the listener of an engine that accepts by itself
	held  []*VirtualHost // removed; their Destroy awaits the end of the sockets
	late  []sock         // on their way to their threads
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

// listen gives vh its site, opening sockets if none listens there. Nothing is
// accepted for it before serve.
func (e *Engine) listen(vh *VirtualHost) ([]sock, error) {
	socks, err := e.place(vh)
	if err != nil {
		return nil, err
	}
	if err := vh.site.speak(vh); err != nil {
		vh.site.giveUp(vh, socks)
		return nil, err
	}
	return socks, nil
}

// place is listen, whatever is spoken there.
func (e *Engine) place(vh *VirtualHost) (socks []sock, err error) {
	cfg := &vh.cfg
	s := &site{eng: e, key: cfg.listenKey(), plain: cfg.plainListen(), users: 1}
	s.setNames(nil)
	if cfg.Addr == "" && cfg.Listener == nil {
		// It listens nowhere, but connections can be adopted to it.
		vh.site = s
		return nil, nil
	}
	if err := cfg.checkListen(); err != nil {
		return nil, err
	}
	if old, err := e.join(cfg); old != nil || err != nil {
		vh.site = old
		return nil, err
	}
	s.opts, s.tcp = cfg.listenOptions(), s.key.tcp()
	if socks, err = s.open(cfg.Listener); err != nil {
		if !vh.mayWait(err) {
			return nil, plain{err}
		}
		s.waits = &waiting{err: err}
	}
	vh.site = s
	e.mu.Lock()
	e.sites = append(slices.Clone(e.sites), s)
	e.mu.Unlock()
	return socks, nil
}

// join returns the site that listens where cfg wants to, nil if there is none, or
// the error if one waits for what cfg cannot wait for.
func (e *Engine) join(cfg *VHost) (*site, error) {
	key := cfg.listenKey()
	if cfg.Listener != nil || key.ephemeral() {
		return nil, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, s := range e.sites {
		switch {
		case !s.at(key) || s.ended:
			continue
		case s.waits != nil:
			if !cfg.BindLater {
				return nil, s.waits.err
			}
		case s.alien == nil && s.socks.Load() == 0:
			continue // its sockets are lost
		}
		s.users++
		return s, nil
	}
	return nil, nil
}

// at reports whether the site is where key wants to listen. The port that a ":0"
// came to can be asked for by its number.
func (s *site) at(key listenKey) bool {
	k := s.key
	if k.ephemeral() {
		k.Addr = s.address()
	}
	return k == key
}

// serve lets vh have the connections of its site.
func (e *Engine) serve(vh *VirtualHost, socks []sock) error {
	s := vh.site
	s.changeNames(func(v []*VirtualHost) []*VirtualHost { return append(v, vh) })
	left, err := s.watchAll(socks)
	if err == nil {
		err = s.startWaiting(vh)
	}
	if err != nil {
		s.giveUp(vh, left)
	}
	return err
}

// giveUp takes back what listen did for vh. socks are those that no loop watches.
func (s *site) giveUp(vh *VirtualHost, socks []sock) {
	s.closeSocks(socks)
	s.removeVHost(vh)
}

// watchAll gives sockets to their loops; from a thread of several, by post. On an
// error those that are left are the caller's.
func (s *site) watchAll(socks []sock) (left []sock, err error) {
	e := s.eng
	for i, sk := range socks {
		if e.started.Load() && len(e.threads) > 1 {
			err = s.send(sk)
		} else {
			err = s.watch(sk)
		}
		if err != nil {
			return socks[i:], err
		}
	}
	return nil, nil
}

// listening returns the sites that have or had a listener.
func (e *Engine) listening() []*site {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.sites
}

// address is where it listens, for anybody; "" if it does not.
func (s *site) address() string {
	if w := s.where.Load(); w != nil {
		return *w
	}
	return ""
}

func (s *site) setBound(bound string) {
	s.bound = bound
	s.where.Store(&bound)
}

// closeAlien ends the listening of another engine.
func (s *site) closeAlien() {
	e := s.eng
	e.mu.Lock()
	l := s.alien
	s.alien = nil
	if l != nil {
		s.ended = true
	}
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
	sk.th.listeners = append(sk.th.listeners, l)
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

// first returns the vhost that serves unknown names.
func (s *site) first() *VirtualHost {
	if v := s.names.Load().vhosts; len(v) > 0 {
		return v[0]
	}
	return nil
}

// removeVHost takes vh off the site. The last one ends it, unless another comes
// before thread 0 gets to it: then there is no gap. Until then, vh is not destroyed:
// who has seen its Destroy can listen there again.
func (s *site) removeVHost(vh *VirtualHost) {
	s.changeNames(func(v []*VirtualHost) []*VirtualHost {
		return slices.DeleteFunc(v, func(v *VirtualHost) bool { return v == vh })
	})
	e := s.eng
	e.mu.Lock()
	s.users--
	last := s.users == 0
	if last {
		s.held = append(s.held, vh)
		vh.refs.Add(1)
	}
	e.mu.Unlock()
	if last {
		s.closeAlien()
		if e.threads[0].post(s.end, false) != nil {
			s.letGo() // it has ended, and nothing is left
		}
	}
}

// letGo lets the vhosts be destroyed that wait for the sockets.
func (s *site) letGo() {
	s.eng.mu.Lock()
	held := s.held
	s.held = nil
	s.eng.mu.Unlock()
	for _, vh := range held {
		vh.unref()
	}
}

// end closes the sockets if still nobody uses them. From then on the site takes no
// vhost. Thread 0 only.
func (s *site) end() {
	e := s.eng
	e.mu.Lock()
	if s.users > 0 {
		e.mu.Unlock()
		s.letGo()
		return
	}
	s.ended = true
	e.sites = slices.DeleteFunc(slices.Clone(e.sites), func(o *site) bool { return o == s })
	e.mu.Unlock()
	e.threads[0].closeListeners(s)
	for _, th := range e.threads[1:] {
		th.post(func() { th.closeListeners(s) }, false)
	}
	if s.socks.Load() == 0 {
		s.letGo()
	}
}

func (th *Thread) closeListeners(s *site) {
	for _, l := range th.listeners {
		if l.role.(*listenRole).site == s && !l.is(lfDead) {
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
	if len(n.vhosts) == 1 {
		return n.vhosts[0] // whatever it is called
	}
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
