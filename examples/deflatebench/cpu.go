package main

import (
	"fmt"
	"io"
	"slices"
	"time"

	"anyloop/core"
	"anyloop/core/deflate"
)

// cpuRow is one comparison.
type cpuRow struct {
	name     string
	shape    shape
	bits     int
	takeover bool
	goal     float64 // 0: none
}

var cpuRows = []cpuRow{
	{"64 busy connections, takeover", shape{64, 64, 1, 256, 8}, 12, true, 3},
	{"1,000 connections in turn, takeover", shape{1000, 64, 1, 256, 40}, 12, true, 6},
	{"64 busy, 16 messages in flight each, takeover", shape{64, 64, 16, 256, 16}, 12, true, 0},
	{"64 busy connections, no takeover", shape{64, 64, 1, 256, 8}, 12, false, 0},
}

// result is what came of it: CPU time of the server per message, medians, and the
// ratios of all pairs, sorted.
type result struct {
	plain, zipped time.Duration
	ratios        []float64
	in, out       float64 // bytes of a compressed message and its frame, as the server sees it
	checked       int
}

func (r *result) median() float64 { return r.ratios[len(r.ratios)/2] }

func printCPU(w io.Writer, o *options) error {
	fmt.Fprintln(w, "CPU time of the server per echo of 256 bytes of JSON, windows of 4 KiB, both directions compressed")
	fmt.Fprintln(w, "| echo | compressed us | plain us | ratio (median) | of pairs | goal | bytes in, out | answers compared |")
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|")
	for i, row := range cpuRows {
		r, err := compare(o, i, row)
		if err != nil {
			return fmt.Errorf("%s: %w", row.name, err)
		}
		goal := "-"
		if row.goal > 0 {
			goal = fmt.Sprintf("%.0f", row.goal)
		}
		fmt.Fprintf(w, "| %s | %.2f | %.2f | %.2f | %.2f..%.2f | %s | %.0f, %.0f | %d |\n", row.name, micro(r.zipped), micro(r.plain),
			r.median(), r.ratios[0], r.ratios[len(r.ratios)-1], goal, r.in, r.out, r.checked)
	}
	return nil
}

func micro(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// params is what row's connections agree upon.
func params(bits int, takeover bool) *deflate.Params {
	return &deflate.Params{ServerNoTakeover: !takeover, ClientNoTakeover: !takeover, ServerBits: bits, ClientBits: bits}
}

// compare lets two servers take turns.
func compare(o *options, number int, row cpuRow) (r result, err error) {
	d := &core.Deflate{Takeover: row.takeover, WindowBits: row.bits, PeerWindowBits: row.bits}
	c := serverConfig{Deflate: d}
	if o.profile != "" {
		c.Profile = fmt.Sprintf("%s.%d", o.profile, number)
	}
	zipped, err := newSide(o, c, row.shape, params(row.bits, row.takeover))
	if err != nil {
		return r, err
	}
	defer zipped.stop()
	plain, err := newSide(o, serverConfig{}, row.shape, nil)
	if err != nil {
		return r, err
	}
	defer plain.stop()
	var zs, ps []time.Duration
	for range o.rounds {
		z, err := zipped.slice(o.slice)
		if err != nil {
			return r, err
		}
		p, err := plain.slice(o.slice)
		if err != nil {
			return r, err
		}
		zs, ps = append(zs, z), append(ps, p)
		r.ratios = append(r.ratios, float64(z)/float64(p))
	}
	slices.Sort(zs)
	slices.Sort(ps)
	slices.Sort(r.ratios)
	r.zipped, r.plain = zs[len(zs)/2], ps[len(ps)/2]
	l := zipped.load
	if l.zipped != l.msgsIn {
		return r, fmt.Errorf("%d of %d answers were compressed", l.zipped, l.msgsIn)
	}
	r.in, r.out = float64(l.bytesOut)/float64(l.msgsIn), float64(l.bytesIn)/float64(l.msgsIn)
	r.checked = l.checked()
	return r, nil
}

// side is a server with its load.
type side struct {
	*server
	load *load
}

// newSide starts one and lets every connection's history fill.
func newSide(o *options, c serverConfig, sh shape, z *deflate.Params) (*side, error) {
	srv, err := start(o, c)
	if err != nil {
		return nil, err
	}
	s := &side{server: srv}
	s.load, err = dial(srv.addr, sh, z)
	if err == nil {
		fill := sh.depth
		if z != nil {
			fill = 5<<z.ServerBits/4/sh.size + sh.depth
		}
		_, err = s.load.runCount(fill * sh.conns)
	}
	if err != nil {
		s.stop()
		return nil, err
	}
	return s, nil
}

func (s *side) stop() error {
	if s.load != nil {
		s.load.close()
	}
	return s.server.stop()
}

// slice loads the server for d and returns its CPU time per message.
func (s *side) slice(d time.Duration) (time.Duration, error) {
	before, err := s.ask("cpu")
	if err != nil {
		return 0, err
	}
	n, err := s.load.runFor(d)
	if err != nil {
		return 0, err
	}
	after, err := s.ask("cpu")
	return (after.CPU - before.CPU) / time.Duration(max(n, 1)), err
}
