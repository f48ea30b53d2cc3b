package chart

import (
	"bytes"
	"encoding/xml"
	"errors"
	"io"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"anyloop/examples/bench/internal/report"
	"anyloop/examples/bench/internal/stat"
)

func ratio(server, reference string, x float64) report.Result {
	return report.Result{Server: server, Reference: reference, Ratio: stat.Interval{Median: x, Low: x - 0.1, High: x + 0.1}}
}

func example() *report.Report {
	return &report.Report{
		When:     time.Date(2026, 1, 2, 0, 0, 0, 0, time.UTC),
		Machine:  report.Machine{CPU: "A & B", Cores: 2, Kernel: "Linux 1.2", Arch: "amd64"},
		Versions: map[string]string{"go": "1.26", "example.org/<x>": "v1"},
		Rows: []report.Row{
			{Name: "e64", Unit: "message", Results: []report.Result{
				{Server: "raw"}, ratio("ours-poll", "raw", 1.04), ratio("<i>&co", "raw", 2.5),
				{Server: "broken", Reference: "raw", Failed: "it"},
				ratio("baregnet", "raw", 1.1), {Server: "baregnet"}, ratio("ours-gnet", "baregnet", 1.5), ratio("ours-evio", "bareevio", 1.2),
				{Server: "ours-broken", Reference: "raw", Failed: "it"},
			}},
			{Name: "not drawn", Results: []report.Result{{Server: "raw"}}},
			{Name: "idle", Results: []report.Result{
				{Server: "raw", Memory: &report.Memory{PerConn: stat.Interval{Median: 200, Low: 200, High: 200}}},
				{Server: "ours-poll", Reference: "raw", Memory: &report.Memory{PerConn: stat.Interval{Median: 1400, Low: 1390, High: 1410}}},
			}},
		},
	}
}

// element is what the tests look at.
type element struct {
	name string
	attr map[string]string
	text string
}

// parse reads the picture as XML, strictly.
func parse(t *testing.T, svg []byte) (all []element) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(svg))
	for {
		tok, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatalf("it is not well-formed: %v\n%s", err, svg)
		}
		switch x := tok.(type) {
		case xml.StartElement:
			e := element{name: x.Name.Local, attr: map[string]string{}}
			for _, a := range x.Attr {
				e.attr[a.Name.Local] = a.Value
			}
			all = append(all, e)
		case xml.CharData:
			if len(all) > 0 {
				all[len(all)-1].text += strings.TrimRight(string(x), "\n")
			}
		}
	}
}

func draw(t *testing.T, r *report.Report) []element {
	t.Helper()
	var b bytes.Buffer
	if err := Draw(&b, r); err != nil {
		t.Fatal(err)
	}
	return parse(t, b.Bytes())
}

func number(t *testing.T, s string) float64 {
	t.Helper()
	x, err := strconv.ParseFloat(s, 64)
	if err != nil {
		t.Fatal(err)
	}
	return x
}

