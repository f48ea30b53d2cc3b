package looptest_test

import (
	"bytes"
	"flag"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

var (
	schedules = flag.Int("schedules", 600, "random schedules to run")
	seedFlag  = flag.Uint64("seed", 0, "run only the schedule of this seed")
)

// TestSchedules runs random conversations over the mock kernel, with readiness
// delivered in any legal order: shuffled, late, twice, spurious, stale for a
// number that was reused, mixed with the application's own descriptors. What is
// echoed must be what was sent, and the contract must hold at every call.
//
//	go test ./core/loop/looptest -run TestSchedules -seed 17      # one again
//	go test ./core/loop/looptest -run TestSchedules -schedules 100000
func TestSchedules(t *testing.T) {
	if *seedFlag != 0 {
		runSchedule(t, *seedFlag)
		return
	}
	t.Logf("seeds 1 to %d", *schedules)
	for seed := uint64(1); seed <= uint64(*schedules) && !t.Failed(); seed++ {
		runSchedule(t, seed)
	}
}

// FuzzSchedule lets the fuzzer choose the seed.
func FuzzSchedule(f *testing.F) {
	for seed := uint64(1); seed < 8; seed++ {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, seed uint64) { runSchedule(t, seed) })
}

// talker is one peer and what it must get back.
type talker struct {
	p       *sim.Peer
	sent    []byte // what the wire has not taken yet
	want    []byte // of the echo
	got     []byte
	up      bool
	stalled bool
	over    bool
}

type schedule struct {
	t    *testing.T
	r    *rand.Rand
	k    *sim.Kernel
	eng  *core.Engine
	all  []*talker
	apps []int
}

const simAddr = "sim:80"

func runSchedule(t *testing.T, seed uint64) {
	t.Helper()
	r := rand.New(rand.NewPCG(seed, 99))
	k := sim.New(sim.Options{Seed: seed, Chaos: true, Capacity: 200 + r.IntN(5000), Files: 8 + r.IntN(40)})
	eng, err := core.New(core.Config{Backend: k, Limits: core.Limits{MaxConns: 3 + r.IntN(20), HeaderPool: 1 + r.IntN(4)},
		VHosts: []core.VHost{{Addr: simAddr, Protocols: []core.Protocol{{Name: "chaos", WS: chaosEcho(r)}}}}})
	if err != nil {
		t.Fatalf("seed %d: %v", seed, err)
	}
	s := &schedule{t: t, r: r, k: k, eng: eng}
	for range 60 + r.IntN(100) {
		s.step()
		for range r.IntN(4) {
			k.Turn()
		}
	}
	s.finish()
	for _, v := range k.Violations() {
		t.Errorf("seed %d: contract: %s", seed, v)
	}
	if t.Failed() {
		t.Logf("replay with -seed %d; last steps:\n%s", seed, k.Trace())
	}
}

// chaosEcho echoes, and now and then pauses itself for a while.
func chaosEcho(r *rand.Rand) func(*core.Conn) core.WSHandler {
	return core.OnMessage(func(c *core.Conn, m core.Message, out *core.Outbox) error {
		if r.IntN(8) == 0 {
			c.Pause()
			c.Post(func(c *core.Conn) { c.Resume() })
		}
		if r.IntN(8) == 0 {
			c.RequestWritable()
		}
		return out.Send(m)
	})
}

