package core_test

import (
	"bytes"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// TestLargeMessagesReuseBuffers: a megabyte is echoed again and again to a peer that
// takes it slowly. After the first rounds neither assembling it nor what the wire
// refuses of the answer allocates, every byte is right, and when nobody has needed
// the buffers for a while they are gone.
func TestLargeMessagesReuseBuffers(t *testing.T) {
	const size, rounds = 1 << 20, 40
	k := sim.New(sim.Options{Capacity: 128 << 10})
	echo := core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })
	eng, err := core.New(core.Config{Backend: k, VHosts: []core.VHost{{Addr: "h:80", Protocols: []core.Protocol{{Name: "e", WS: echo}}}}})
	if err != nil {
		t.Fatal(err)
	}
	k.Drive()
	p := k.Dial("h:80")
	p.WriteString("GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
	k.Drive()
	p.Read()
	round := func(i int) {
		payload := bytes.Repeat([]byte{byte(i), byte(i >> 1), 'x'}, size/3)
		frame := ws.AppendFrame(nil, ws.Header{Fin: true, Op: ws.Binary, Masked: true, Mask: [4]byte{1, 2, 3, byte(i)}}, payload)
		want := ws.AppendFrame(nil, ws.Header{Fin: true, Op: ws.Binary}, payload)
		for n := 0; n < len(frame); k.Drive() {
			n += p.Write(frame[n:])
		}
		var got []byte
		for turns := 0; len(got) < len(want) && turns < 1000; turns++ {
			k.Drive()
			got = append(got, p.Read()...)
		}
		if !bytes.Equal(got, want) {
			t.Fatalf("round %d: the echo differs", i)
		}
	}
	for i := range rounds {
		round(i)
	}
	if n := core.LargeBytes(eng); n == 0 || n > 16<<20 {
		t.Errorf("%d bytes are kept", n)
	}
	fresh := core.LargeMisses(eng)
	for i := range rounds {
		round(i)
	}
	if n := core.LargeMisses(eng) - fresh; n != 0 {
		t.Errorf("%d of %d messages found no buffer", n, rounds)
	}
	k.Advance(11 * time.Second)
	k.Drive()
	if n := core.LargeBytes(eng); n != 0 {
		t.Errorf("%d bytes are kept by an idle thread", n)
	}
	eng.Stop(-1)
	k.Drive()
	k.Check(t)
}
