package flate

import (
	"bytes"
	"testing"
	"unsafe"
)

// TestInflaterMemory: what a connection keeps, at every byte of its input, is at
// most the window and 2 KiB; nothing once it forgets.
func TestInflaterMemory(t *testing.T) {
	own := int(unsafe.Sizeof(Inflater{}))
	if own > 1<<10 {
		t.Errorf("an Inflater has %d bytes", own)
	}
	text := bulkText(60000)
	for bits := MinBits; bits <= MaxBits; bits++ {
		var d Deflater
		d.Init(bits, Default)
		var ms Matchers
		ms.Init(1)
		packed := d.Append(&ms, nil, text)
		var z Inflater
		z.Init(bits)
		tabs := NewTables()
		room := make([]byte, 0, 512)
		var got []byte
		for i := range packed {
			for src := packed[i : i+1]; len(src) > 0 || z.More(); {
				out, n, err := z.Inflate(tabs, room, src)
				if err != nil {
					t.Fatal(bits, err)
				}
				got, src = append(got, out...), src[n:]
			}
			if kept := z.Memory() + own; kept > 1<<bits+2<<10 {
				t.Fatalf("window %d: %d bytes are kept", bits, kept)
			}
		}
		if !bytes.Equal(got, text) {
			t.Fatalf("window %d: the output differs", bits)
		}
		if z.Memory() != 1<<bits {
			t.Errorf("window %d: the history has %d bytes after %d", bits, z.Memory(), len(text))
		}
		if z.Forget(); z.Memory() != 0 {
			t.Errorf("window %d: %d bytes are kept after Forget", bits, z.Memory())
		}
	}
}
