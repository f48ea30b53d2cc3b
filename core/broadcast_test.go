package core_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// room is an engine whose WebSockets are all in one group.
type room struct {
	*world
	g    *core.Group
	all  []*boxed
	peer []*peer
}

// newRoom connects n peers on that many threads.
func newRoom(t *testing.T, n, threads int, o sim.Options, p core.Policy, lim core.Limits, gl core.GroupLimits) *room {
	t.Helper()
	r := &room{g: core.NewGroup(gl)}
	r.world = newWorld(t, o, core.Config{Threads: threads, Limits: lim, VHosts: []core.VHost{{
		Protocols: []core.Protocol{{Name: "room", WS: func(c *core.Conn) core.WSHandler {
			h := &boxed{c: c, out: core.NewOutbox(c, p)}
			if err := r.g.Add(h.out); err != nil {
				t.Error(err)
			}
			if err := r.g.Add(h.out); err != nil { // again: nothing
				t.Error(err)
			}
			r.all = append(r.all, h)
			return h
		}}},
	}}})
	for range n {
		r.peer = append(r.peer, r.ws())
	}
	if r.g.Len() != n {
		t.Fatalf("%d members of %d", r.g.Len(), n)
	}
	return r
}

func (r *room) send(s string) error { return r.g.Send(core.Message{Data: []byte(s)}) }

// TestGroupEncodesOnce: 1,000 receivers, one frame in memory, one write each and
// not a byte copied.
func TestGroupEncodesOnce(t *testing.T) {
	for _, threads := range []int{1, 4} {
		t.Run(fmt.Sprint(threads), func(t *testing.T) {
			const n = 1000
			r := newRoom(t, n, threads, sim.Options{}, core.DropOldest, core.Limits{}, core.GroupLimits{})
			used := map[int]bool{}
			for _, h := range r.all {
				used[h.c.Thread().Index()] = true
			}
			if len(used) != threads {
				t.Fatalf("the receivers are on %d threads", len(used))
			}
			text := strings.Repeat("all of you ", 20)
			s := core.NewShared(core.Message{Data: []byte(text)})
			before, writes := r.eng.Stats(), r.k.Counts().Writes
			if err := r.g.SendShared(s); err != nil {
				t.Fatal(err)
			}
			r.k.Drive()
			for i, p := range r.peer {
				if got := string(p.Read()); got != "\x81\x7e\x00\xdc"+text {
					t.Fatalf("receiver %d got %q", i, got)
				}
			}
			st := r.eng.Stats()
			if s.Encodings() != 1 {
				t.Errorf("encoded %d times", s.Encodings())
			}
			if out, shared := st.BytesOut-before.BytesOut, st.SharedOut-before.SharedOut; out != shared || out != n*uint64(len(text)+4) {
				t.Errorf("%d bytes out, of which %d were not copied", out, shared)
			}
			if used := r.k.Counts().Writes - writes; used != n {
				t.Errorf("%d writes", used)
			}
			if posts := st.Posts - before.Posts; posts != uint64(threads) {
				t.Errorf("%d posts, want one per thread", posts)
			}
			if gs := r.g.Stats(); gs != (core.GroupStats{Members: n, Sent: 1, Delivered: n}) {
				t.Errorf("%+v", gs)
			}
		})
	}
}

