package core_test

import (
	"bytes"
	"math/rand/v2"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// keeping has whole messages copied to *got.
func keeping(got *[]string) core.VHost {
	take := func(_ *core.Conn, m core.Message, _ *core.Outbox) error {
		*got = append(*got, string(m.Data))
		return nil
	}
	return core.VHost{Protocols: []core.Protocol{{Name: "keep", WS: core.OnMessage(take)}}}
}

// TestLongFramesAreReadIntoTheMessage: what is missing of a long frame comes in few
// reads, larger than the receive buffer, when all of it is there.
func TestLongFramesAreReadIntoTheMessage(t *testing.T) {
	var got []string
	w := newWorld(t, sim.Options{Capacity: 2 << 20}, core.Config{VHosts: []core.VHost{keeping(&got)}})
	p := w.ws()
	text := strings.Repeat("0123456789abcdef", 1<<16)
	for range 2 {
		p.Write(frame(ws.Text, true, text))
		w.k.Drive()
	}
	before := w.eng.Stats().Reads
	p.Write(frame(ws.Text, true, text))
	w.k.Drive()
	// One of 64 KiB, and two of 512 KiB or what is left.
	if n := w.eng.Stats().Reads - before; n > 3 {
		t.Errorf("%d reads for 1 MiB", n)
	}
	if len(got) != 3 {
		t.Fatalf("%d messages", len(got))
	}
	for i, s := range got {
		if s != text {
			t.Errorf("message %d differs", i)
		}
	}
}

// TestLongFramesInPieces: messages of long and short frames, with control frames
// between them, cut anywhere, to handlers that pause: each arrives as it was sent.
func TestLongFramesInPieces(t *testing.T) {
	for seed := range uint64(60) {
		rnd := rand.New(rand.NewPCG(seed, 7))
		var got []string
		var conn *core.Conn
		vh := core.VHost{Protocols: []core.Protocol{{Name: "keep", WS: func(c *core.Conn) core.WSHandler {
			conn = c
			return &pausing{got: &got, rnd: rnd}
		}}}}
		w := newWorld(t, sim.Options{Capacity: 1 << (14 + rnd.IntN(7)), Seed: seed, Chaos: true},
			core.Config{VHosts: []core.VHost{vh}, Limits: core.Limits{MaxMessage: 8 << 20}})
		p := w.ws()
		var want []string
		var wire []byte
		for range 4 {
			msg, b := fragmented(rnd)
			want = append(want, msg)
			wire = append(wire, b...)
		}
		for turns := 0; (len(wire) > 0 || len(got) < len(want)) && turns < 20_000; turns++ {
			if len(wire) > 0 {
				n := p.Write(wire[:min(len(wire), 1+rnd.IntN(1<<rnd.IntN(20)))])
				wire = wire[n:]
			}
			w.k.Drive()
			if conn.Paused() {
				conn.Resume()
			}
		}
		if len(got) != len(want) {
			t.Fatalf("seed %d: %d of %d messages", seed, len(got), len(want))
		}
		for i := range got {
			if got[i] != want[i] {
				t.Errorf("seed %d: message %d of %d bytes differs", seed, i, len(want[i]))
			}
		}
		w.stop()
	}
}

// fragmented makes a text message of up to 2 MiB in frames of any size.
func fragmented(rnd *rand.Rand) (msg string, wire []byte) {
	var all bytes.Buffer
	op := ws.Text
	for n := 1 + rnd.IntN(4); n > 0; n-- {
		part := bytes.Repeat([]byte("a\u00e9\u20ac"), rnd.IntN(1<<rnd.IntN(17)))
		all.Write(part)
		mask := [4]byte{byte(rnd.Uint32()), 2, byte(rnd.Uint32()), 4}
		wire = ws.AppendFrame(wire, ws.Header{Op: op, Fin: n == 1, Masked: true, Mask: mask}, part)
		if rnd.IntN(2) == 0 {
			wire = append(wire, frame(ws.Ping, true, "are you there")...)
		}
		op = ws.Continuation
	}
	return all.String(), wire
}

// pausing assembles messages and stops reading now and then, in the middle of one.
type pausing struct {
	pieces core.Assembler
	got    *[]string
	rnd    *rand.Rand
}

func (h *pausing) Receive(c *core.Conn, f core.Fragment) error {
	m, done, err := h.pieces.Add(c, f)
	if done {
		*h.got = append(*h.got, string(m.Data))
	}
	if h.rnd.IntN(8) == 0 {
		c.Pause()
	}
	return err
}

func (h *pausing) Writable(*core.Conn, *core.WSWriter) error { return nil }

// TestLongFrameThatEnds: a peer that goes, or sends what is no text, in the middle of
// a long frame, and one whose handler closes there.
func TestLongFrameThatEnds(t *testing.T) {
	var got []string
	w := newWorld(t, sim.Options{Capacity: 2 << 20}, core.Config{VHosts: []core.VHost{keeping(&got)}})
	text := []byte(strings.Repeat("x", 1<<20))
	for _, k := range []struct {
		name string
		do   func(p *peer, rest []byte)
		want string
	}{
		{"no text", func(p *peer, rest []byte) {
			rest[len(rest)/2] ^= 0xff // 'x' becomes a byte that UTF-8 has not
			p.Write(rest)
		}, "1007"},
		{"gone", func(p *peer, rest []byte) { p.Close() }, ""},
	} {
		p := w.ws()
		whole := frame(ws.Text, true, string(text))
		p.Write(whole[:300_000])
		w.k.Drive()
		k.do(p, whole[300_000:])
		w.k.Drive()
		if k.want != "" && !strings.Contains(p.frames(), k.want) {
			t.Errorf("%s: %q", k.name, p.frames())
		}
	}
	if len(got) != 0 {
		t.Errorf("%d messages", len(got))
	}
}