// TestDraw: a bar for each server that has figures, as long as its figure from zero,
// with its name and its value, and all of it inside the picture.
func TestDraw(t *testing.T) {
	all := draw(t, example())
	var bars []element
	said := map[string]bool{}
	for _, e := range all {
		if strings.HasPrefix(e.attr["class"], "bar ") {
			bars = append(bars, e)
		}
		if e.name == "text" {
			said[e.text] = true
			if x, long := number(t, e.attr["x"]), 6.3*float64(len([]rune(e.text))); e.attr["class"] == "name" && long > labels ||
				!strings.HasPrefix(e.attr["class"], "name") && x+long*0.9 > width {
				t.Errorf("%q does not fit at %v", e.text, x)
			}
			if y := number(t, e.attr["y"]); y > number(t, all[0].attr["height"]) {
				t.Errorf("%q is below the picture, at %v", e.text, y)
			}
		}
	}
	var lengths []float64
	for _, b := range bars {
		lengths = append(lengths, number(t, b.attr["width"]))
	}
	// e64: raw 1, ours 1.04, the other 2.5; idle: 200, 1400; loops: evio 1.2, gnet 1.5.
	want := []float64{1, 1.04, 2.5, 200, 1400, 1.04, 1.2, 1.5}
	scales := []int{0, 0, 0, 3, 3, 5, 5, 5} // the first bar of the same panel
	if len(bars) != len(want) {
		t.Fatalf("%d bars, want %d", len(bars), len(want))
	}
	for i := range want {
		if got, w := lengths[i]/lengths[scales[i]], want[i]/want[scales[i]]; math.Abs(got-w) > 0.01 {
			t.Errorf("bar %d is %.3f times the first, want %.3f", i, got, w)
		}
	}
	for _, s := range []string{"<i>&co", "2.50", "1,400", "anyloop", "bare epoll", "on evio", "on poll", "go 1.26"} {
		found := false
		for text := range said {
			found = found || text == s || s == "go 1.26" && strings.Contains(text, s)
		}
		if !found {
			t.Errorf("%q is not in the picture", s)
		}
	}
	for _, s := range []string{"broken", "on broken", "it"} {
		if said[s] {
			t.Errorf("%q has failed and is in the picture", s)
		}
	}
}

// TestArrange: panels lie beside or below each other.
func TestArrange(t *testing.T) {
	panels := []Panel{{Bars: make([]Bar, 10)}, {Bars: make([]Bar, 2)}, {Bars: make([]Bar, 3)}, {Bars: make([]Bar, 9)}}
	places, below := arrange(panels)
	for i, a := range places {
		end := a.y + head + len(panels[i].Bars)*barSpace
		if a.x+panelWidth > width-margin || end > below || a.y < top {
			t.Errorf("panel %d is outside: %+v", i, a)
		}
		for k, b := range places[:i] {
			if a.x == b.x && a.y < b.y+head+len(panels[k].Bars)*barSpace {
				t.Errorf("panels %d and %d overlap: %+v, %+v", k, i, b, a)
			}
		}
	}
}

// TestFooter: when, on which machine, and all versions, whole.
func TestFooter(t *testing.T) {
	r := example()
	for i := range 12 {
		r.Versions["github.com/somebody/something"+strconv.Itoa(i)] = "v1.2.3"
	}
	lines := footer(r)
	joined := strings.Join(lines, " ")
	for _, s := range []string{"2026-01-02", "A & B", "2 cores", "Linux 1.2", "go 1.26", r.VersionLine()} {
		if !strings.Contains(joined, s) {
			t.Errorf("%q is missing in\n%s", s, joined)
		}
	}
	for _, l := range lines {
		if len(l) > 142 {
			t.Errorf("%d characters: %s", len(l), l)
		}
	}
}

// TestBothSchemes: every class that has a colour has one for dark pages.
func TestBothSchemes(t *testing.T) {
	light, dark, ok := strings.Cut(style, "@media (prefers-color-scheme:dark)")
	if !ok {
		t.Fatal("there are no colours for dark pages")
	}
	for _, class := range []string{".page{fill", ".value{", "text{fill", ".note{", ".ours{", ".peer{", ".floor{", ".whisker{stroke", ".line{stroke"} {
		if !strings.Contains(light, class) || !strings.Contains(dark, class) {
			t.Errorf("%s is not in both", class)
		}
	}
}

// TestNothingToDraw: it says so.
func TestNothingToDraw(t *testing.T) {
	if err := Draw(io.Discard, &report.Report{}); err == nil {
		t.Error("a picture of nothing")
	}
	if err := Draw(full{}, example()); !errors.Is(err, errFull) {
		t.Errorf("%v", err)
	}
}

var errFull = errors.New("full")

type full struct{}

func (full) Write([]byte) (int, error) { return 0, errFull }
