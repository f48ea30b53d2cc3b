package core_test

import (
	"bytes"
	"compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestSharedCompressedOncePerWindow: receivers that agreed on different windows,
// on none, and on taking the context over, and a message too short to compress.
func TestSharedCompressedOncePerWindow(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		for _, threads := range []int{1, 4} {
			t.Run(fmt.Sprintf("takeover=%v/%d", takeover, threads), func(t *testing.T) {
				g := core.NewGroup(core.GroupLimits{})
				vh := core.VHost{Deflate: &core.Deflate{WindowBits: 15, Takeover: takeover}, Protocols: []core.Protocol{{Name: "g", WS: func(c *core.Conn) core.WSHandler {
					h := &boxed{c: c, out: core.NewOutbox(c, core.Refuse)}
					h.on = func(h *boxed) error { return h.out.Text(strings.Repeat("to you alone ", 20)) }
					g.Add(h.out)
					return h
				}}}}
				w := newWorld(t, sim.Options{}, core.Config{Threads: threads, VHosts: []core.VHost{vh}})
				const each = 20
				var peers []*peer
				for range each {
					for _, offer := range []string{"", "; server_max_window_bits=9", "; server_max_window_bits=12", "; server_max_window_bits=15"} {
						if offer != "" || len(peers)%4 != 0 {
							offer = "Sec-WebSocket-Extensions: permessage-deflate" + offer + "\r\n"
						}
						peers = append(peers, w.ws(offer))
					}
				}
				text := strings.Repeat("all of you, and you, ", 500)
				shared := core.NewShared(core.Message{Data: []byte(text)})
				short := core.NewShared(core.Message{Data: []byte("short")})
				noise := make([]byte, 300)
				for i := range noise {
					noise[i] = byte(i*i*31 + i>>3*77)
				}
				dense := core.NewShared(core.Message{Data: noise, Binary: true})
				before := w.eng.Stats()
				// Own messages before, between and after: the context must hold.
				for _, p := range peers {
					p.text("")
				}
				w.k.Drive()
				for _, s := range []*core.Shared{shared, short, shared, dense} {
					if err := g.SendShared(s); err != nil {
						t.Fatal(err)
					}
					w.k.Drive()
					for _, p := range peers {
						p.text("")
					}
					w.k.Drive()
				}
				own := strings.Repeat("to you alone ", 20)
				for i, p := range peers {
					got := contextOf(t, p, i%4 != 0)
					want := []string{own, text, own, "short", own, text, own, string(noise), own}
					if fmt.Sprint(got) != fmt.Sprint(want) {
						t.Fatalf("peer %d got %d messages that are not what was sent", i, len(got))
					}
				}
				if shared.Encodings() != 4 || short.Encodings() != 1 {
					t.Errorf("encoded %d and %d times, want 4 (plain, 9, 12 and 15 bits) and 1", shared.Encodings(), short.Encodings())
				}
				if st := w.eng.Stats(); st.SharedOut == before.SharedOut {
					t.Error("nothing went out of shared memory")
				}
			})
		}
	}
}

// contextOf inflates what a peer received, with one history over all messages.
func contextOf(t *testing.T, p *peer, packed bool) (list []string) {
	t.Helper()
	var history []byte
	compressed := 0
	for buf := append(p.buf, p.Read()...); len(buf) > 0; {
		n, head := int(buf[1]), 2
		if n == 126 {
			n, head = int(buf[2])<<8|int(buf[3]), 4
		}
		b0, b := buf[0], buf[head:head+n]
		buf = buf[head+n:]
		if b0&0x40 != 0 {
			compressed++
			z := flate.NewReaderDict(io.MultiReader(bytes.NewReader(b), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff")), history)
			var err error
			if b, err = io.ReadAll(z); err != nil {
				t.Fatalf("inflate: %v", err)
			}
			history = append(history, b...)
			history = history[max(0, len(history)-32<<10):]
		}
		list = append(list, string(b))
	}
	if (compressed > 0) != packed {
		t.Errorf("%d compressed frames", compressed)
	}
	return list
}
