package core_test

import (
	"bytes"
	"errors"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// TestEchoOfALargeMessageIsOnePiece: what still lies in the receive buffer goes out
// with its frame's header in front of it, in one vector.
func TestEchoOfALargeMessageIsOnePiece(t *testing.T) {
	echo := func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }
	vh := core.VHost{Protocols: []core.Protocol{{Name: "e", WS: core.OnMessage(echo)}}}
	w := newWorld(t, sim.Options{Capacity: 1 << 20}, core.Config{VHosts: []core.VHost{vh}})
	p := w.ws()
	before := core.Vectors(w.eng)
	for _, size := range []int{16 << 10, 20_000, 60_000} {
		p.Write(frame(ws.Binary, true, string(pattern(size))))
		w.k.Drive()
		if got, want := p.Read(), ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, pattern(size)); !bytes.Equal(got, want) {
			t.Errorf("%d bytes: the echo differs", size)
		}
	}
	if n := core.Vectors(w.eng) - before; n != 0 {
		t.Errorf("%d writes of two pieces", n)
	}
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8)
	}
	return b
}

// TestSendLeavesTheMessageAsItIs: parts of a message are sent while it lies in the
// receive buffer, to peers that take all or little of it; the handler's view of it
// never changes, nor does what follows it there.
func TestSendLeavesTheMessageAsItIs(t *testing.T) {
	changed := errors.New("the message has changed")
	const size = 40_000
	parts := func(_ *core.Conn, m core.Message, out *core.Outbox) error {
		for _, from := range []int{0, 1, 3, 4, 9, 10, 11, 500} {
			if err := out.Send(core.Message{Data: m.Data[from:], Binary: true}); err != nil {
				return err
			}
			if len(m.Data) == size && !bytes.Equal(m.Data, pattern(size)) {
				return changed
			}
		}
		return nil
	}
	for _, room := range []int{1 << 20, 20_000, 40_000} {
		vh := core.VHost{Protocols: []core.Protocol{{Name: "e", WS: core.OnMessage(parts)}}}
		w := newWorld(t, sim.Options{Capacity: room}, core.Config{VHosts: []core.VHost{vh},
			Limits: core.Limits{WriteLimit: 1 << 20, OutboxBytes: 1 << 20}})
		p := w.ws()
		var want []byte
		for _, from := range []int{0, 1, 3, 4, 9, 10, 11, 500} {
			want = ws.AppendFrame(want, ws.Header{Op: ws.Binary, Fin: true}, pattern(size)[from:])
		}
		want = append(want, want...)
		in := append(frame(ws.Binary, true, string(pattern(size))), frame(ws.Binary, true, string(pattern(size)))...)
		var got []byte
		for turns := 0; turns < 1000 && len(got) < len(want); turns++ {
			in = in[p.Write(in):]
			w.k.Drive()
			got = append(got, p.Read()...)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("room for %d: %d bytes, want %d, or others", room, len(got), len(want))
		}
		w.stop()
	}
}
