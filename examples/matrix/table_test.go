package matrix

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"anyloop/core/loop/looptest/e2e"
	"anyloop/examples/internal/app"
)

const (
	page  = "../../loops/README.md"
	begin = "<!-- generated: go test ./examples/matrix -args -update -->\n"
	end   = "<!-- end of what is generated -->\n"
)

// tagged are the loops of builds with -tags foreignloops. Their columns outlive
// runs without them.
var tagged = []string{"ev", "event", "glib", "uv"}

// table is the results by backend and case, as the text of a cell.
type table map[string]map[string]e2e.Result

func (t table) set(backend, kase string, r e2e.Result) {
	if t[backend] == nil {
		t[backend] = map[string]e2e.Result{}
	}
	t[backend][kase] = r
}

func (t table) result(backend, kase string) (e2e.Result, bool) {
	r, ok := t[backend][kase]
	return r, ok
}

// complete reports whether every case has a result over every backend: not so if
// a part of the tests was selected.
func (t table) complete(backends []string) bool {
	for _, b := range backends {
		if len(t[b]) != len(e2e.Cases()) {
			return false
		}
	}
	return true
}

// with returns t with the columns of old that this build cannot make.
func (t table) with(old table) table {
	all := maps.Clone(t)
	for _, b := range tagged {
		if _, mine := t[b]; !mine && old[b] != nil {
			all[b] = old[b]
		}
	}
	return all
}

// markdown renders the table, and the reasons as numbered notes.
func (t table) markdown() string {
	backends := slices.Sorted(maps.Keys(t))
	var b strings.Builder
	fmt.Fprintf(&b, "| case | %s | over TLS | what it shows |\n|---|%s---|---|\n", strings.Join(backends, " | "), strings.Repeat("---|", len(backends)))
	var notes []string
	note := func(why string) {
		if why == "" {
			return
		}
		i := slices.Index(notes, why)
		if i < 0 {
			i, notes = len(notes), append(notes, why)
		}
		fmt.Fprintf(&b, " [%d]", i+1)
	}
	for _, k := range e2e.Cases() {
		fmt.Fprintf(&b, "| %s |", k)
		for _, name := range backends {
			r := t[name][k]
			fmt.Fprintf(&b, " %s", r.Verdict)
			note(r.Why)
			b.WriteString(" |")
		}
		b.WriteString(overTLS(k))
		note(e2e.PlainOnly(k))
		fmt.Fprintf(&b, " | %s |\n", e2e.Shows(k))
	}
	b.WriteString("\n")
	for i, n := range notes {
		fmt.Fprintf(&b, "%d. %s\n", i+1, n)
	}
	return b.String()
}

// overTLS is how a case stands to TLS. That it comes to the same over any wire, the
// runs check.
func overTLS(kase string) string {
	switch w := e2e.Wires(kase); {
	case w[0] != e2e.Plain:
		return " only"
	case len(w) == 1:
		return " " + e2e.Lacks.String()
	case len(w) > 2:
		return " yes, cut"
	}
	return " yes"
}

// parse reads what markdown has written. What it does not understand is left
// out, and shows as a difference.
func parse(s string) table {
	t := table{}
	notes := map[string]string{}
	for line := range strings.Lines(s) {
		if n, text, ok := strings.Cut(strings.TrimSpace(line), ". "); ok {
			if _, err := strconv.Atoi(n); err == nil {
				notes["["+n+"]"] = text
			}
		}
	}
	var backends []string
	for line := range strings.Lines(s) {
		cols := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cols {
			cols[i] = strings.TrimSpace(cols[i])
		}
		switch {
		case len(cols) < 3:
		case cols[0] == "case":
			backends = cols[1 : len(cols)-2]
		case len(cols) == len(backends)+3 && slices.Contains(e2e.Cases(), cols[0]):
			for i, b := range backends {
				t.set(b, cols[0], parseCell(cols[i+1], notes))
			}
		}
	}
	return t
}

func parseCell(s string, notes map[string]string) e2e.Result {
	word, note, _ := strings.Cut(s, " ")
	for _, v := range []e2e.Verdict{e2e.Yes, e2e.Instead, e2e.Refused, e2e.Lacks} {
		if v.String() == word {
			return e2e.Result{Verdict: v, Why: notes[note]}
		}
	}
	return e2e.Result{Verdict: e2e.Lacks, Why: "unknown: " + s}
}

// read returns the page in three parts: before, between and after the markers.
func read(t *testing.T) (head, generated, tail string) {
	t.Helper()
	b, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	head, rest, ok := strings.Cut(string(b), begin)
	generated, tail, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has not both markers", page)
	}
	return head + begin, generated, end + tail
}

func (t table) write(tb *testing.T) {
	tb.Helper()
	head, old, tail := read(tb)
	if err := os.WriteFile(page, []byte(head+t.with(parse(old)).markdown()+tail), 0o644); err != nil {
		tb.Fatal(err)
	}
}

// compare fails if the page is not what this run would write.
func (t table) compare(tb *testing.T) {
	tb.Helper()
	_, old, _ := read(tb)
	was := parse(old)
	is := t.with(was)
	if is.markdown() == old {
		return
	}
	for _, b := range slices.Sorted(maps.Keys(is)) {
		if was[b] == nil {
			tb.Errorf("the table has no column for %s", b)
			continue
		}
		for _, k := range e2e.Cases() {
			if is[b][k] != was[b][k] {
				tb.Errorf("%s, %s: %v; the table says %v", b, k, is[b][k], was[b][k])
			}
		}
	}
	tb.Errorf("%s is not what this run gives; go test ./examples/matrix -args -update writes it", page)
}

// TestTableCanBeRead: what is written can be read again, and the columns of other
// builds are kept.
func TestTableCanBeRead(t *testing.T) {
	full := table{}
	for i, b := range append(slices.Clone(tagged), app.Names()...) {
		for j, k := range e2e.Cases() {
			full.set(b, k, []e2e.Result{{}, e2e.Does("a, b"), e2e.Refuses("x: 1. y"), e2e.Has("z")}[(i+j)%4])
		}
	}
	text := full.markdown()
	if got := parse(text).markdown(); got != text {
		t.Errorf("read back:\n%s\nwritten:\n%s", got, text)
	}
	part := maps.Clone(full)
	for _, b := range tagged {
		delete(part, b)
	}
	if got := part.with(parse(text)).markdown(); got != text {
		t.Errorf("with the columns of another build:\n%s", got)
	}
	lost := maps.Clone(full)
	lost["gone"] = full["poll"]
	if got := full.with(parse(lost.markdown())).markdown(); got != text {
		t.Errorf("a loop that is gone has kept its column:\n%s", got)
	}
}
