package core_test

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// TestSharedPartialWrites: the wire takes a shared frame up to each of its bytes,
// then one byte at a time, while control frames become due: a Pong and a Ping that
// wait their turn, and a Close that is appended at once behind what waits.
func TestSharedPartialWrites(t *testing.T) {
	const capacity = 1000
	text := strings.Repeat("shared ", 10)
	s := core.NewShared(core.Message{Data: []byte(text)})
	size := len(text) + 2
	for _, end := range []string{"close", "broken", "gone on"} {
		for k := 0; k <= size; k++ {
			name := fmt.Sprintf("%s, %d bytes taken", end, k)
			w, all := newBoxes(t, sim.Options{Capacity: capacity}, core.Refuse, core.Config{}, nil)
			p := w.ws()
			h := (*all)[0]
			p.Stall(true)
			filler := numbered(1, capacity-4-k)
			h.out.Send(core.Message{Data: filler})
			w.k.Drive()
			if err := h.out.SendShared(s); err != nil {
				t.Fatal(err)
			}
			w.k.Drive()
			p.ping("are you there")
			w.k.Drive()
			want := string(ws.AppendPlain(nil, ws.Text, true, filler)) + "\x81\x46" + text
			switch {
			case end == "broken":
				p.Write([]byte("\x83\x80mask")) // a reserved opcode
				want += pongIf(k == size) + "\x88"
			case end == "close":
				h.c.Close(1000, "done")
				want += pong + "\x88\x06\x03\xe8done"
			default:
				want += pong
			}
			w.k.Drive()
			if got := h.c.Pending(); end == "gone on" && got != max(0, size-k+map[bool]int{true: len(pong), false: 0}[k == size]) {
				t.Errorf("%s: %d bytes wait", name, got)
			}
			p.TakeSome(capacity - k - 2)
			for range k + 150 {
				p.TakeSome(1)
				w.k.Turn()
				w.k.Turn()
			}
			p.Stall(false)
			w.k.Drive()
			got := string(p.Read())
			if end == "broken" {
				got = got[:min(len(got), len(want))] // the reason's text is not ours to check
			}
			if got != want {
				t.Errorf("%s:\ngot  %q\nwant %q", name, got, want)
			}
			// A message of 72 bytes that waits for more than its first bytes is
			// sent from where it is, but where a Close had to go behind it.
			if out := w.eng.Stats().SharedOut; end != "broken" && out != uint64(size) {
				t.Errorf("%s: %d bytes of shared memory sent, want %d", name, out, size)
			}
			w.stop()
		}
	}
	if n := s.Encodings(); n != 1 {
		t.Errorf("encoded %d times", n)
	}
}

const pong = "\x8a\x0dare you there"

func pongIf(on bool) string {
	if on {
		return pong
	}
	return ""
}

// TestSharedBehindTheCork: what was written before, in the same service, goes in
// front, in one system call.
func TestSharedBehindTheCork(t *testing.T) {
	s := core.NewShared(core.Message{Data: []byte("shared"), Binary: true})
	w, _ := newBoxes(t, sim.Options{}, core.Refuse, core.Config{}, func(h *boxed) error {
		h.out.Text("before")
		h.out.SendShared(s)
		return h.out.Text("after")
	})
	p := w.ws()
	writes := w.k.Counts().Writes
	p.text("")
	p.want(`text "before" | binary "shared" | text "after"`)
	if n := w.k.Counts().Writes - writes; n != 2 {
		t.Errorf("%d writes, want 2: the first two messages, and the third", n)
	}
	if s.Len() != 6 {
		t.Errorf("Len %d", s.Len())
	}
}

// TestSharedByWriter: the writer of a callback sends one, once.
func TestSharedByWriter(t *testing.T) {
	data := []byte("mine to change")
	s := core.NewShared(core.Message{Data: data})
	clear(data)
	var second error
	w, recs := oneRecorder(t, sim.Options{}, func(r *recorder) {
		r.write = func(c *core.Conn, w *core.WSWriter) error {
			if err := w.SendShared(s); err != nil {
				return err
			}
			second = w.SendShared(s)
			return nil
		}
		r.on = func(c *core.Conn, _ core.Fragment) error { return c.RequestWritable() }
	})
	p := w.ws()
	p.text("go")
	p.want(`text "mine to change"`)
	if second != core.ErrAlreadyWritten {
		t.Errorf("the second: %v", second)
	}
	first := true
	(*recs)[0].write = func(c *core.Conn, w *core.WSWriter) error {
		if first {
			first = false
			w.Part([]byte("a"), false, true, false)
			return c.RequestWritable()
		}
		if err := w.SendShared(s); err != core.ErrMessageOrder {
			t.Errorf("inside a message of fragments: %v", err)
		}
		return w.Part([]byte("b"), false, false, true)
	}
	p.text("go")
	p.want(`text "a"... | continuation "b"`)
}

// TestSharedConcurrently: many goroutines prepare and read one message's frames.
func TestSharedConcurrently(t *testing.T) {
	w, all := newBoxes(t, sim.Options{}, core.Refuse, core.Config{Threads: 4}, nil)
	p := w.ws()
	s := core.NewShared(core.Message{Data: []byte("one")})
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 50 {
				(*all)[0].out.SendSharedFrom(s)
			}
		})
	}
	wg.Wait()
	w.k.Drive()
	if n := bytes.Count(p.Read(), []byte("\x81\x03one")); n != 400 {
		t.Errorf("%d arrived", n)
	}
}
