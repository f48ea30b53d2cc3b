package core

import "slices"

// With several threads a listening socket goes to its own by a post. Until it has
// arrived, the site knows of it: the engine may end first.

// send gives a socket to its thread. On an error it stays the caller's.
func (s *site) send(sk sock) error {
	e := s.eng
	e.mu.Lock()
	s.late = append(s.late, sk)
	e.mu.Unlock()
	err := sk.th.post(func() { s.arrive(sk) }, false)
	if err != nil {
		s.takeLate(sk)
	}
	return err
}

// arrive is watch when nobody waits for the answer any more.
func (s *site) arrive(sk sock) {
	if !s.takeLate(sk) {
		return
	}
	if sk.th.end.phase != endNot {
		s.closeSock(sk)
		return
	}
	if err := s.watch(sk); err != nil {
		s.eng.log.Error("a listening socket is lost", "addr", s.bound, "thread", sk.th.index, "err", err)
		s.closeSock(sk)
	}
}

// takeLate reports whether the socket was still on its way.
func (s *site) takeLate(sk sock) bool {
	e := s.eng
	e.mu.Lock()
	defer e.mu.Unlock()
	i := slices.Index(s.late, sk)
	if i >= 0 {
		s.late = slices.Delete(s.late, i, i+1)
	}
	return i >= 0
}

// closeLate closes what has not arrived when all threads have drained: Destroy, which
// follows, promises that nobody listens. On the last thread that has.
func (s *site) closeLate(th *Thread) {
	e := s.eng
	e.mu.Lock()
	late := s.late
	s.late = nil
	e.mu.Unlock()
	for _, sk := range late {
		s.closeSock(sock{th, sk.fd})
	}
}