// TestGroupOneIsSlow: the others have everything before the slow one has taken a
// byte, and it holds what its outbox allows, by pointer.
func TestGroupOneIsSlow(t *testing.T) {
	const n, size, messages = 50, 1000, 100
	for _, policy := range []core.Policy{core.DropOldest, core.Refuse, core.CloseSlow, core.PauseSource} {
		t.Run(policy.String(), func(t *testing.T) {
			lim := core.Limits{OutboxBytes: 10 * size, PingInterval: -1, PongTimeout: -1}
			r := newRoom(t, n, 2, sim.Options{Capacity: 4096}, policy, lim, core.GroupLimits{})
			slow := 7
			r.peer[slow].Stall(true)
			for i := range messages {
				if err := r.g.Send(core.Message{Data: numbered(i, size)}); err != nil {
					t.Fatal(err)
				}
				if i%10 == 9 {
					r.k.Drive()
				}
			}
			for i, p := range r.peer {
				if got := numbers(string(p.Read())); i != slow && fmt.Sprint(got) != fmt.Sprint(span(0, messages-1)) {
					t.Fatalf("receiver %d got %v", i, got)
				}
			}
			h := r.all[slow]
			const below = 5*(size+4) - 4096
			if h.out.Pending() != below+10*size {
				t.Errorf("the slow one holds %d bytes, want %d", h.out.Pending(), below+10*size)
			}
			gs, want := r.g.Stats(), core.GroupStats{Members: n, Sent: messages, Delivered: n*messages - (messages - 15)}
			first := 0
			switch policy {
			case core.DropOldest:
				want.Delivered, want.Dropped = n*messages, messages-15
				first = messages - 10
			case core.CloseSlow:
				want.Members, want.Refused, want.Left = n-1, 1, 1
			default:
				want.Refused = messages - 15
			}
			if gs != want {
				t.Errorf("got  %+v\nwant %+v", gs, want)
			}
			r.peer[slow].Stall(false)
			r.k.Drive()
			list := span(0, 14)
			if first > 0 {
				list = append(span(0, 4), span(first, messages-1)...)
			}
			if policy == core.CloseSlow {
				list = span(0, 4)
			}
			if got := numbers(string(r.peer[slow].Read())); fmt.Sprint(got) != fmt.Sprint(list) {
				t.Errorf("the slow one got %v in the end, want %v", got, list)
			}
		})
	}
}

// TestGroupMemoryPerReceiver: a message of 1 MiB for 300 receivers that take
// nothing costs each of them some hundred bytes.
func TestGroupMemoryPerReceiver(t *testing.T) {
	const n, size = 300, 1 << 20
	r := newRoom(t, n, 1, sim.Options{Capacity: 1000}, core.DropOldest, core.Limits{OutboxBytes: 4 * size}, core.GroupLimits{Bytes: -1})
	for _, p := range r.peer {
		p.Stall(true)
	}
	big := core.Message{Data: make([]byte, size)}
	r.g.Send(big) // goes below: what the wire has not taken is a reference
	r.k.Drive()
	shared := core.NewShared(big)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	r.g.SendShared(shared) // waits above
	r.k.Drive()
	runtime.ReadMemStats(&after)
	each := int(after.TotalAlloc-before.TotalAlloc) / n
	t.Logf("%d bytes of heap per receiver for a message of %d that waits", each, size)
	if each > 1000 {
		t.Errorf("%d bytes were allocated per receiver", each)
	}
	if got := r.all[0].out.Pending(); got != 2*size+10-1000 {
		t.Errorf("%d bytes wait", got)
	}
}

// TestGroupTurnIsBounded: a group larger than a turn's budget is served over
// turns; who joins and leaves in between gets what it should, nobody a message
// twice, and the order holds.
func TestGroupTurnIsBounded(t *testing.T) {
	const n, messages = 3000, 3
	r := newRoom(t, n, 1, sim.Options{}, core.Refuse, core.Limits{}, core.GroupLimits{})
	for i := range messages {
		if err := r.g.Send(core.Message{Data: numbered(i, 10)}); err != nil {
			t.Fatal(err)
		}
	}
	got := make([][]int, n)
	read := func() (total int) {
		for i := range n {
			got[i] = append(got[i], numbers(string(r.peer[i].Read()))...)
			total += len(got[i])
		}
		return total
	}
	gone := map[int]int{} // member -> what it had when it left
	var late *peer
	last, turns := 0, 0
	for last < messages*n {
		if !r.k.Turn() {
			break
		}
		now := read()
		if now-last > 2048 {
			t.Fatalf("%d deliveries in one turn", now-last)
		}
		last = now
		if turns++; turns <= 3 {
			for i := turns; i < n; i += 97 {
				if r.g.Remove(r.all[i].out) {
					gone[i] = len(got[i])
				}
				if r.g.Remove(r.all[i].out) {
					t.Error("removed twice")
				}
			}
			for i := turns + 50; i < n; i += 211 {
				if _, is := gone[i]; !is {
					gone[i] = len(got[i])
					r.peer[i].Reset() // goes by itself
				}
			}
		}
		if turns == 2 {
			p := r.k.Dial(host)
			late = &peer{Peer: p, w: r.world}
			p.WriteString(handshake + "\r\n")
		}
	}
	r.k.Advance(5 * time.Second)
	read()
	if turns < messages*n/2048 {
		t.Errorf("all was done in %d turns", turns)
	}
	for i := range n {
		want := messages
		if had, is := gone[i]; is {
			want = had
			if i%211 != 0 && len(got[i]) < had || len(got[i]) > messages {
				t.Fatalf("receiver %d left with %d messages and has %v", i, had, got[i])
			}
			if len(got[i]) == had {
				continue
			}
			if r.all[i].ends == 0 { // it did not reset, so it was removed at once
				t.Fatalf("receiver %d left with %d messages and got %v", i, had, got[i])
			}
			continue
		}
		if fmt.Sprint(got[i]) != fmt.Sprint(span(0, want-1)) {
			t.Fatalf("receiver %d got %v", i, got[i])
		}
	}
	if raw := string(late.Read()); !strings.Contains(raw, " 101 ") || len(numbers(raw)) != 0 {
		t.Errorf("who came later got %q", raw)
	}
	if gs := r.g.Stats(); gs.Flight != 0 || gs.FlightBytes != 0 || gs.Members != n+1-len(gone) {
		t.Errorf("%+v, %d had left", gs, len(gone))
	}
}

