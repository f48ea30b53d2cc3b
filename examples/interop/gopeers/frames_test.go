package gopeers

import (
	"bytes"
	"fmt"
	"io"
	"testing"

	gws "github.com/gobwas/ws"

	"anyloop/core/ws"
)

// ours lists the frames that core's decoder finds in what a client sent, cut into
// pieces of n bytes. Pieces of one frame are joined.
func ours(data []byte, n int) (all []string, err error) {
	var d ws.Decoder
	d.Init(ws.Server)
	lim := &ws.Limits{MaxFrame: 1 << 20, NoUTF8: true}
	var tail, frame []byte
	for len(data) > 0 {
		k := min(n, len(data))
		buf := append(bytes.Clone(tail), data[:k]...)
		data = data[k:]
		for {
			ev, used, err := d.Next(buf, lim)
			buf = buf[used:]
			if err != nil {
				return all, err
			}
			switch ev.Kind {
			case ws.None:
			case ws.Data:
				if frame = append(frame, ev.Payload...); ev.Remaining == 0 {
					all = append(all, fmt.Sprintf("data %x", frame))
					frame = frame[:0]
				}
			case ws.KindClose:
				return append(all, "close"), nil // nothing counts behind it
			default:
				all = append(all, fmt.Sprintf("%d %x", ev.Kind, ev.Payload))
			}
			if ev.Kind == ws.None {
				break
			}
		}
		tail = bytes.Clone(buf)
	}
	return all, nil
}

// theirs is the same by gobwas/ws.
func theirs(data []byte) (all []string, err error) {
	r := bytes.NewReader(data)
	state := gws.StateServerSide
	for {
		h, err := gws.ReadHeader(r)
		if err != nil {
			return all, nil // the data end here, or the length is no length
		}
		if err := gws.CheckHeader(h, state); err != nil || h.Length > 1<<20 {
			return all, fmt.Errorf("header: %w", err)
		}
		p := make([]byte, min(h.Length, int64(r.Len())))
		io.ReadFull(r, p)
		if int64(len(p)) < h.Length {
			return all, nil
		}
		gws.Cipher(p, h.Mask, 0)
		switch {
		case h.OpCode == gws.OpClose:
			return append(all, "close"), nil
		case h.OpCode.IsControl():
			kind := ws.KindPing
			if h.OpCode == gws.OpPong {
				kind = ws.KindPong
			}
			all = append(all, fmt.Sprintf("%d %x", kind, p))
			continue
		}
		all = append(all, fmt.Sprintf("data %x", p))
		if state = state.Clear(gws.StateFragmented); !h.Fin {
			state = state.Set(gws.StateFragmented)
		}
	}
}

// FuzzFrames: the decoder and an independent one find the same frames, however the
// bytes are cut, and where one sees a fault in a whole header, so does the other.
func FuzzFrames(f *testing.F) {
	mask := [4]byte{1, 2, 3, 4}
	add := func(op ws.Opcode, fin bool, n int) []byte {
		return ws.AppendFrame(nil, ws.Header{Op: op, Fin: fin, Masked: true, Mask: mask}, bytes.Repeat([]byte("x"), n))
	}
	f.Add(bytes.Join([][]byte{add(ws.Text, true, 5), add(ws.Binary, false, 126), add(ws.Ping, true, 3), add(ws.Continuation, true, 70000), add(ws.Close, true, 2)}, nil), 3)
	f.Add(add(ws.Continuation, true, 1), 1)
	f.Add([]byte{0x81, 0x05, 'h'}, 1)
	f.Add([]byte{0xc1, 0x80, 1, 2, 3, 4}, 2)
	f.Add([]byte{0x89, 0xfe, 0, 126, 1, 2, 3, 4}, 9)
	f.Fuzz(func(t *testing.T, data []byte, n int) {
		a, errA := ours(bytes.Clone(data), 1+int(uint(n)%4096))
		b, errB := theirs(bytes.Clone(data))
		k := min(len(a), len(b))
		for i := range k {
			if a[i] != b[i] {
				t.Fatalf("frame %d is %.80s for us, %.80s for gobwas", i, a[i], b[i])
			}
		}
		switch {
		case errB != nil && errA == nil, len(a) < len(b) && errA == nil, len(b) < len(a):
			t.Fatalf("we find %d frames (%v), gobwas %d (%v)", len(a), errA, len(b), errB)
		case len(a) < len(b) && b[len(a)] != "close" && !stricter(errA):
			t.Fatalf("we stop at frame %d: %v; gobwas finds %.80s", len(a), errA, b[len(a)])
		}
	})
}

// stricter reports whether the fault is one that gobwas leaves to its user: lengths
// in more bytes than they need, which in a control frame are too long at once.
func stricter(err error) bool {
	return err == error(ws.ErrLength) || err == error(ws.ErrLongControl)
}
