//go:build linux

package echobench

import (
	"fmt"
	"slices"
	"time"

	"anyloop/examples/bench/internal/plain"
	"anyloop/examples/bench/internal/report"
)

// step is a reference with all servers that are compared with it at one kind of work.
type step struct {
	row       row
	reference string
	servers   []string
}

type plan []step

func (p plan) comparisons() (n int) {
	for _, s := range p {
		n += len(s.servers)
	}
	return n
}

// plan says what is measured, in which order.
func (b *bench) plan() (p plan) {
	for _, r := range b.rows {
		at := map[string]int{}
		for i := range b.servers {
			s := &b.servers[i]
			if b.asked != nil && !b.asked[s.name] || !s.does(&r, b.asked[s.name]) {
				continue
			}
			ref := s.reference(&r)
			if ref == "" {
				ref = s.name
			}
			if r.memory {
				ref = r.reference // nothing is compared with it; they stand in one table
			}
			k, ok := at[ref]
			if !ok {
				k = len(p)
				at[ref] = k
				p = append(p, step{row: r, reference: ref})
			}
			if s.name != ref {
				p[k].servers = append(p[k].servers, s.name)
			}
		}
	}
	return p
}

// expected is about how long it takes: slices, and what servers and connections take
// to get up.
func (b *bench) expected(p plan) (d time.Duration) {
	for _, s := range p {
		up := 200*time.Millisecond + time.Duration(s.row.work.Conns)*150*time.Microsecond
		n := len(s.servers)
		if s.row.memory {
			d += time.Duration((n+1)*b.starts) * (up + time.Second)
			continue
		}
		slices := n + 1 + b.pairs*(n+(n+1)/2) // the first of each warms up
		slice := b.slice*time.Duration(s.row.stretch) + 3*time.Millisecond
		if s.row.work.Kind != plain.Connect { // all connections have their turn
			slice += time.Duration(s.row.work.Conns) * 10 * time.Microsecond
		}
		d += up*time.Duration(n+1) + time.Duration(slices)*slice
	}
	return d
}

// skipped is what there is of a step that was not made.
func (s *step) skipped(why error) (all []report.Result) {
	for _, name := range s.servers {
		all = append(all, report.Result{Server: name, Reference: s.reference, Failed: why.Error()})
	}
	return append([]report.Result{{Server: s.reference, Failed: why.Error()}}, all...)
}

// step measures a reference and those that are compared with it, two at a time.
func (b *bench) step(s *step) (all []report.Result) {
	if s.row.memory {
		return b.memories(s)
	}
	own := report.Result{Server: s.reference, Failed: "nothing was measured beside it"}
	todo := slices.Collect(slices.Chunk(s.servers, 2))
	if len(todo) == 0 {
		todo = [][]string{nil} // it alone
	}
	for len(todo) > 0 {
		ref, err := b.side(s.reference, &s.row)
		if err != nil {
			own.Failed = err.Error()
			break
		}
		for len(todo) > 0 && err == nil {
			var got []report.Result
			got, err = b.chunk(ref, todo[0])
			if err != nil && len(todo[0]) > 1 {
				// The fault is of one of them, or of the reference: once more, apart.
				todo = append([][]string{todo[0][:1], todo[0][1:]}, todo[1:]...)
				continue
			}
			all, todo = append(all, got...), todo[1:]
		}
		if r, e := ref.result(""); e == nil && ref.units > 0 {
			own = r
		}
		if e := ref.stop(); e != nil {
			own.Failed = e.Error()
		}
	}
	return append([]report.Result{own}, all...)
}

// chunk measures one or two servers beside a reference, or the reference alone. After
// an error the reference may be in the middle of its work.
func (b *bench) chunk(ref *side, names []string) (all []report.Result, err error) {
	if len(names) == 0 {
		return nil, b.alone(ref)
	}
	var sides []*side
	for _, name := range names {
		x, e := b.side(name, ref.row)
		if e != nil {
			all = append(all, report.Result{Server: name, Reference: ref.server.name, Failed: e.Error()})
			continue
		}
		sides = append(sides, x)
	}
	if len(sides) > 0 {
		err = b.duel(ref, sides)
	}
	for _, x := range sides {
		r, e := report.Result{}, err
		if e == nil {
			r, e = x.result(ref.server.name)
		}
		if e = firstError(e, x.stop()); e != nil {
			r = report.Result{Server: x.server.name, Reference: ref.server.name, Failed: e.Error()}
		}
		all = append(all, r)
	}
	return all, err
}

// side starts a server with its connections.
func (b *bench) side(name string, r *row) (*side, error) {
	s, err := b.find(name)
	if err != nil {
		return nil, err
	}
	x, err := b.newSide(s, r)
	if err != nil {
		return nil, err
	}
	if err := x.open(); err != nil {
		return nil, firstError(x.stop(), fmt.Errorf("opening: %w", err))
	}
	return x, nil
}

// alone measures a reference with nobody beside it.
func (b *bench) alone(ref *side) error {
	d := b.slice * time.Duration(ref.row.stretch)
	if err := ref.heat(d); err != nil {
		return err
	}
	for range b.pairs {
		if _, err := ref.slice(d); err != nil {
			return err
		}
	}
	return nil
}

// memories measures the memory of all.
func (b *bench) memories(s *step) (all []report.Result) {
	for _, name := range append([]string{s.reference}, s.servers...) {
		srv, err := b.find(name)
		var r report.Result
		if err == nil {
			r, err = b.memory(srv, &s.row)
		}
		if err != nil {
			r = report.Result{Server: name, Failed: err.Error()}
		}
		if name != s.reference {
			r.Reference = s.reference
		}
		all = append(all, r)
	}
	return all
}
