package looptest_test

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest"
	"anyloop/core/loop/sim"
)

// TestStreamSchedules is TestSchedules with an engine between the peers and core
// that owns the sockets, in any mix of the ways that engines have, in virtual
// time: WebSocket echoes with fragments, slow and stalled readers, pauses, ends of
// all kinds, and HTTP bodies, pipelined. What arrives must be exact to the byte,
// and the contract of streams must hold at every call.
//
//	go test ./core/loop/looptest -run TestStreamSchedules -seed 17
func TestStreamSchedules(t *testing.T) {
	if *seedFlag != 0 {
		runStreamSchedule(t, *seedFlag)
		return
	}
	n := max(1, *schedules/20) // each moves more bytes than those of TestSchedules
	t.Logf("seeds 1 to %d", n)
	for seed := uint64(1); seed <= uint64(n) && !t.Failed(); seed++ {
		runStreamSchedule(t, seed)
	}
}

// FuzzStreamSchedule lets the fuzzer choose the seed.
func FuzzStreamSchedule(f *testing.F) {
	for seed := uint64(1); seed < 8; seed++ {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { runStreamSchedule(t, seed) })
}

// randomMode is any engine.
func randomMode(r *rand.Rand) looptest.MockMode {
	or := func(one int, n int) int { // n with a probability of 1/one, else 0
		if r.IntN(one) > 0 {
			return 0
		}
		return n
	}
	return looptest.MockMode{
		Mark: or(2, 1+r.IntN(3000)), Piece: 1 + r.IntN(1+or(3, 4)+or(2, 600)),
		Overwrites: r.IntN(4) == 0, Holds: r.IntN(3) == 0, Inside: r.IntN(2) == 0,
		Late: or(2, r.IntN(30)), LateFeeds: or(2, r.IntN(4)), Spurious: r.IntN(4) == 0,
		NoEOF: r.IntN(4) == 0, NoPause: r.IntN(4) == 0, NoCloseWrite: r.IntN(4) == 0, Random: r,
	}
}

// streamSchedule is a schedule whose listener is the engine's.
type streamSchedule struct {
	schedule
	mode  looptest.MockMode
	m     *looptest.Mock
	watch *looptest.StreamWatch
	pages []*pager
}

// pager asks for bodies.
type pager struct {
	p      *sim.Peer
	sent   []byte
	got    []byte
	bodies []int
	ends   bool // the last request asks for the end
	half   bool // it half-closes behind its requests
	over   bool // it has gone
}

func runStreamSchedule(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 1234))
	k := sim.New(sim.Options{Seed: seed, Chaos: true, Capacity: 200 + r.IntN(5000), Files: 8 + r.IntN(40)})
	mode := randomMode(r)
	s := &streamSchedule{mode: mode, m: looptest.NewMock(mode, k), watch: looptest.NewStreamWatch()}
	if r.IntN(2) == 0 {
		s.watch.SpoilInput()
		s.watch.SpoilOutput()
	}
	eng, err := core.New(core.Config{Backend: k, Limits: core.Limits{MaxConns: 3 + r.IntN(20), HeaderPool: 1 + r.IntN(4)},
		VHosts: []core.VHost{{Protocols: []core.Protocol{{Name: "chaos", WS: chaosEcho(r),
			HTTP: func(*core.Conn) core.HTTPHandler { return &bodyOf{} }}}}}})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	s.schedule = schedule{t: t, r: r, k: k, eng: eng}
	_, listener, err := s.m.Listen("tcp", simAddr, s.accept)
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	for range 40 + r.IntN(60) {
		if r.IntN(8) == 0 {
			s.page()
		}
		s.step()
		for range r.IntN(6 + 100/mode.Piece) {
			s.turn()
		}
	}
	s.finish()
	s.end(listener.Close)
	if t.Failed() {
		t.Logf("replay with -seed %d: %+v; last steps:\n%s", seed, mode, k.Trace())
	}
}

// accept adopts a connection of the engine's.
func (s *streamSchedule) accept(_ int, st loop.Stream, peer string) (loop.StreamConn, error) {
	ours := s.watch.Stream(st)
	sc, err := s.eng.Thread(0).AdoptStream(ours, s.eng.VHost("default"), peer)
	return s.watch.Conn(ours, sc, err)
}

func (s *streamSchedule) turn() {
	s.m.Turn()
	s.k.Turn()
	for _, pg := range s.pages {
		pg.pump()
	}
}

// page has a new peer ask for bodies, one behind the other.
func (s *streamSchedule) page() {
	p := s.k.Dial(simAddr)
	if p == nil {
		return
	}
	pg := &pager{p: p, ends: s.r.IntN(2) == 0, half: !s.mode.NoEOF && s.r.IntN(3) == 0}
	p.SetReadSize(s.r.IntN(3) * (1 + s.r.IntN(200)))
	p.SetWriteSize(s.r.IntN(3) * (1 + s.r.IntN(200)))
	n := 1 + s.r.IntN(4)
	for i := range n {
		size := s.r.IntN(200 + min(4000, 20*s.mode.Piece))
		pg.bodies = append(pg.bodies, size)
		end := ""
		if pg.ends && i == n-1 {
			end = "Connection: close\r\n"
		}
		pg.sent = fmt.Appendf(pg.sent, "GET /?n=%d HTTP/1.1\r\nHost: sim\r\n%s\r\n", size, end)
	}
	s.pages = append(s.pages, pg)
}

