package core_test

import (
	"bytes"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/tlsio"
	"anyloop/core/ws"
)

var (
	lifeRounds = flag.Int("lives", 0, "random lives of engines in TestLives; 0: 400, or 60 under the race detector")
	lifeSeed   = flag.Uint64("seed", 0, "run only the life of this seed in TestLives")
	lifeFrom   = flag.Uint64("from", 1, "the first seed of TestLives")
)

// TestLives runs engines through random lives: vhosts come and go, connections of all
// kinds are made, adopted, dialled, ended in every way and at every moment, the
// engine leaves its loops and comes back, descriptors run out, and it ends, all of it
// also inside callbacks. Whatever happens: who was opened is closed, once; Init and
// Destroy come in pairs, and Destroy last; what was posted runs, once; no loop sleeps
// while there is something to do; and nothing is left.
//
//	go test ./core -run TestLives -seed 17      # one again
//	go test ./core -run TestLives -lives 100000
//
// A seed is the same life again, but for those that are divisible by 8: in these there
// are workers, and TLS.
func TestLives(t *testing.T) {
	makeCerts(t)
	rounds := *lifeRounds
	if rounds == 0 {
		rounds = 400
		if core.Debugging {
			rounds = 60
		}
	}
	if *lifeSeed != 0 {
		live(t, *lifeSeed)
		return
	}
	t.Logf("seeds %d to %d", *lifeFrom, *lifeFrom+uint64(rounds)-1)
	for seed := *lifeFrom; seed < *lifeFrom+uint64(rounds) && !t.Failed(); seed++ {
		live(t, seed)
	}
}

// aLife is the life of one engine.
type aLife struct {
	t        *testing.T
	seed     uint64
	r        *rand.Rand
	racy     bool
	k        *faulty
	eng      *core.Engine
	log      bytes.Buffer
	story    []string
	places   []*place
	beings   []*being
	of       [][]*being // by thread
	peers    []*lifePeer
	posts    []*pledge
	timers   [][]*pledge // by thread
	dials    uint64
	depth    int
	quiet    bool
	stopping bool
	failed   bool
}

func (s *aLife) errorf(format string, args ...any) {
	s.t.Helper()
	s.failed = true
	s.t.Errorf("seed %d: %s", s.seed, fmt.Sprintf(format, args...))
}

func (s *aLife) note(format string, args ...any) {
	s.story = append(s.story, fmt.Sprintf("%v "+format, append([]any{s.k.Now().Format("05.000")}, args...)...))
}

func live(t *testing.T, seed uint64) {
	before := runtime.NumGoroutine()
	s := born(t, seed)
	if s.r.IntN(3) > 0 {
		s.k.Drive()
	}
	for range 20 + s.r.IntN(100) {
		s.step()
	}
	s.rest()
	s.end()
	for _, p := range s.peers {
		if p.tls != nil {
			p.tls.s.Abort()
		}
	}
	for until := time.Now().Add(time.Minute); runtime.NumGoroutine() > before; runtime.Gosched() {
		if time.Now().After(until) {
			s.errorf("%d goroutines are left", runtime.NumGoroutine()-before)
			break
		}
	}
	if s.failed {
		t.Logf("replay with -seed %d; it went:\n%s\nlast steps:\n%s\nlog:\n%s", seed,
			strings.Join(s.story[max(0, len(s.story)-80):], "\n"), s.k.Trace(), s.log.String())
	}
}

