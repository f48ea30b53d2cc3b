package flate

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"
	"testing"

	kpflate "github.com/klauspost/compress/flate"
)

type flushWriter interface {
	io.Writer
	Flush() error
	Reset(io.Writer)
}

func stdWriter(w io.Writer, level int) flushWriter {
	z, err := stdflate.NewWriter(w, level)
	if err != nil {
		panic(err)
	}
	return z
}

func kpWriter(w io.Writer, level int) flushWriter {
	z, err := kpflate.NewWriter(w, level)
	if err != nil {
		panic(err)
	}
	return z
}

func smallMessages(n int) (all [][]byte) {
	r := someRand()
	for range n {
		all = append(all, someJSON(r, 256))
	}
	return all
}

// BenchmarkDeflateMessage is one 256-byte JSON message of a connection whose
// Matcher is its own, of one of a thousand that take turns, and of one without
// context takeover.
func BenchmarkDeflateMessage(b *testing.B) {
	msgs := smallMessages(4096)
	for _, bits := range []int{9, 12, 15} {
		for _, conns := range []int{1, 64, 1000} {
			b.Run(fmt.Sprintf("takeover/bits=%d/conns=%d", bits, conns), func(b *testing.B) {
				var ms Matchers
				ms.Init(64)
				ds := make([]Deflater, conns)
				var dst []byte
				for i := range ds {
					ds[i].Init(bits, Default)
					for n := 0; n < 1<<bits; n += len(msgs[0]) {
						dst = ds[i].Append(&ms, dst[:0], msgs[(i+n)%len(msgs)])
					}
				}
				total := 0
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					dst = ds[i%conns].Append(&ms, dst[:0], msgs[(i/conns+i)%len(msgs)])
					total += len(dst)
				}
				b.ReportMetric(float64(total)/float64(b.N), "out/op")
			})
		}
		b.Run(fmt.Sprintf("once/bits=%d", bits), func(b *testing.B) {
			var ms Matchers
			var d Deflater
			d.Init(bits, Default)
			var dst []byte
			total := 0
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				dst = d.AppendOnce(&ms, dst[:0], msgs[i%len(msgs)])
				total += len(dst)
			}
			b.ReportMetric(float64(total)/float64(b.N), "out/op")
		})
	}
}

func BenchmarkDeflateMessageOthers(b *testing.B) {
	msgs := smallMessages(4096)
	for name, mk := range map[string]func(io.Writer) flushWriter{
		"std6": func(w io.Writer) flushWriter { return stdWriter(w, 6) },
		"kp1":  func(w io.Writer) flushWriter { return kpWriter(w, 1) },
		"kp6":  func(w io.Writer) flushWriter { return kpWriter(w, 6) },
	} {
		for _, takeover := range []bool{true, false} {
			b.Run(fmt.Sprintf("%s/takeover=%t", name, takeover), func(b *testing.B) {
				var out bytes.Buffer
				z := mk(&out)
				total := 0
				b.ReportAllocs()
				for i := 0; b.Loop(); i++ {
					if !takeover {
						z.Reset(&out)
					}
					z.Write(msgs[i%len(msgs)])
					z.Flush()
					total += out.Len()
					out.Reset()
				}
				b.ReportMetric(float64(total)/float64(b.N), "out/op")
			})
		}
	}
}

// BenchmarkDeflateBulk is one message of 64 KiB without context takeover.
func BenchmarkDeflateBulk(b *testing.B) {
	for name, data := range map[string][]byte{"text": someText(someRand(), 1<<16), "json": someJSON(someRand(), 1<<16), "noise": someNoise(someRand(), 1<<16)} {
		for _, lvl := range []struct {
			name string
			l    Level
		}{{"fast", Fast}, {"default", Default}, {"best", Best}} {
			b.Run(name+"/"+lvl.name, func(b *testing.B) {
				var ms Matchers
				var d Deflater
				d.Init(15, lvl.l)
				var dst []byte
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					dst = d.AppendOnce(&ms, dst[:0], data)
				}
				b.ReportMetric(float64(len(dst)), "out/op")
			})
		}
		for other, z := range map[string]flushWriter{"std6": stdWriter(nil, 6), "std1": stdWriter(nil, 1), "kp1": kpWriter(nil, 1), "kp6": kpWriter(nil, 6)} {
			b.Run(name+"/"+other, func(b *testing.B) {
				var out bytes.Buffer
				b.SetBytes(int64(len(data)))
				b.ReportAllocs()
				for b.Loop() {
					out.Reset()
					z.Reset(&out)
					z.Write(data)
					z.Flush()
				}
				b.ReportMetric(float64(out.Len()), "out/op")
			})
		}
	}
}
