package flate

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"strings"
	"testing"

	kflate "github.com/klauspost/compress/flate"
)

// jsonMessage is a message of 256 bytes, of which no two are the same.
func jsonMessage(i int) []byte {
	s := fmt.Sprintf(`{"type":"quote","seq":%d,"symbol":"ACME%d","bid":%d.%02d,"ask":%d.%02d,"size":%d,"venue":"XNAS","time":"2024-05-%02dT12:%02d:%02d.%03dZ","flags":["open","regular"],"trader":{"id":%d,"name":"user-%d"},"note":"`,
		i, i%17, 100+i%7, i%100, 101+i%7, (i*3)%100, (i%50)*100, 1+i%28, i%60, (i*7)%60, (i*131)%1000, i*7919%10007, i%113)
	if n := 254 - len(s); n > 0 {
		s += strings.Repeat("lorem ipsum ", 22)[:n]
	}
	return []byte(s + `"}`)
}

// bulkText is n bytes of something like prose.
func bulkText(n int) []byte {
	words := strings.Fields(`the of and to in a is that it was for on are as with his they at be this from have or by one had not but what all were when we there can an your which their said if do will each about how up out them then she many some so these would other into has more her two like him see time could no make than first been its who now people my made over did down only way find use may water long little very after words called just where most know get through back much before go good new write our used me man too any day same right look think also around another came come work three word must because does part even place well such here take why things help put years different away again off went old number great tell men say small every found still between name should home big give air line set own under read last never us left end along while might next sound below saw something thought both few those always looked show large often together asked house don't world going want school important until form food keep children feet land side without boy once animals life enough took sometimes four head above kind began almost live page got earth need far hand high year mother light parts country father let night following picture being study second eyes soon times story boys since white days ever paper hard near sentence better best across during today others however sure means knew its try told young miles sun ways thing whole hear example heard several change answer room sea against top turned learn point city play toward five using himself usually`)
	var b bytes.Buffer
	x := uint32(1)
	for b.Len() < n {
		x = x*1664525 + 1013904223
		y := x >> 8
		b.WriteString(words[int(y%1000*(y%1000)/1000*uint32(len(words))/1000)%len(words)])
		if y%11 == 0 {
			b.WriteString(".\n")
		} else {
			b.WriteByte(' ')
		}
	}
	return b.Bytes()[:n]
}

// packMessages compresses each with a sync flush and cuts the tail off.
func packMessages(level int, takeover bool, msgs [][]byte) (out [][]byte) {
	var b bytes.Buffer
	w, _ := stdflate.NewWriter(&b, level)
	for _, m := range msgs {
		b.Reset()
		if !takeover {
			w.Reset(&b)
		}
		w.Write(m)
		w.Flush()
		out = append(out, bytes.Clone(b.Bytes()[:b.Len()-4]))
	}
	return out
}

func benchMessages() (msgs [][]byte) {
	for i := range 256 {
		msgs = append(msgs, jsonMessage(i))
	}
	return msgs
}

type resettable interface {
	io.Reader
	Reset(r io.Reader, dict []byte) error
}

func readers() map[string]func() resettable {
	return map[string]func() resettable{
		"std":       func() resettable { return stdflate.NewReader(nil).(resettable) },
		"klauspost": func() resettable { return kflate.NewReader(nil).(resettable) },
	}
}

// BenchmarkInflateMessage is a JSON message of 256 bytes without takeover.
func BenchmarkInflateMessage(b *testing.B) {
	for _, level := range []int{1, 6} {
		packed := packMessages(level, false, benchMessages())
		name := fmt.Sprintf("level%d", level)
		b.Run(name+"/ours", func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(256)
			var z Inflater
			z.Init(15)
			t, dst := NewTables(), make([]byte, 0, 4096)
			for i := 0; b.Loop(); i++ {
				out, _, done, err := z.InflateLast(t, dst, packed[i&255])
				if err != nil || !done || len(out) != 256 {
					b.Fatal(err, done, len(out))
				}
			}
		})
		for who, make1 := range readers() {
			b.Run(name+"/"+who, func(b *testing.B) {
				b.ReportAllocs()
				b.SetBytes(256)
				z, dst := make1(), make([]byte, 4096)
				var src bytes.Reader
				for i := range packed {
					packed[i] = append(packed[i], 0, 0, 0xff, 0xff)
				}
				for i := 0; b.Loop(); i++ {
					src.Reset(packed[i&255])
					z.Reset(&src, nil)
					if n, err := io.ReadFull(z, dst[:256]); err != nil {
						b.Fatal(n, err)
					}
				}
				for i := range packed {
					packed[i] = packed[i][:len(packed[i])-4]
				}
			})
		}
	}
}