func (s *schedule) step() {
	if len(s.all) == 0 || s.r.IntN(6) == 0 {
		if p := s.k.Dial(simAddr); p != nil {
			tk := &talker{p: p, sent: []byte(scheduleRequest)}
			p.SetReadSize(s.r.IntN(3) * (1 + s.r.IntN(200)))
			p.SetWriteSize(s.r.IntN(3) * (1 + s.r.IntN(200)))
			s.all = append(s.all, tk)
		}
		return
	}
	tk := s.all[s.r.IntN(len(s.all))]
	switch s.r.IntN(14) {
	case 0, 1, 2, 3, 4, 5:
		if tk.up {
			s.say(tk)
		}
	case 6:
		tk.stalled = !tk.stalled
		tk.p.Stall(tk.stalled)
	case 7:
		s.k.Advance(time.Duration(s.r.IntN(50)) * time.Millisecond)
	case 8:
		if s.r.IntN(3) == 0 && !tk.over {
			tk.over = true
			tk.p.Reset()
		}
	case 9:
		if s.r.IntN(3) == 0 && !tk.over {
			tk.over = true
			tk.p.Close()
		}
	case 10:
		if len(s.apps) < 5 {
			s.apps = append(s.apps, s.k.OpenAppOr(-1))
		}
	case 11:
		if n := len(s.apps); n > 0 && s.apps[n-1] >= 0 {
			s.k.CloseApp(s.apps[n-1])
			s.apps = s.apps[:n-1]
		}
	case 12:
		s.eng.Wake()
	case 13:
		tk.p.SetLatency(time.Duration(s.r.IntN(3)) * time.Millisecond)
	}
	s.pump(tk)
}

const scheduleRequest = "GET / HTTP/1.1\r\nHost: sim\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
	"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"

// say sends a message, sometimes in fragments with a Ping between.
func (s *schedule) say(tk *talker) {
	msg := make([]byte, s.r.IntN(400))
	for i := range msg {
		msg[i] = byte(s.r.IntN(256))
	}
	h := ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, byte(len(msg))}}
	if cut := s.r.IntN(len(msg) + 1); s.r.IntN(3) == 0 {
		h.Fin = false
		tk.sent = ws.AppendFrame(tk.sent, h, msg[:cut])
		h.Op, h.Fin = ws.Continuation, true
		tk.sent = ws.AppendFrame(tk.sent, h, msg[cut:])
	} else {
		tk.sent = ws.AppendFrame(tk.sent, h, msg)
	}
	tk.want = ws.AppendFrame(tk.want, ws.Header{Op: ws.Binary, Fin: true}, msg)
}

// pump moves bytes of one peer.
func (s *schedule) pump(tk *talker) {
	if tk.over {
		return
	}
	tk.sent = tk.sent[tk.p.Write(tk.sent):]
	tk.got = append(tk.got, tk.p.Read()...)
	if !tk.up {
		if i := bytes.Index(tk.got, []byte("\r\n\r\n")); i >= 0 {
			if !bytes.HasPrefix(tk.got, []byte("HTTP/1.1 101")) {
				s.t.Errorf("seed: answer %.40q", tk.got)
			}
			tk.up, tk.got = true, tk.got[i+4:]
		}
	}
	if n := min(len(tk.got), len(tk.want)); !bytes.Equal(tk.got[:n], tk.want[:n]) {
		s.t.Errorf("bytes are not the peer's own: %s", diff(tk.got, tk.want))
		tk.over = true
	}
}

func diff(got, want []byte) string {
	for i := range min(len(got), len(want)) {
		if got[i] != want[i] {
			return fmt.Sprintf("byte %d of %d is %#x, want %#x", i, len(got), got[i], want[i])
		}
	}
	return "lengths"
}

// finish lets every conversation end, and the engine stop.
func (s *schedule) finish() {
	s.k.SetFileLimit(0)
	for _, tk := range s.all {
		tk.p.Stall(false)
		tk.p.SetLatency(0)
		tk.p.SetWriteSize(0)
	}
	for range 40 {
		for _, tk := range s.all {
			s.pump(tk)
		}
		s.k.Advance(20 * time.Millisecond)
	}
	for i, tk := range s.all {
		s.pump(tk)
		if tk.up && !tk.over && (len(tk.sent) > 0 || !bytes.Equal(tk.got, tk.want)) {
			s.t.Errorf("peer %d: got %d of %d bytes, %d not taken", i, len(tk.got), len(tk.want), len(tk.sent))
		}
	}
	s.eng.Stop(0)
	s.k.Advance(30 * time.Second)
	select {
	case <-s.eng.Done():
	default:
		s.t.Error("the engine has not ended")
	}
	if n := s.k.Files(); n != 0 {
		s.t.Errorf("%d descriptors left", n)
	}
}