// TestGroupLimits: messages on their way are bounded by number and bytes.
func TestGroupLimits(t *testing.T) {
	for _, tc := range []struct {
		lim  core.GroupLimits
		want int
	}{{core.GroupLimits{Messages: 3}, 3}, {core.GroupLimits{Bytes: 45}, 4}, {core.GroupLimits{Bytes: 5}, 1}, {core.GroupLimits{}, 1024}, {core.GroupLimits{Messages: -1}, 2000}} {
		r := newRoom(t, 2, 2, sim.Options{}, core.Refuse, core.Limits{}, tc.lim)
		taken := 0
		for range 2000 {
			switch err := r.send("ten bytes."); {
			case err == nil:
				taken++
			case !errors.Is(err, core.ErrFull):
				t.Fatal(err)
			}
		}
		gs := r.g.Stats()
		if taken != tc.want || gs.Flight != tc.want || gs.FlightBytes != 10*tc.want || gs.Full != uint64(2000-tc.want) {
			t.Errorf("%+v: %d taken, %+v", tc.lim, taken, gs)
		}
		r.k.Drive()
		if gs := r.g.Stats(); gs.Flight != 0 || gs.FlightBytes != 0 || gs.Delivered != uint64(2*tc.want) {
			t.Errorf("%+v: then %+v", tc.lim, gs)
		}
		r.stop()
	}
}

// TestGroupRoom: a publisher that was refused is told once when it may go on, and
// may send in the call; who was never refused hears nothing.
func TestGroupRoom(t *testing.T) {
	told, sent := 0, 0
	var r *room
	lim := core.GroupLimits{Messages: 4, Room: func() {
		told++
		for sent < 40 && r.g.Send(core.Message{Data: numbered(sent, 10)}) == nil {
			sent++
		}
	}}
	r = newRoom(t, 5, 2, sim.Options{}, core.Refuse, core.Limits{}, lim)
	r.send("one")
	r.k.Drive()
	if told != 0 {
		t.Errorf("told %d times without need", told)
	}
	for sent < 40 && r.g.Send(core.Message{Data: numbered(sent, 10)}) == nil {
		sent++
	}
	if sent != 4 {
		t.Fatalf("%d were taken", sent)
	}
	r.k.Drive()
	for i, p := range r.peer {
		if got := numbers(string(p.Read())); fmt.Sprint(got) != fmt.Sprint(span(0, 39)) {
			t.Errorf("receiver %d got %v", i, got)
		}
	}
	if told < 36/4 || told > 36 {
		t.Errorf("told %d times", told)
	}
}

