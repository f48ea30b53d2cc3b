//go:build linux

package echobench

import "anyloop/examples/bench/internal/plain"

// row is one kind of work.
type row struct {
	name, about, unit string
	reference         string // whom servers are compared with
	work              plain.Work
	memory            bool // connections that do nothing are looked at
	stretch           int  // its slices are so many times as long; 0 is 1
}

// rows are all there are, in the order of the output.
var rows = []row{
	{name: "e1", about: "echo, one connection, 64 B, one message in flight: the server sleeps between messages",
		work: plain.Work{Kind: plain.Echo, Conns: 1, Size: 64}},
	{name: "e64", about: "echo, 64 connections, 64 B, one message in flight on each",
		work: plain.Work{Kind: plain.Echo, Conns: 64, Size: 64}},
	{name: "e1k", about: "echo, 1,000 connections, 64 B, one message in flight on each",
		work: plain.Work{Kind: plain.Echo, Conns: 1000, Size: 64}},
	{name: "e10k", about: "echo, 10,000 connections, 64 B, one message in flight on each",
		work: plain.Work{Kind: plain.Echo, Conns: 10_000, Size: 64}},
	{name: "a64", about: "echo, 10,000 connections open, 64 of them echo 64 B, one message in flight on each",
		work: plain.Work{Kind: plain.Echo, Conns: 10_000, Active: 64, Size: 64}},
	{name: "p16", about: "echo, 64 connections, 64 B, 16 messages in flight on each",
		work: plain.Work{Kind: plain.Echo, Conns: 64, Size: 64, Depth: 16}},
	{name: "e16k", about: "echo, 64 connections, 16 KiB, one message in flight on each",
		work: plain.Work{Kind: plain.Echo, Conns: 64, Size: 16 << 10}},
	{name: "e1m", about: "echo, 8 connections, 1 MiB, one message in flight on each",
		work: plain.Work{Kind: plain.Echo, Conns: 8, Size: 1 << 20}},
	{name: "bcast", about: "one message of 256 B to 1,000 connections at a time; latency is until the last has it",
		unit: "delivery", reference: "gnet",
		work: plain.Work{Kind: plain.Broadcast, Conns: 1000, Size: 256}},
	{name: "conn", about: "connect, upgrade, reset, 64 at a time (raw: connect, echo of the request, reset)",
		unit: "handshake", stretch: 3,
		work: plain.Work{Kind: plain.Connect, Conns: 64}},
	{name: "idle", about: "growth of resident memory by 10,000 connections that have echoed one message each", memory: true,
		work: plain.Work{Kind: plain.Echo, Conns: 10_000, Size: 64}},
	{name: "http", about: "HTTP/1.1 GET of a file of 1,024 B, 64 keep-alive connections",
		unit: "request", reference: "fasthttp",
		work: plain.Work{Kind: plain.Get, Conns: 64, Path: "/" + fileName}},
}

// fill completes the rows where the usual is not written.
func init() {
	for i := range rows {
		r := &rows[i]
		if r.unit == "" {
			r.unit = "message"
		}
		if r.reference == "" {
			r.reference = "raw"
		}
		r.stretch = max(r.stretch, 1)
	}
}

// The file that HTTP servers serve.
const (
	fileName = "small.html"
	fileSize = 1024
)

// fileBody is what is in it: nothing that repeats itself.
func fileBody() []byte {
	b := make([]byte, fileSize)
	x := uint32(1)
	for i := range b {
		x = x*1664525 + 1013904223
		b[i] = 'a' + byte(x>>24)%26
	}
	return b
}
