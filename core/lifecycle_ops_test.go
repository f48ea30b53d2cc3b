package core_test

import (
	"errors"
	"fmt"
	"strings"
	"syscall"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// addresses that vhosts listen on; the last of them speaks TLS.
var lifeAddrs = []string{"10.0.0.1:80", "10.0.0.2:80", "10.0.0.3:80", "10.0.0.9:443"}

// deed is something that may be done in any callback of a thread, and between turns.
type deed struct {
	weight int
	name   string
	do     func(s *aLife, th *core.Thread)
}

var deeds []deed

func init() { // they do deeds themselves
	deeds = []deed{
		{3, "AddVHost", func(s *aLife, _ *core.Thread) { s.addVHost() }},
		{3, "Remove", func(s *aLife, _ *core.Thread) { s.remove() }},
		{4, "Post", (*aLife).post},
		{3, "AfterFunc", (*aLife).afterFunc},
		{2, "Timer.Stop", (*aLife).stopTimer},
		{6, "Dial", (*aLife).dial},
		{5, "Adopt", (*aLife).adopt},
		{14, "verb", (*aLife).verb},
		{1, "Wake", func(s *aLife, _ *core.Thread) { s.eng.Wake() }},
		{1, "RequestWritable", func(s *aLife, _ *core.Thread) { s.eng.RequestWritable("ws") }},
		{1, "Detach", func(s *aLife, _ *core.Thread) { s.eng.Detach() }},
		{1, "Thread.Detach", func(_ *aLife, th *core.Thread) { th.Detach() }},
		{2, "Attach", func(s *aLife, _ *core.Thread) { s.attach() }},
	}
}

// now does something with probability 1/n, as a callback on th does.
func (s *aLife) now(th *core.Thread, where string, n int) {
	if s.depth > 2 || s.quiet || s.r.IntN(n) != 0 {
		return
	}
	s.deed(th, where)
}

func (s *aLife) deed(th *core.Thread, where string) {
	sum := 0
	for _, d := range deeds {
		sum += d.weight
	}
	at := s.r.IntN(sum)
	for _, d := range deeds {
		if at -= d.weight; at < 0 {
			s.depth++
			s.note("%s on thread %d: %s", where, th.Index(), d.name)
			d.do(s, th)
			s.depth--
			return
		}
	}
}

func (s *aLife) addVHost() {
	if len(s.places) > 40 {
		return
	}
	p := &place{s: s, addr: lifeAddrs[s.r.IntN(len(lifeAddrs)-1)], disabled: s.r.IntN(10) == 0}
	cfg := core.VHost{Name: fmt.Sprintf("v%d", len(s.places)), Addr: p.addr, Protocols: p.protocols()}
	switch s.r.IntN(8) {
	case 0:
		p.addr, cfg.Addr = "", ""
	case 1:
		cfg.RawOnly = "raw"
	case 2:
		cfg.RawFallback = "raw"
	case 3:
		if s.racy {
			p.addr, cfg.Addr, cfg.TLS = lifeAddrs[3], lifeAddrs[3], serves(certs.a)
		}
	}
	for _, o := range s.places {
		o.alone = o.alone && o.addr != p.addr
	}
	s.places = append(s.places, p)
	s.note("%s comes to %q", cfg.Name, p.addr)
	p.adding = true
	vh, err := s.eng.AddVHost(cfg)
	p.adding = false
	if err != nil {
		if p.removed = true; !expected(err) {
			s.errorf("AddVHost: %v", err)
		}
		return
	}
	p.vh = vh
}

// expected reports whether an error is one that the world may give.
func expected(err error) bool {
	var le *core.LimitError
	for _, e := range append([]syscall.Errno{syscall.EADDRINUSE}, noRoom...) {
		if errors.Is(err, e) {
			return true
		}
	}
	return errors.Is(err, core.ErrStopped) || errors.Is(err, core.ErrConnClosed) || errors.Is(err, core.ErrFull) ||
		errors.Is(err, core.ErrUnknownProtocol) || errors.As(err, &le) || strings.HasSuffix(err.Error(), "removed by an Init of its own")
}

func (s *aLife) check(what string, err error) {
	if err != nil && !expected(err) {
		s.errorf("%s: %v", what, err)
	}
}

// some returns a vhost, perhaps one that has gone.
func (s *aLife) some() *place {
	for range 8 {
		if p := s.places[s.r.IntN(len(s.places))]; p.vh != nil && (!p.removed || s.r.IntN(4) == 0) {
			return p
		}
	}
	return nil
}

func (s *aLife) remove() {
	p := s.some()
	if p == nil {
		return
	}
	if !p.removed {
		p.removed = true
		p.alone = !s.others(p)
	}
	s.note("%s leaves %q", p.vh.Name(), p.addr)
	p.vh.Remove()
}

// others reports whether there is another vhost on p's address. One that is removed is
// there until its Destroy: it may have sockets of its own, if those of p were lost, and
// keeps them while the thread that is to close them is detached.
func (s *aLife) others(p *place) bool {
	for _, o := range s.places {
		if o != p && o.addr == p.addr && (o.vh != nil || o.adding) && o.destroys == 0 {
			return true
		}
	}
	return false
}

// listens asks the kernel.
func (s *aLife) listens(addr string) bool {
	if addr == "" {
		return false
	}
	fd, _, err := s.k.Listen("tcp", addr)
	if err == nil {
		s.k.Close(fd)
	}
	return errors.Is(err, syscall.EADDRINUSE)
}

// pledge is a function that was given away.
type pledge struct {
	ran  int
	off  bool // stopped
	due  time.Time
	t    *core.Timer
	what string
}

func (s *aLife) keep(what string, th *core.Thread) (*pledge, func()) {
	p := &pledge{what: what}
	return p, func() {
		if p.ran++; p.ran > 1 || p.off {
			s.errorf("%s has run %d times, stopped: %v", what, p.ran, p.off)
		}
		s.now(th, "in "+what, 2)
	}
}

func (s *aLife) post(*core.Thread) {
	to := s.eng.Thread(s.r.IntN(s.eng.Threads()))
	p, f := s.keep("Post", to)
	if err := to.Post(f); err != nil {
		s.check("Post", err)
		return
	}
	s.posts = append(s.posts, p)
}

func (s *aLife) afterFunc(th *core.Thread) {
	d := time.Duration(s.r.IntN(4)*s.r.IntN(1000)) * time.Millisecond
	p, f := s.keep("AfterFunc", th)
	p.due = s.k.Now().Add(d)
	p.t = th.AfterFunc(d, f)
	s.timers[th.Index()] = append(s.timers[th.Index()], p)
}

func (s *aLife) stopTimer(th *core.Thread) {
	if all := s.timers[th.Index()]; len(all) > 0 {
		p := all[s.r.IntN(len(all))]
		if p.t.Stop(); p.ran == 0 {
			p.off = true
		}
	}
}

var lifeGoals = []string{"10.9.0.1:80", "10.9.0.2:80", "10.9.0.3:80", "10.9.0.4:80"} // refuses, fails at once, says nothing, comes late

func (s *aLife) dial(th *core.Thread) {
	p := s.some()
	if p == nil {
		return
	}
	to := lifeAddrs[s.r.IntN(3)]
	if s.r.IntN(2) == 0 {
		to = lifeGoals[s.r.IntN(len(lifeGoals))]
	}
	c, err := th.Dial(p.vh, core.Dial{URL: "ws://" + to + "/", Protocol: "ws"})
	if err != nil {
		s.check("Dial", err)
		return
	}
	s.dials++
	if s.r.IntN(6) == 0 {
		c.Drop()
	}
}

func (s *aLife) adopt(th *core.Thread) {
	p := s.some()
	if p == nil {
		return
	}
	fd := s.k.OpenAppOr(-1)
	if fd < 0 {
		return // out of descriptors
	}
	s.k.CloseApp(fd)
	fd, peer := s.k.Pipe()
	var err error
	switch s.r.IntN(3) {
	case 0:
		_, err = th.AdoptFile(fd, p.vh, "file")
	case 1:
		_, err = th.AdoptRaw(fd, p.vh, "raw", "peer", letters[:s.r.IntN(50)])
	case 2:
		_, err = th.AdoptSocket(fd, p.vh, "peer", []byte(handshake + "\r\n")[:s.r.IntN(len(handshake)+2)])
	}
	if err != nil {
		s.check("Adopt", err)
		s.k.Close(fd)
		return
	}
	s.peers = append(s.peers, &lifePeer{Peer: peer, out: []byte(handshake + "\r\n")})
}

// verb calls a method of some conn of the thread, alive or dead.
func (s *aLife) verb(th *core.Thread) {
	all := s.of[th.Index()]
	if len(all) == 0 {
		return
	}
	b := all[max(0, len(all)-1-s.r.IntN(20))]
	c := b.c
	switch s.r.IntN(9) {
	case 0:
		s.check("Close", c.Close(1000+s.r.IntN(2), "bye"))
	case 1:
		s.check("Drop", c.Drop())
	case 2, 3:
		s.check("Pause", c.Pause())
	case 4:
		s.check("Resume", c.Resume())
	case 5:
		s.check("RequestWritable", c.RequestWritable())
	case 6:
		s.check("SetTimer", c.SetTimer(time.Duration(s.r.IntN(2000)-200)*time.Millisecond))
	case 7:
		p, f := s.keep("Conn.Post", th)
		if err := c.Post(func(*core.Conn) { f() }); err == nil {
			s.posts = append(s.posts, p)
		}
	case 8:
		if s.racy {
			s.check("Work", c.Work(func() {}, func(c *core.Conn) error { return b.in(c, "Work's done") }))
		}
	}
}

// attach puts the engine back into its loops, if it is out of all of them.
func (s *aLife) attach() {
	for i := range s.eng.Threads() {
		if s.eng.Thread(i).Hosted() {
			return
		}
	}
	s.check("Attach", s.eng.Attach(s.k))
}

// lifePeer is the far end of a connection.
type lifePeer struct {
	*sim.Peer
	out  []byte // to be sent
	tls  *tlsPeer
	over bool
}