// TestGroupMembers: nobody, all but one, members that go while a message is on
// its way to them, a group that outlives its members.
func TestGroupMembers(t *testing.T) {
	r := newRoom(t, 3, 1, sim.Options{}, core.Refuse, core.Limits{}, core.GroupLimits{})
	if err := r.g.SendExcept(r.all[1].out, core.Message{Data: []byte("not you")}); err != nil {
		t.Fatal(err)
	}
	r.peer[0].want(`text "not you"`)
	r.peer[1].want("")
	r.peer[2].want(`text "not you"`)
	r.send("to those who stay")
	r.g.Remove(r.all[0].out)
	r.all[1].c.Close(1000, "") // closing already, though not gone
	r.k.Drive()
	r.peer[0].want("")
	r.peer[1].want("close 1000")
	r.peer[2].want(`text "to those who stay"`)
	if r.g.Len() != 1 {
		t.Errorf("%d members", r.g.Len())
	}
	if err := r.g.Add(r.all[1].out); !errors.Is(err, core.ErrConnClosed) {
		t.Errorf("adding who closes: %v", err)
	}
	r.send("lost")
	r.g.Remove(r.all[2].out)
	if gs := r.g.Stats(); gs.Members != 0 || gs.Flight != 0 || gs.FlightBytes != 0 {
		t.Errorf("%+v", gs)
	}
	if err := r.send("nobody"); err != nil {
		t.Error(err)
	}
	r.k.Drive()
	if err := r.g.Add(r.all[0].out); err != nil {
		t.Error(err)
	}
	r.send("back")
	r.peer[0].want(`text "back"`)
	r.peer[2].want("")
	r.peer[0].Close()
	r.k.Drive()
	if r.g.Len() != 0 {
		t.Error("a member is left")
	}
	r.stop()
	if err := r.send("after the engine's end"); err != nil {
		t.Error(err)
	}
}

// TestGroupClosedByAWrite: a broken wire is found while handing out, and the
// handler's Closed changes the group in the middle of it.
func TestGroupClosedByAWrite(t *testing.T) {
	const n = 20
	r := newRoom(t, n, 1, sim.Options{}, core.Refuse, core.Limits{HangupTimeout: time.Millisecond}, core.GroupLimits{})
	for i := 0; i < n; i += 3 {
		r.peer[i].Close()
	}
	r.send("one")
	r.send("two")
	r.k.Advance(time.Second)
	left := 0
	for i, p := range r.peer {
		if i%3 != 0 {
			left++
			p.want(`text "one" | text "two"`)
		}
	}
	if gs := r.g.Stats(); gs.Members != left || gs.Flight != 0 {
		t.Errorf("%+v, want %d members", gs, left)
	}
}

// TestGroupSendFromGoroutines: sends from many goroutines while the loop turns.
func TestGroupSendFromGoroutines(t *testing.T) {
	const senders, each, n = 8, 100, 20
	for _, threads := range []int{1, 4} {
		r := newRoom(t, n, threads, sim.Options{}, core.Refuse, core.Limits{OutboxCount: -1}, core.GroupLimits{Messages: 50})
		var wg sync.WaitGroup
		for s := range senders {
			wg.Go(func() {
				for i := 0; i < each; {
					if r.g.Send(core.Message{Data: fmt.Appendf(nil, "<%d %d>", s, i)}) == nil {
						i++
					} else {
						runtime.Gosched()
					}
				}
			})
		}
		done := make(chan struct{})
		go func() { wg.Wait(); close(done) }()
		r.until("all sent", func() bool {
			select {
			case <-done:
				return true
			default:
				return false
			}
		})
		r.k.Drive()
		first := ""
		for i, p := range r.peer {
			raw := string(p.Read())
			next := make([]int, senders)
			for _, part := range strings.Split(raw, "<")[1:] {
				var s, k int
				fmt.Sscanf(part, "%d %d>", &s, &k)
				if next[s] != k {
					t.Fatalf("receiver %d: %d of sender %d, want %d", i, k, s, next[s])
				}
				next[s]++
			}
			if first == "" {
				first = raw
			}
			if raw != first {
				t.Fatalf("receivers 0 and %d saw different orders", i)
			}
			for s, k := range next {
				if k != each {
					t.Fatalf("receiver %d has %d of sender %d", i, k, s)
				}
			}
		}
		r.stop()
	}
}
