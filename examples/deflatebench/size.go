package main

import (
	"bytes"
	stdflate "compress/flate"
	"fmt"
	"io"

	"anyloop/core/deflate"
	"anyloop/core/flate"
	"anyloop/core/ws"
)

const sizeMessages = 20_000

func printSize(w io.Writer, _ *options) error {
	msgs := messages(1, sizeMessages, 256)
	fmt.Fprintf(w, "bytes on the wire of %d JSON messages of 256 bytes, with the frames' headers\n", len(msgs))
	fmt.Fprintln(w, "| | bytes per message | of the plain size | beside compress/flate, level 6, window of 32 KiB |")
	fmt.Fprintln(w, "|---|---|---|---|")
	plain := 0
	for _, m := range msgs {
		plain += ws.HeaderSize(int64(len(m)), false) + len(m)
	}
	for _, takeover := range []bool{true, false} {
		std, err := stdSize(msgs, takeover)
		if err != nil {
			return err
		}
		row := func(name string, n int) {
			fmt.Fprintf(w, "| %s | %.1f | %.1f %% | %+.1f %% |\n", name, float64(n)/float64(len(msgs)), percent(n, plain), percent(n, std)-100)
		}
		with := "no takeover"
		if takeover {
			with = "takeover"
		}
		row(with+", compress/flate", std)
		for _, bits := range []int{15, 12, 9} {
			row(fmt.Sprintf("%s, window of %d bytes", with, 1<<bits), ourSize(msgs, bits, takeover))
		}
	}
	return nil
}

func percent(n, of int) float64 { return 100 * float64(n) / float64(of) }

// ourSize is what a server sends for msgs.
func ourSize(msgs [][]byte, bits int, takeover bool) (n int) {
	var z deflate.Writer
	var ms flate.Matchers
	z.Init(bits, takeover, flate.Default)
	var out []byte
	for _, m := range msgs {
		out = z.Append(&ms, out[:0], m, true)
		n += ws.HeaderSize(int64(len(out)), false) + len(out)
	}
	return n
}

// stdSize is what one sends that has the standard library.
func stdSize(msgs [][]byte, takeover bool) (n int, err error) {
	var out bytes.Buffer
	z, err := stdflate.NewWriter(&out, 6)
	if err != nil {
		return 0, err
	}
	for _, m := range msgs {
		out.Reset()
		if !takeover {
			z.Reset(&out)
		}
		if _, err := z.Write(m); err != nil {
			return 0, err
		}
		if err := z.Flush(); err != nil {
			return 0, err
		}
		size := out.Len() - 4 // RFC 7692 7.2.1: the flush's end is not sent
		n += ws.HeaderSize(int64(size), false) + size
	}
	return n, nil
}
