package main

import (
	"errors"
	"fmt"
	"io"
	"time"

	"anyloop/core"
	"anyloop/core/deflate"
	"anyloop/core/flate"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// bombRow is a server that gets the zeros.
type bombRow struct {
	name string
	c    serverConfig
}

// bombRows are one server for each limit, and one without, which takes it all.
func bombRows() []bombRow {
	z := &core.Deflate{Takeover: true}
	return []bombRow{
		{"assembling handler, default limits", serverConfig{Deflate: z}},
		{"streaming handler, default limits (MaxInflated 64 MiB)", serverConfig{Deflate: z, Count: true}},
		{"streaming handler, MaxRatio 100", serverConfig{Deflate: z, Count: true, MaxRatio: 100}},
		{"streaming handler, no limit", serverConfig{Deflate: z, Count: true, MaxInflated: -1}},
	}
}

// blast is what a bomb did.
type blast struct {
	sent      int64 // compressed bytes
	received  int64 // inflated bytes that the handler saw
	code      int   // the close code
	allocated int64 // bytes of heap by the server, freed or not: its heap grew by less
	cpu       time.Duration
}

func printBomb(w io.Writer, o *options) error {
	fmt.Fprintf(w, "one message of %d zeros, in fragments of 1 MiB\n", o.bomb)
	fmt.Fprintln(w, "| server | closed with | compressed bytes sent | inflated bytes delivered | heap allocated in all | CPU ms |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|")
	for _, row := range bombRows() {
		b, err := row.explode(o)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d | %.1f |\n", row.name, b.code, b.sent, b.received, b.allocated, micro(b.cpu)/1000)
	}
	return nil
}

// explode sends the message and waits for the close.
func (row *bombRow) explode(o *options) (b blast, err error) {
	s, err := start(o, row.c)
	if err != nil {
		return b, err
	}
	defer s.stop()
	z := params(12, true)
	c, err := upgrade(s.addr, z)
	if err != nil {
		return b, err
	}
	defer c.Close()
	before, err := s.ask("memory")
	if err != nil {
		return b, err
	}
	began, err := s.ask("cpu")
	if err != nil {
		return b, err
	}
	type closed struct {
		code int
		err  error
	}
	over := make(chan closed, 1)
	go func() {
		code, err := closeCode(c)
		over <- closed{code, err}
	}()
	b.sent, err = zeros(c, z, o.bomb)
	if err == nil {
		err = c.SendClose(ws.CloseNormal, "") // behind the message, if that was taken
	}
	end := <-over
	if end.err != nil {
		return b, errors.Join(err, end.err)
	}
	b.code = end.code
	after, err := s.ask("memory")
	b.received = after.Received - before.Received
	b.allocated = int64(after.Allocated - before.Allocated)
	b.cpu = after.CPU - began.CPU
	return b, err
}

// zeros sends total of them as one message, until that is done or the server has
// enough.
func zeros(c *client.Conn, z *deflate.Params, total int64) (sent int64, err error) {
	var w deflate.Writer
	var ms flate.Matchers
	w.Init(z.ClientBits, true, flate.Fast)
	piece := make([]byte, 1<<20)
	var out, frame []byte
	op := ws.Binary
	for at := int64(0); at < total; at += int64(len(piece)) {
		piece = piece[:min(int64(len(piece)), total-at)]
		final := at+int64(len(piece)) == total
		out = w.Append(&ms, out[:0], piece, final)
		h := ws.Header{Op: op, Fin: final, RSV1: at == 0, Masked: true, Mask: [4]byte([]byte(key))}
		frame = ws.AppendFrame(frame[:0], h, out)
		if _, err := c.Write(frame); err != nil {
			return sent, err
		}
		sent += int64(len(out))
		op = ws.Continuation
	}
	return sent, nil
}

// closeCode waits for the server's Close frame.
func closeCode(c *client.Conn) (int, error) {
	for {
		f, err := c.Next()
		if err != nil {
			if errors.Is(err, io.EOF) {
				err = io.ErrUnexpectedEOF
			}
			return 0, err
		}
		if f.Op == ws.Close {
			return f.Code(), nil
		}
	}
}
