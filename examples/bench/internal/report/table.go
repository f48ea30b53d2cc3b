package report

import (
	"fmt"
	"io"
	"slices"
	"strings"
	"time"
)

// Disturbed is how many cores others may use before figures are marked.
const Disturbed = 0.15

// Print writes the report as Markdown.
func (r *Report) Print(w io.Writer) {
	fmt.Fprintf(w, "Measured %s in %s on %s; ratios are medians of %d interleaved pairs of %s.\n",
		r.When.Format(time.DateOnly), r.Took.Round(time.Second), r.Machine, r.Pairs, r.Slice)
	fmt.Fprintf(w, "\nVersions: %s.\n", r.VersionLine())
	for _, n := range r.Notes {
		fmt.Fprintf(w, "\nNote: %s.\n", n)
	}
	for _, row := range r.Rows {
		for _, ref := range row.references() {
			row.print(w, ref)
		}
	}
	if bad := r.Failures(); len(bad) > 0 {
		fmt.Fprintf(w, "\n**Failed:**\n")
		for _, s := range bad {
			fmt.Fprintf(w, "- %s\n", cell(s))
		}
	}
}

// String describes the machine in a line.
func (m Machine) String() string {
	return fmt.Sprintf("%s, %d cores, %s, %s", m.CPU, m.Cores, m.Kernel, m.Arch)
}

// VersionLine lists all versions.
func (r *Report) VersionLine() string {
	var all []string
	for name, v := range r.Versions {
		all = append(all, name+" "+v)
	}
	slices.Sort(all)
	return strings.Join(all, ", ")
}

// references returns the row's references in the order of their first results.
func (r *Row) references() (refs []string) {
	for _, x := range r.Results {
		ref := x.Reference
		if ref == "" {
			ref = x.Server
		}
		if !slices.Contains(refs, ref) {
			refs = append(refs, ref)
		}
	}
	return refs
}

// With returns the results of those that are compared with ref, the cheapest first,
// and ref itself; without those that have failed.
func (r *Row) With(ref string) (all []Result) {
	for _, x := range r.Results {
		if x.Failed != "" || x.Reference != ref && (x.Reference != "" || x.Server != ref) {
			continue
		}
		if x.Reference == "" {
			x.Ratio.Median, x.Ratio.Low, x.Ratio.High = 1, 1, 1
		}
		all = append(all, x)
	}
	slices.SortStableFunc(all, func(a, b Result) int {
		switch x, y := a.cost(), b.cost(); {
		case x < y:
			return -1
		case x > y:
			return 1
		}
		return 0
	})
	return all
}

// cost is what results are sorted by.
func (x *Result) cost() float64 {
	if x.Memory != nil {
		return x.Memory.PerConn.Median
	}
	return x.Ratio.Median
}

func (r *Row) print(w io.Writer, ref string) {
	all := r.With(ref)
	if len(all) == 0 {
		return
	}
	fmt.Fprintf(w, "\n### %s: %s\n\n", r.Name, cell(r.About))
	if all[0].Memory != nil {
		printMemory(w, all)
		return
	}
	fmt.Fprintf(w, "| server | CPU µs/%s | of it user | ratio to %s | per second | server busy | p50 µs | p99 µs | p99.9 µs | foreign cores |\n", r.Unit, cell(ref))
	fmt.Fprintln(w, "|---|---|---|---|---|---|---|---|---|---|")
	disturbed := false
	for _, x := range all {
		ratio, mark := "1", ""
		if x.Reference != "" {
			ratio = x.Ratio.String()
		}
		if x.Foreign > Disturbed {
			mark, disturbed = " (!)", true
		}
		fmt.Fprintf(w, "| %s | %s | %s | %s | %.0f | %.0f %% | %.0f | %.0f | %.0f | %.2f%s |\n", cell(x.Server), digits(x.CPU), digits(x.User),
			ratio, x.Rate, 100*x.Util, x.P50, x.P99, x.P999, x.Foreign, mark)
	}
	if disturbed {
		fmt.Fprintf(w, "\n(!) other processes used more than %.2f cores meanwhile.\n", Disturbed)
	}
}

func printMemory(w io.Writer, all []Result) {
	fmt.Fprintln(w, "| server | bytes/connection (least–most) | after a collection | resident before, MB | CPU when idle, ms/s |")
	fmt.Fprintln(w, "|---|---|---|---|---|")
	for _, x := range all {
		m, collected := x.Memory, "-"
		if m.Collected != 0 {
			collected = fmt.Sprintf("%.0f", m.Collected)
		}
		fmt.Fprintf(w, "| %s | %.0f (%.0f–%.0f) | %s | %.1f | %.2f |\n", cell(x.Server), m.PerConn.Median, m.PerConn.Low, m.PerConn.High,
			collected, float64(m.Base)/1e6, m.IdleCPU)
	}
}

// digits prints three digits that count.
func digits(x float64) string {
	switch {
	case x >= 100:
		return fmt.Sprintf("%.0f", x)
	case x >= 10:
		return fmt.Sprintf("%.1f", x)
	case x >= 1:
		return fmt.Sprintf("%.2f", x)
	}
	return fmt.Sprintf("%.3f", x)
}

// cell keeps text inside its cell of a table.
func cell(s string) string {
	return strings.NewReplacer("|", `\|`, "\n", " ").Replace(s)
}
