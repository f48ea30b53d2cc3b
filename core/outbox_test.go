package core_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// boxed is a WebSocket handler with an outbox.
type boxed struct {
	c    *core.Conn
	out  *core.Outbox
	got  int
	on   func(*boxed) error
	err  error
	ends int
	left int // what the outbox held in Closed
}

func (h *boxed) Receive(*core.Conn, core.Fragment) error {
	h.got++
	if h.on == nil {
		return nil
	}
	return h.on(h)
}
func (h *boxed) Writable(_ *core.Conn, w *core.WSWriter) error { return h.out.Writable(w) }
func (h *boxed) Closed(_ *core.Conn, err error)                { h.err, h.ends, h.left = err, h.ends+1, h.out.Len() }

// newBoxes starts an engine whose handlers are boxed, in order of arrival.
func newBoxes(t *testing.T, o sim.Options, p core.Policy, cfg core.Config, on func(*boxed) error) (*world, *[]*boxed) {
	t.Helper()
	all := &[]*boxed{}
	cfg.VHosts = []core.VHost{{Protocols: []core.Protocol{{Name: "box", WS: func(c *core.Conn) core.WSHandler {
		h := &boxed{c: c, out: core.NewOutbox(c, p), on: on}
		*all = append(*all, h)
		return h
	}}}}}
	return newWorld(t, o, cfg), all
}

// numbered is a message of exactly size bytes that begins with its number.
func numbered(n, size int) []byte {
	s := fmt.Sprintf("%06d.", n)
	return []byte(s + strings.Repeat("x", size-len(s)))
}

// numbers reads the numbers of all numbered messages in what a peer received.
func numbers(s string) (list []int) {
	for i := 0; i+7 <= len(s); i++ {
		if s[i+6] != '.' {
			continue
		}
		n := 0
		if _, err := fmt.Sscanf(s[i:i+6], "%06d", &n); err == nil {
			list = append(list, n)
		}
	}
	return list
}

func span(from, to int) (list []int) {
	for i := from; i <= to; i++ {
		list = append(list, i)
	}
	return list
}