func born(t *testing.T, seed uint64) *aLife {
	r := rand.New(rand.NewPCG(seed, 4711))
	threads := 1 + r.IntN(3)
	s := &aLife{t: t, seed: seed, r: r, racy: seed%8 == 0, of: make([][]*being, threads), timers: make([][]*pledge, threads)}
	s.k = &faulty{Kernel: sim.New(sim.Options{Seed: seed, Chaos: r.IntN(4) > 0, Capacity: 100 + r.IntN(4000)}), r: r, loops: map[int]*sleeper{}}
	for i, a := range []sim.Answer{{Err: syscall.ECONNREFUSED}, {Err: syscall.ENETUNREACH, Now: true}, {Silent: true},
		{After: 700 * time.Millisecond, Accept: s.accepted}} {
		s.k.Answer(lifeGoals[i], a)
	}
	p := &place{s: s, addr: lifeAddrs[0]}
	s.places = append(s.places, p)
	lim := core.Limits{HeaderPool: 1 + r.IntN(3), ConnectTimeout: time.Second, AnswerTimeout: time.Second, CloseTimeout: time.Second}
	if r.IntN(2) == 0 {
		lim.MaxConns = 1 + r.IntN(6)
	}
	if r.IntN(4) == 0 {
		lim.PostQueue, lim.PostBatch = 2+r.IntN(6), 1+r.IntN(3)
	}
	var err error
	s.eng, err = core.New(core.Config{Backend: s.k, Threads: threads, Limits: lim, Log: slog.New(slog.NewTextHandler(&s.log, nil)),
		FilterConn: func(vh *core.VirtualHost, _ string) bool {
			s.now(vh.Engine().Thread(0), "FilterConn", 10)
			return s.r.IntN(20) > 0
		},
		VHosts: []core.VHost{{Addr: p.addr, Protocols: p.protocols()}}})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	p.vh = s.eng.VHost("default")
	return s
}

// accepted is a server that answers as it likes.
func (s *aLife) accepted(p *sim.Peer) {
	out := []string{"", "HTTP/1.1 403 No\r\n\r\n", "HTTP/1.1 101 Sw", "nonsense\r\n\r\n"}[s.r.IntN(4)]
	s.peers = append(s.peers, &lifePeer{Peer: p, out: []byte(out)})
}

// step is something that happens between turns.
func (s *aLife) step() {
	switch n := s.r.IntN(20); {
	case n < 5:
		s.deed(s.eng.Thread(s.r.IntN(s.eng.Threads())), "between turns")
		s.k.look(s.story[len(s.story)-1])
	case n < 9:
		s.arrive()
	case n < 14 && len(s.peers) > 0:
		s.stir(s.peers[s.r.IntN(len(s.peers))])
	case n == 14:
		s.k.faults = s.r.IntN(2) == 0
		s.k.SetFileLimit(s.r.IntN(2) * (s.k.Files() + s.r.IntN(6)))
	case n == 15:
		s.k.SetFileLimit(0)
		s.attach()
	case n == 16:
		s.k.Advance(time.Duration(s.r.IntN(3000)) * time.Millisecond)
	}
	for range s.r.IntN(4) {
		s.k.Turn()
	}
	if s.racy {
		runtime.Gosched()
	}
}

// arrive is a new client, which asks for one thing or another.
func (s *aLife) arrive() {
	addr := lifeAddrs[s.r.IntN(len(lifeAddrs))]
	p := s.k.Dial(addr)
	if p == nil {
		return
	}
	l := &lifePeer{Peer: p}
	host := fmt.Sprintf("v%d", s.r.IntN(len(s.places)+1))
	switch s.r.IntN(6) {
	case 0, 1, 2:
		l.out = []byte(strings.Replace(handshake, "Host: host", "Host: "+host, 1) + "\r\n")
	case 3:
		l.out = []byte("GET / HTTP/1.1\r\nHost: " + host + "\r\n\r\n")
	case 4:
		l.out = []byte("\x16\x03\x01\x00\x05hello")
	}
	if addr == lifeAddrs[3] {
		l.tls = newTLSPeer(s.t, p, tlsio.Client(trusts(""), tlsio.Options{}), func() { s.k.Turn() })
	}
	s.peers = append(s.peers, l)
	s.stir(l)
}

