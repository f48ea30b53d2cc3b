package core

import (
	"fmt"
	"net"

	"anyloop/core/loop"
	"anyloop/core/sys"
)

// sock is a listening socket that no loop watches yet.
type sock struct {
	th *Thread
	fd int
}

// open makes the listening sockets: those of the address for thread 0, or, with
// ReusePort, a set for each thread. What was inherited is not opened again.
func (s *site) open(given net.Listener) ([]sock, error) {
	e := s.eng
	if a, ok := e.backend.(loop.Acceptor); ok {
		return nil, s.openAlien(a, given)
	}
	if given != nil {
		fd, err := sys.FromListener(given)
		if err != nil {
			return nil, err
		}
		s.tcp = given.Addr().Network() == "tcp"
		return s.opened(&openSockets{FDs: [][]int{{fd}}, Bound: given.Addr().String()}), nil
	}
	if e.kernel != nil {
		return s.openKernel()
	}
	o := e.cfg.inherited.take(s.key)
	if o == nil {
		var err error
		if o, err = openListening(s.key, s.opts, e.cfg.sets(&s.key, len(e.threads))); err != nil {
			return nil, err
		}
	}
	s.quick = s.tcp && o.makeQuick()
	return s.opened(o), nil
}

// makeQuick sees to it that what these sockets accept is born with TCP_NODELAY. Of
// a listener that we have not opened it is not known whether that works.
func (o *openSockets) makeQuick() bool {
	for _, fds := range o.FDs {
		for _, fd := range fds {
			if !sys.ListenNoDelay(fd) {
				return false
			}
		}
	}
	return true
}

// opened takes sockets over.
func (s *site) opened(o *openSockets) (socks []sock) {
	s.setBound(o.Bound)
	s.path = o.Path
	for i, fds := range o.FDs {
		for _, fd := range fds {
			socks = append(socks, sock{s.eng.threads[i%len(s.eng.threads)], fd})
		}
	}
	s.socks.Add(int32(len(socks)))
	return socks
}

// openKernel listens on a simulated kernel, which has addresses and nothing else.
func (s *site) openKernel() ([]sock, error) {
	e := s.eng
	if !s.plain {
		return nil, fmt.Errorf("backend %s has a kernel that listens on an Addr without further options", e.info.Name)
	}
	network, addr := s.key.network()
	o := &openSockets{}
	for range e.cfg.sets(&s.key, len(e.threads)) {
		fd, bound, err := e.kernel.Listen(network, addr)
		if err != nil {
			for i, fds := range o.FDs {
				e.threads[i].closeRaw(fds[0])
			}
			return nil, err
		}
		o.FDs, o.Bound, addr = append(o.FDs, []int{fd}), bound, bound
	}
	return s.opened(o), nil
}

// openAlien makes the backend's engine listen.
func (s *site) openAlien(a loop.Acceptor, given net.Listener) error {
	e := s.eng
	if given != nil || !s.plain {
		return fmt.Errorf("backend %s listens by itself; it takes an Addr without further options", e.info.Name)
	}
	network, addr := s.key.network()
	bound, l, err := a.Listen(network, addr, s.acceptStream)
	if err != nil {
		return err
	}
	if network == "unix" {
		bound = s.key.Addr
	}
	s.setBound(bound)
	e.mu.Lock()
	s.alien = l
	e.mu.Unlock()
	return nil
}

// closeSocks closes sockets that no loop watches.
func (s *site) closeSocks(socks []sock) {
	for _, sk := range socks {
		s.closeSock(sk)
	}
}

// closeSock closes a socket of the site; the last one lets go of the vhosts. A unix
// socket, which is the only one of its site, takes its path along while it is open:
// later, somebody else's can be the same file.
func (s *site) closeSock(sk sock) {
	if err := sys.RemovePath(s.opts.Address, s.path); err != nil {
		s.eng.log.Warn("removing the path of a unix socket", "addr", s.bound, "err", err)
	}
	sk.th.closeRaw(sk.fd)
	if s.socks.Add(-1) == 0 {
		s.letGo()
	}
}