// TestOutboxPolicies has a peer that takes nothing and a source of 30 messages of
// 1,000 bytes. The wire holds 4,096 bytes: four frames of 1,004 bytes and 80 bytes
// of the fifth, of which 924 wait below. What waits above is asserted to the byte.
func TestOutboxPolicies(t *testing.T) {
	const (
		size  = 1000
		below = 5*(size+4) - 4096
	)
	cases := []struct {
		policy           core.Policy
		bytes, count     int // limits
		calls, full      int // of Receive, and sends that met ErrFull
		waits, dropped   int
		first, thenFrom  int // what arrives in the end: 1 to first, then thenFrom to 30
		closed, restarts bool
	}{
		{policy: core.Refuse, bytes: 10 * size, count: -1, calls: 30, full: 15, waits: 10, first: 15},
		{policy: core.Refuse, bytes: 10*size - 1, count: -1, calls: 30, full: 16, waits: 9, first: 14},
		{policy: core.Refuse, bytes: -1, count: 3, calls: 30, full: 22, waits: 3, first: 8},
		{policy: core.Refuse, bytes: size / 2, count: -1, calls: 30, full: 24, waits: 1, first: 6},
		{policy: core.DropOldest, bytes: 10 * size, count: -1, calls: 30, waits: 10, dropped: 15, first: 5, thenFrom: 21},
		{policy: core.DropOldest, bytes: -1, count: 2, calls: 30, waits: 2, dropped: 23, first: 5, thenFrom: 29},
		{policy: core.CloseSlow, bytes: 10 * size, count: -1, calls: 16, full: 1, waits: 10, first: 5, closed: true},
		{policy: core.CloseSlow, bytes: -1, count: 4, calls: 10, full: 1, waits: 4, first: 5, closed: true},
		{policy: core.PauseSource, bytes: 10 * size, count: -1, calls: 6, waits: 1, first: 30, restarts: true},
	}
	for _, shared := range []bool{false, true} {
		for _, tc := range cases {
			t.Run(fmt.Sprintf("%v/%d/%d/shared=%v", tc.policy, tc.bytes, tc.count, shared), func(t *testing.T) {
				full := 0
				lim := core.Limits{OutboxBytes: tc.bytes, OutboxCount: tc.count, PingInterval: -1, PongTimeout: -1}
				w, all := newBoxes(t, sim.Options{Capacity: 4096}, tc.policy, core.Config{Limits: lim}, func(h *boxed) error {
					m := core.Message{Data: numbered(h.got, size)}
					var err error
					if shared {
						err = h.out.SendShared(core.NewShared(m))
					} else {
						err = h.out.Send(m)
					}
					if errors.Is(err, core.ErrFull) {
						full++
						err = nil
					}
					clear(m.Data) // ours again
					return err
				})
				p := w.ws()
				p.Stall(true)
				for range 30 {
					p.text("")
					w.k.Drive()
				}
				h := (*all)[0]
				if h.got != tc.calls || full != tc.full {
					t.Errorf("%d messages received, %d sends refused; want %d, %d", h.got, full, tc.calls, tc.full)
				}
				if h.out.Len() != tc.waits || h.out.Pending() != tc.waits*size+below || h.c.Pending() != below {
					t.Errorf("%d messages, %d bytes, %d of them below; want %d, %d, %d",
						h.out.Len(), h.out.Pending(), h.c.Pending(), tc.waits, tc.waits*size+below, below)
				}
				if h.out.Dropped() != uint64(tc.dropped) {
					t.Errorf("dropped %d, want %d", h.out.Dropped(), tc.dropped)
				}
				if want := map[bool]int{true: 24, false: 0}[tc.restarts] * 6; p.Unread() != want {
					t.Errorf("%d bytes were left with the source, want %d", p.Unread(), want)
				}
				p.Stall(false)
				w.k.Drive()
				want := span(1, tc.first)
				if tc.thenFrom > 0 {
					want = append(want, span(tc.thenFrom, 30)...)
				}
				raw := string(p.Read())
				if got := numbers(raw); fmt.Sprint(got) != fmt.Sprint(want) {
					t.Errorf("arrived %v\nwant    %v", got, want)
				}
				if closed := strings.HasSuffix(raw, "\x88\x0a\x03\xf5too slow"); closed != tc.closed {
					t.Errorf("closed with 1013: %v, the end is %q", closed, raw[max(0, len(raw)-12):])
				}
				if h.out.Pending() != 0 && !tc.closed {
					t.Errorf("%d bytes still wait", h.out.Pending())
				}
				if st := w.eng.Stats(); shared && st.SharedOut != uint64(len(want)*(size+4)) {
					t.Errorf("%d bytes went out of shared memory, want %d", st.SharedOut, len(want)*(size+4))
				}
				p.close(1000, "")
				p.CloseWrite()
				w.k.Drive()
				if h.ends != 1 || h.left != 0 || h.out.Pending() != 0 {
					t.Errorf("Closed %d times, with %d messages waiting, %d after", h.ends, h.left, h.out.Pending())
				}
			})
		}
	}
}

// TestOnMessageWithPolicy: the option reaches the outbox; without it the source
// is paused.
func TestOnMessageWithPolicy(t *testing.T) {
	for _, tc := range []struct {
		opts []core.MessageOption
		want core.Policy
	}{{nil, core.PauseSource}, {[]core.MessageOption{core.WithPolicy(core.DropOldest)}, core.DropOldest}} {
		got := core.Policy(9)
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{{Protocols: []core.Protocol{{Name: "x",
			WS: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error {
				got = out.Policy()
				return out.Send(m)
			}, tc.opts...)}}}}})
		p := w.ws()
		p.text("hi")
		p.want(`text "hi"`)
		if got != tc.want {
			t.Errorf("policy %v, want %v", got, tc.want)
		}
		w.stop()
	}
}