// stir has a peer do something.
func (s *aLife) stir(p *lifePeer) {
	if p.over {
		return
	}
	p.Read()
	switch s.r.IntN(16) {
	case 0:
		p.over = true
		p.Close()
	case 1:
		p.over = true
		p.Reset()
	case 2:
		p.CloseWrite()
	case 3:
		p.Stall(s.r.IntN(2) == 0)
	case 4:
		p.out = append(p.out, ws.AppendClose(nil, 1000, "", &testMask)...)
	default:
		p.out = append(p.out, frame(ws.Text, true, string(letters[:s.r.IntN(300)]))...)
	}
	if p.tls != nil {
		p.tls.read()
		p.tls.deliver()
		return
	}
	n := len(p.out)
	if s.r.IntN(3) == 0 {
		n = s.r.IntN(n + 1)
	}
	p.out = p.out[p.Write(p.out[:n]):]
}

// rest lets things come to rest, with the engine in its loops.
func (s *aLife) rest() {
	s.k.faults = false
	s.k.SetFileLimit(0)
	if s.r.IntN(3) == 0 {
		return // it ends in the middle of everything, detached perhaps
	}
	s.eng.Detach()
	s.attach()
	s.quiet = true
	s.settle()
	if wrong := core.Loads(s.eng); wrong != "" {
		s.errorf("%s", wrong)
	}
	for _, p := range s.posts {
		if p.ran != 1 {
			s.errorf("%s has run %d times", p.what, p.ran)
		}
	}
	for _, all := range s.timers {
		for _, p := range all {
			if !p.due.After(s.k.Now()) && !p.off && p.ran != 1 {
				s.errorf("%s, due %v ago, has run %d times", p.what, s.k.Now().Sub(p.due), p.ran)
			}
		}
	}
	s.quiet = false
}

// settle turns the loops until nothing happens any more, and workers have done.
func (s *aLife) settle() {
	s.k.Drive()
	for n := 0; s.racy && n < 50; n++ {
		runtime.Gosched()
		s.k.Drive()
	}
}

func (s *aLife) end() {
	if s.r.IntN(3) == 0 {
		s.quiet = true
		for range s.places {
			s.remove()
		}
		s.quiet = false
	}
	s.stopping = true
	s.eng.Stop([]time.Duration{0, -1, 3 * time.Second}[s.r.IntN(3)])
	for range s.r.IntN(5) {
		s.step()
	}
	s.k.faults, s.quiet = false, true
	s.k.SetFileLimit(0)
	for until := time.Now().Add(time.Minute); !s.done() && time.Now().Before(until); runtime.Gosched() {
		s.eng.Detach()
		s.attach()
		s.k.Advance(time.Minute)
		if !s.racy {
			break
		}
	}
	s.autopsy()
}

func (s *aLife) done() bool {
	select {
	case <-s.eng.Done():
		return true
	default:
		return false
	}
}

// autopsy looks at what an engine has left that has ended.
func (s *aLife) autopsy() {
	if !s.done() {
		s.errorf("the engine has not ended; left: %s", core.Leftovers(s.eng))
		return
	}
	if left := core.Leftovers(s.eng); left != "" {
		s.errorf("%s", left)
	}
	for _, b := range s.beings {
		if b.closed+b.failed != 1 || b.opened != b.closed {
			s.errorf("%s is left so", b)
		}
	}
	for i, p := range s.places {
		if p.disabled && p.inits == 1 {
			p.destroys++ // there is none
		}
		if p.inits != p.destroys || p.alive != 0 {
			s.errorf("vhost %d (refs %d) had %d Init, %d Destroy; %d are alive", i, core.Refs(p.vh), p.inits, p.destroys, p.alive)
		}
	}
	for _, p := range s.posts {
		if p.ran != 1 {
			s.errorf("%s has run %d times", p.what, p.ran)
		}
	}
	st := s.eng.Stats()
	if st.Conns != 0 || st.Shaking != 0 || st.Headers != 0 || st.Adds != st.Dels || st.Dials != s.dials || st.Panics != 0 || st.Misuses != 0 {
		s.errorf("%d dials; %+v", s.dials, st)
	}
	if n, w := s.k.Files(), s.k.Watched(); n != 0 || w != 0 {
		s.errorf("%d descriptors are open, %d watched", n, w)
	}
	for _, v := range append(s.k.Violations(), s.k.wrong...) {
		s.errorf("%s", v)
	}
}
