package main

import (
	"fmt"
	"io"

	"anyloop/core"
	"anyloop/core/deflate"
)

// memoryRow is one kind of connection.
type memoryRow struct {
	name     string
	bits     int // 0: no compression
	takeover bool
}

var memoryRows = []memoryRow{
	{"without compression", 0, false},
	{"no takeover, windows of 4 KiB, between messages", 12, false},
	{"takeover, windows of 512 bytes, full", 9, true},
	{"takeover, windows of 4 KiB, full", 12, true},
	{"takeover, windows of 32 KiB, full", 15, true},
}

// footprint is bytes per connection, and those of the thread.
type footprint struct {
	kept  int // Conn.Deflate().Memory
	heap  int // what a connection adds to the heap, all told
	tools int
}

func printMemory(w io.Writer, o *options) error {
	fmt.Fprintf(w, "memory of a server, %d connections, in bytes\n", o.conns)
	fmt.Fprintln(w, "| WebSocket | kept for compression, per connection | heap per connection, all told | of that beyond one without | the thread's tools, once |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	var plain footprint
	for i, row := range memoryRows {
		f, err := row.measure(o)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		if i == 0 {
			plain = f
		}
		fmt.Fprintf(w, "| %s | %d | %d | %d | %d |\n", row.name, f.kept, f.heap, f.heap-plain.heap, f.tools)
	}
	return nil
}

// measure fills the histories of a server's connections. The tools are not part of
// what a connection takes.
func (row memoryRow) measure(o *options) (f footprint, err error) {
	var c serverConfig
	var z *deflate.Params
	if row.bits > 0 {
		c.Deflate = &core.Deflate{Takeover: row.takeover, WindowBits: row.bits, PeerWindowBits: row.bits}
		z = params(row.bits, row.takeover)
	}
	s, err := start(o, c)
	if err != nil {
		return f, err
	}
	defer s.stop()
	before, err := s.ask("memory")
	if err != nil {
		return f, err
	}
	sh := shape{conns: o.conns, flying: 64, depth: 1, size: max(256, 1<<row.bits/4), sample: 100}
	l, err := dial(s.addr, sh, z)
	if err != nil {
		return f, err
	}
	defer l.close()
	if _, err := l.runCount(6 * o.conns); err != nil {
		return f, err
	}
	after, err := s.ask("memory")
	if err != nil {
		return f, err
	}
	if after.Conns != o.conns {
		return f, fmt.Errorf("%d connections are open, not %d", after.Conns, o.conns)
	}
	heap := int(after.Heap) - int(before.Heap) - (after.Tools - before.Tools)
	return footprint{after.Kept / o.conns, heap / o.conns, after.Tools}, nil
}