func (pg *pager) pump() {
	if pg.over {
		return
	}
	pg.sent = pg.sent[pg.p.Write(pg.sent):]
	if len(pg.sent) == 0 && pg.half {
		pg.half = false
		pg.p.CloseWrite()
	}
	pg.got = append(pg.got, pg.p.Read()...)
}

// missing says what of the answers has not come, "" if all has.
func (pg *pager) missing() string {
	rest := pg.got
	for i, n := range pg.bodies {
		at := bytes.Index(rest, []byte("\r\n\r\n"))
		if at < 0 {
			return fmt.Sprintf("response %d of %d: %.90q", i+1, len(pg.bodies), rest)
		}
		if head := string(rest[:at]); !strings.HasPrefix(head, "HTTP/1.1 200 ") || !strings.Contains(head, fmt.Sprintf("content-length: %d", n)) {
			return fmt.Sprintf("response %d: %q", i+1, head)
		}
		if rest = rest[at+4:]; len(rest) < n {
			return fmt.Sprintf("response %d: %d of %d bytes", i+1, len(rest), n)
		}
		for j, b := range rest[:n] {
			if b != byte(j%251) {
				return fmt.Sprintf("response %d: byte %d of %d is %d", i+1, j, n, b)
			}
		}
		rest = rest[n:]
	}
	if len(rest) > 0 {
		return fmt.Sprintf("%.90q behind the last response", rest)
	}
	if pg.ends && !pg.p.EOF() {
		return "the end of the connection"
	}
	return ""
}

// refused reports whether core did not take the connection.
func (pg *pager) refused() bool { return len(pg.got) == 0 && (pg.p.ResetSeen() || pg.p.Gone()) }

// missing says what of a talker's echoes has not come.
func missing(tk *talker) string {
	if !tk.up || tk.over || len(tk.sent) == 0 && bytes.Equal(tk.got, tk.want) {
		return ""
	}
	return fmt.Sprintf("%d of %d bytes, %d not taken", len(tk.got), len(tk.want), len(tk.sent))
}

// finish lets every conversation come to its end.
func (s *streamSchedule) finish() {
	s.k.SetFileLimit(0)
	for _, tk := range s.all {
		tk.p.Stall(false)
		tk.p.SetLatency(0)
		tk.p.SetWriteSize(0)
	}
	left, moved, last := "", 0, 0
	for n := 0; n < last+20000; n++ {
		s.turn()
		if n%32 != 0 {
			continue
		}
		if n%512 == 0 {
			s.k.Advance(time.Millisecond)
		}
		if c := s.watch.Counts(); c.Fed+c.Taken+s.received() != moved {
			moved, last = c.Fed+c.Taken+s.received(), n
		}
		left = ""
		for i, tk := range s.all {
			s.pump(tk)
			if m := missing(tk); m != "" {
				left = fmt.Sprintf("peer %d: %s", i, m)
			}
		}
		for i, pg := range s.pages {
			if m := pg.missing(); m != "" && !pg.refused() {
				left = fmt.Sprintf("pager %d: %s", i, m)
			}
		}
		if left == "" {
			return
		}
	}
	s.t.Errorf("%s", left)
}

// received is how much the peers have.
func (s *streamSchedule) received() (n int) {
	for _, tk := range s.all {
		n += tk.p.Received()
	}
	for _, pg := range s.pages {
		n += pg.p.Received()
	}
	return n
}

// end stops the engine and looks at what is left.
func (s *streamSchedule) end(unlisten func() error) {
	t := s.t
	if err := unlisten(); err != nil {
		t.Error(err)
	}
	s.eng.Stop(0)
	ended := false
	for n := 0; n < 200000 && !ended; n++ {
		s.turn()
		if n%64 == 0 {
			s.k.Advance(100 * time.Millisecond)
		}
		select {
		case <-s.eng.Done():
			ended = true
		default:
		}
	}
	if !ended {
		t.Errorf("the engine of core's has not ended: %+v", s.watch.Counts())
	}
	for _, f := range s.watch.Faults() {
		t.Errorf("%s", f)
	}
	for _, w := range s.m.Wrong() {
		t.Errorf("mock engine: %s", w)
	}
	for _, v := range s.k.Violations() {
		t.Errorf("contract: %s", v)
	}
	if n := s.watch.Counts().Open; n != 0 || s.m.Conns() != 0 || s.k.Files() != 0 {
		t.Errorf("%d connections open, %d in the engine, %d descriptors left", n, s.m.Conns(), s.k.Files())
	}
	if st := s.eng.Stats(); st.Misuses != 0 || st.Conns != 0 || st.Headers != 0 {
		t.Errorf("left over: %+v", st)
	}
}

// bodyOf answers "?n=..." with n bytes, in pieces.
type bodyOf struct{ n, at int }

func (h *bodyOf) Request(c *core.Conn, r *core.Request) error {
	n, _ := r.Arg("n")
	h.n, _ = strconv.Atoi(n)
	h.at = 0
	return c.RequestWritable()
}

func (h *bodyOf) Writable(c *core.Conn, w *core.HTTPWriter) error {
	if w.Status() == 0 {
		if h.n > 0 {
			if err := c.RequestWritable(); err != nil {
				return err
			}
		}
		return w.Head(200, nil, int64(h.n))
	}
	var p []byte
	for i := h.at; i < min(h.n, h.at+1000); i++ {
		p = append(p, byte(i%251))
	}
	n, err := w.Write(p)
	if err != nil {
		return err
	}
	if h.at += n; h.at < h.n {
		return c.RequestWritable()
	}
	return nil
}
