package flate

import (
	"bytes"
	stdflate "compress/flate"
	"testing"
)

func TestSmoke(t *testing.T) {
	data := bytes.Repeat([]byte("hello world, this is a test of deflate 0123456789 abcdefg "), 3000)
	for i := range data {
		if i%37 == 0 {
			data[i] = byte(i * 7)
		}
	}
	for level := -2; level <= 9; level++ {
		var b bytes.Buffer
		w, _ := stdflate.NewWriter(&b, level)
		w.Write(data)
		w.Flush()
		var z Inflater
		z.Init(15)
		var tb Tables
		out, n, err := z.Inflate(&tb, make([]byte, 0, len(data)+1000), b.Bytes())
		if err != nil || n != b.Len() || !bytes.Equal(out, data) {
			t.Fatal(level, n, b.Len(), err, len(out))
		}
		z.Init(15)
		var got []byte
		one := make([]byte, 1)
		for i := 0; i < b.Len(); {
			out, n, err := z.Inflate(&tb, one[:0], b.Bytes()[i:i+1])
			if err != nil {
				t.Fatal(err)
			}
			got = append(got, out...)
			i += n
			for z.More() {
				out, _, err = z.Inflate(&tb, one[:0], nil)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, out...)
			}
		}
		if !bytes.Equal(got, data) || !z.AtBoundary() {
			t.Fatal(level, "bytewise")
		}
	}
}