// TestOutboxClosesWhileThingsWait: a close, ours or the peer's or a cut, with
// bytes below and messages above. What the wire had taken part of arrives whole,
// the rest is forgotten, Closed comes once.
func TestOutboxClosesWhileThingsWait(t *testing.T) {
	for _, shared := range []bool{false, true} {
		for _, how := range []string{"close", "peer", "reset", "drop", "stop"} {
			t.Run(fmt.Sprintf("%s/shared=%v", how, shared), func(t *testing.T) {
				w, all := newBoxes(t, sim.Options{Capacity: 500}, core.Refuse, core.Config{}, func(h *boxed) error {
					m := core.Message{Data: numbered(h.got, 996)}
					if shared {
						return h.out.SendShared(core.NewShared(m))
					}
					return h.out.Send(m)
				})
				p := w.ws()
				p.Stall(true)
				for range 10 {
					p.text("")
					w.k.Drive()
				}
				h := (*all)[0]
				if h.out.Len() != 9 || h.c.Pending() != 500 {
					t.Fatalf("%d wait, %d bytes below", h.out.Len(), h.c.Pending())
				}
				want := ""
				switch how {
				case "close":
					h.c.Close(1000, "bye")
					want = `text [996] | close 1000 "bye"`
				case "peer":
					p.close(1001, "")
					want = "text [996] | close 1001 | eof"
				case "reset":
					p.Reset()
				case "drop":
					h.c.Drop()
					want = "eof"
				case "stop":
					w.eng.Stop(0)
					want = `text [996] | close 1001 "server is going away"`
				}
				w.k.Drive()
				p.Stall(false)
				if got := p.frames(); want != "" && got != want {
					t.Errorf("got  %s\nwant %s", got, want)
				}
				p.close(1000, "")
				w.k.Advance(5 * time.Second) // HangupTimeout, after the reset
				if h.ends != 1 || h.left != 0 || h.out.Len() != 0 || h.out.Pending() != 0 {
					t.Errorf("Closed %d times, %d messages waited in it, %d bytes after", h.ends, h.left, h.out.Pending())
				}
				if err := h.out.Send(core.Message{}); !errors.Is(err, core.ErrConnClosed) {
					t.Errorf("Send after the end: %v", err)
				}
				if err := h.out.SendShared(core.NewShared(core.Message{})); !errors.Is(err, core.ErrConnClosed) {
					t.Errorf("SendShared after the end: %v", err)
				}
			})
		}
	}
}

// TestOutboxTurnIsBoundedInBytes: large messages leave one cork's worth at a time.
func TestOutboxTurnIsBoundedInBytes(t *testing.T) {
	const n, size = 20, 32 << 10
	w, all := newBoxes(t, sim.Options{Capacity: 16 << 20}, core.Refuse, core.Config{}, nil)
	p := w.ws()
	for i := range n {
		(*all)[0].out.Send(core.Message{Data: numbered(i, size)})
	}
	for left := n; left > 0; left = (*all)[0].out.Len() {
		was := left
		w.k.Turn()
		if now := (*all)[0].out.Len(); was-now != 2 {
			t.Fatalf("%d messages in one turn", was-now)
		}
	}
	if got := numbers(string(p.Read())); fmt.Sprint(got) != fmt.Sprint(span(0, n-1)) {
		t.Errorf("arrived: %v", got)
	}
}

// TestOutboxTurnIsBounded: what waits leaves many at a time, corked, but not all
// in one turn.
func TestOutboxTurnIsBounded(t *testing.T) {
	const n = 1000
	w, all := newBoxes(t, sim.Options{}, core.Refuse, core.Config{}, nil)
	p := w.ws()
	h := (*all)[0]
	writes := w.k.Counts().Writes
	for i := range n {
		if err := h.out.Send(core.Message{Data: numbered(i, 10)}); err != nil {
			t.Fatal(err)
		}
	}
	if h.out.Len() != n || h.out.Pending() != 10*n {
		t.Fatalf("%d wait, %d bytes", h.out.Len(), h.out.Pending())
	}
	w.k.Turn()
	if left := h.out.Len(); left == 0 || left == n {
		t.Errorf("after a turn %d wait", left)
	}
	w.k.Drive()
	if got := numbers(string(p.Read())); fmt.Sprint(got) != fmt.Sprint(span(0, n-1)) {
		t.Errorf("arrived: %v", got)
	}
	if used := w.k.Counts().Writes - writes; used > 10 {
		t.Errorf("%d writes for %d small messages", used, n)
	}
}