// BenchmarkInflateTakeover is the same with takeover: a stream without end.
func BenchmarkInflateTakeover(b *testing.B) {
	packed := packMessages(6, true, benchMessages())
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(256)
		var z Inflater
		t, dst := NewTables(), make([]byte, 0, 4096)
		z.Init(15)
		for i := 0; b.Loop(); i++ {
			if i&255 == 0 {
				z.have = 0
			}
			out, n, err := z.Inflate(t, dst, packed[i&255])
			out, err2 := z.EndMessage(t, out)
			if err != nil || err2 != nil || n != len(packed[i&255]) || len(out) != 256 {
				b.Fatal(i, n, len(out), err, err2)
			}
		}
	})
	for who, make1 := range readers() {
		b.Run(who, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(256)
			z, dst := make1(), make([]byte, 4096)
			src := &endless{packed: packed}
			z.Reset(src, nil)
			for i := 0; b.Loop(); i++ {
				if i&255 == 0 {
					src.m, src.i = 0, 0
					z.Reset(src, nil)
				}
				if n, err := io.ReadFull(z, dst[:256]); err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// endless gives the packed messages with their tails as one stream.
type endless struct {
	packed [][]byte
	m, i   int
}

func (e *endless) ReadByte() (byte, error) {
	p := e.packed[e.m&255]
	if e.i == len(p)+4 {
		e.m, e.i = e.m+1, 0
		p = e.packed[e.m&255]
	}
	e.i++
	if e.i > len(p) {
		return tail[e.i-len(p)-1], nil
	}
	return p[e.i-1], nil
}

func (e *endless) Read(b []byte) (int, error) {
	b[0], _ = e.ReadByte()
	return 1, nil
}

// BenchmarkInflateBulk is 64 KiB of text, in one call and in pieces of 4 KiB input
// and 16 KiB output.
func BenchmarkInflateBulk(b *testing.B) {
	text := bulkText(64 << 10)
	packed := packMessages(6, false, [][]byte{text})[0]
	b.Run("ours", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(64 << 10)
		var z Inflater
		z.Init(15)
		t, dst := NewTables(), make([]byte, 0, 68<<10)
		for b.Loop() {
			if out, _, _, err := z.InflateLast(t, dst, packed); err != nil || len(out) != len(text) {
				b.Fatal(err, len(out))
			}
		}
	})
	b.Run("ours-pieces", func(b *testing.B) {
		b.ReportAllocs()
		b.SetBytes(64 << 10)
		var z Inflater
		z.Init(15)
		t, dst := NewTables(), make([]byte, 0, 16<<10)
		for b.Loop() {
			total := 0
			for src := packed; len(src) > 0 || z.More(); {
				out, n, err := z.Inflate(t, dst, src[:min(len(src), 4096)])
				if err != nil {
					b.Fatal(err)
				}
				src, total = src[n:], total+len(out)
			}
			if _, err := z.EndMessage(t, dst); err != nil || total != len(text) {
				b.Fatal(err, total)
			}
		}
	})
	whole := append(bytes.Clone(packed), 0, 0, 0xff, 0xff)
	for who, make1 := range readers() {
		b.Run(who, func(b *testing.B) {
			b.ReportAllocs()
			b.SetBytes(64 << 10)
			z, dst := make1(), make([]byte, len(text))
			var src bytes.Reader
			for b.Loop() {
				src.Reset(whole)
				z.Reset(&src, nil)
				if _, err := io.ReadFull(z, dst); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
