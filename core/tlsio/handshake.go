package tlsio

import (
	"context"
	"crypto/tls"
)

// Handshake begins the handshake or goes on with it, and appends to dst what is
// to be sent. It may be called at any time: when there is nothing to go on with it
// says again what it waits for. A server takes no stack, nor anything of
// crypto/tls, before its first record is complete.
func (s *Session) Handshake(dst []byte) (out []byte, step Step, err error) {
	switch {
	case s.step == Complete:
		return dst, Complete, nil
	case s.step == Failed:
		return dst, Failed, s.rerr
	case s.step == WantJob && !s.job.done.Load():
		return dst, WantJob, nil
	case s.step == WantInput && !s.in.ready() && (s.run != nil || !s.client):
		return dst, WantInput, nil
	}
	s.begin(dst)
	if s.run == nil {
		s.start()
	}
	s.body = true
	more := s.run.next()
	s.body = false
	if !more {
		s.finish()
	}
	out = s.end()
	return out, s.step, s.rerr
}

// start makes the tls.Conn and the stack that its handshake runs on.
func (s *Session) start() {
	if s.client {
		s.tc = tls.Client((*wire)(s), s.cfg)
	} else {
		s.tc = tls.Server((*wire)(s), s.cfg)
	}
	s.cfg = nil
	if s.coroutine {
		s.run = newCoroutine(s.handshake)
	} else {
		s.run = newLockStep(s.handshake)
	}
}

// handshake is what the runner runs.
func (s *Session) handshake() {
	err := ErrGoexit
	defer func() { s.rerr = err }()
	defer caught(&err)
	err = s.tc.HandshakeContext(sessionContext{context.Background(), s})
}

// suspend gives the control back to the caller of Handshake. It is false when the
// session was aborted.
func (s *Session) suspend() bool {
	if s.aborted {
		return false
	}
	return s.run.suspend()
}

// finish looks at what the handshake has come to.
func (s *Session) finish() {
	job := s.job
	s.run, s.job = nil, nil
	if err := s.rerr; err != nil {
		if !s.aborted && job != nil && job.err != nil {
			err = job.err // crypto/tls keeps no more than its text
		}
		s.step = Failed
		s.drop(s.named(err))
		return
	}
	s.step = Complete
	st := s.tc.ConnectionState()
	s.in.stage, s.in.vers, s.resumed = complete, st.Version, st.DidResume
	if s.lend {
		s.unlend()
	}
}

// Abort ends a handshake that is suspended, and with it its goroutine or
// coroutine; nothing more is said to the peer. Called from inside a callback of
// the tls.Config it takes effect when that has returned. The session cannot be
// used any more.
func (s *Session) Abort() {
	if s.aborted {
		return
	}
	s.aborted = true
	if s.busy {
		return // from a callback: the call that it is in sees to it
	}
	if s.run != nil {
		s.run.stop()
	}
	s.ended()
}

// ended is what Abort comes to when no call is under way.
func (s *Session) ended() {
	s.step, s.run, s.job, s.cfg = Failed, nil, nil, nil
	s.drop(ErrAborted)
}

// Leave says that later calls may come from other goroutines, and from such as
// are locked to a thread.
func (s *Session) Leave() {
	s.coroutine = false
	if c, ok := s.run.(*coroutine); ok {
		s.run = elsewhere{c}
	}
}
