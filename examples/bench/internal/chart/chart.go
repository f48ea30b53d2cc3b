// Package chart draws a report as an SVG picture: a panel for each kind of work, in it
// a bar for each server, from zero, with its interval. It is legible on a light and on
// a dark page.
package chart

import (
	"errors"
	"fmt"
	"html"
	"io"
	"slices"
	"strings"
	"time"

	"anyloop/examples/bench/internal/report"
)

// Bar is one server.
type Bar struct {
	Label     string
	Class     string // "ours", "floor" or "peer"
	Value     float64
	Low, High float64 // its interval; both 0 for none
}

// Panel is one kind of work.
type Panel struct {
	Title, Note string
	Line        float64 // where the reference is marked; 0: nowhere
	Digits      int     // behind the point
	Bars        []Bar   // the shortest first
}

// The measures, in pixels.
const (
	margin   = 20
	columns  = 2
	gap      = 28
	width    = 880
	labels   = 128 // for the names
	values   = 44  // for the figures behind the longest bar
	barSpace = 17
	barThick = 11
	head     = 44 // of a panel, for its title
	top      = 62 // for the picture's title
	lineHigh = 15 // of the text below
)

const style = `
 .value{paint-order:stroke;stroke:#ffffff;stroke-width:3px} .page{fill:#ffffff;stroke:#d0d7de} text{fill:#1f2328;font:12px -apple-system,"Segoe UI",Helvetica,Arial,sans-serif}
 .name{text-anchor:end} .title{font-size:17px;font-weight:600} .head{font-size:13px;font-weight:600} .note{font-size:11px;fill:#59636e}
 .ours{fill:#0969da} .peer{fill:#8c959f} .floor{fill:#c8d1da} .us{font-weight:600}
 .whisker{stroke:#1f2328;stroke-width:1} .line{stroke:#cf222e;stroke-width:1;stroke-dasharray:3 3}
 @media (prefers-color-scheme:dark){
 .value{stroke:#0d1117} .page{fill:#0d1117;stroke:#3d444d} text{fill:#f0f6fc} .note{fill:#9198a1}
 .ours{fill:#4493f8} .peer{fill:#656c76} .floor{fill:#3d444d}
 .whisker{stroke:#f0f6fc} .line{stroke:#f85149}}
`

// Draw draws the report.
func Draw(w io.Writer, r *report.Report) error {
	panels := Panels(r)
	if len(panels) == 0 {
		return errors.New("there is nothing to draw: no row of the report has figures")
	}
	places, below := arrange(panels)
	foot := footer(r)
	high := below + len(foot)*lineHigh + margin
	p := &pen{w: w}
	p.put(`<svg xmlns="http://www.w3.org/2000/svg" width="%d" height="%d" viewBox="0 0 %d %d" role="img" aria-labelledby="t d">`+"\n", width, high, width, high)
	p.put("<title id=\"t\">anyloop beside other servers</title>\n<desc id=\"d\">%s</desc>\n<style>%s</style>\n", text(describe(panels)), style)
	p.put(`<rect class="page" x="0.5" y="0.5" width="%d" height="%d" rx="8"/>`+"\n", width-1, high-1)
	p.text(margin, 30, "title", "What a server needs: CPU time per message, and memory")
	p.text(margin, 48, "note", "Shorter is better. All servers on one core of the same machine, in turns; bars begin at zero; whiskers: "+whiskers(r)+".")
	for i, panel := range panels {
		p.panel(places[i].x, places[i].y, panel)
	}
	for i, line := range foot {
		p.text(margin, below+i*lineHigh+4, "note", line)
	}
	p.put("</svg>\n")
	return p.err
}

const panelWidth = (width - 2*margin - (columns-1)*gap) / columns

// place is the upper left corner of a panel.
type place struct{ x, y int }

// arrange puts each panel where there is most room, and returns where all of them end.
func arrange(panels []Panel) (places []place, below int) {
	var ends [columns]int
	for i := range ends {
		ends[i] = top
	}
	for _, p := range panels {
		best := 0
		for i := range ends {
			if ends[i] < ends[best] {
				best = i
			}
		}
		places = append(places, place{margin + best*(panelWidth+gap), ends[best]})
		ends[best] += head + len(p.Bars)*barSpace + 16
	}
	return places, slices.Max(ends[:])
}

// whiskers says what the whiskers are.
func whiskers(r *report.Report) string {
	for _, row := range r.Rows {
		for _, x := range row.Results {
			if x.Ratio.Sure >= 0.95 {
				return "95 % intervals"
			}
		}
	}
	return "least and most"
}

// pen writes, until something goes wrong.
type pen struct {
	w   io.Writer
	err error
}

func (p *pen) put(format string, args ...any) {
	if p.err == nil {
		_, p.err = fmt.Fprintf(p.w, format, args...)
	}
}

func text(s string) string { return html.EscapeString(s) }

func (p *pen) text(x, y int, class, s string) {
	p.put(`<text class="%s" x="%d" y="%d">%s</text>`+"\n", class, x, y, text(s))
}

func (p *pen) panel(x, y int, panel Panel) {
	p.text(x, y+14, "head", panel.Title)
	p.text(x, y+30, "note", panel.Note)
	most := panel.Line
	for _, b := range panel.Bars {
		most = max(most, b.Value, b.High)
	}
	scale := float64(panelWidth-labels-values) / most
	zero := x + labels
	if panel.Line > 0 {
		p.put(`<path class="line" d="M%.1f %dV%d"/>`+"\n", float64(zero)+panel.Line*scale, y+head-4, y+head+len(panel.Bars)*barSpace-2)
	}
	for i, b := range panel.Bars {
		at := y + head + i*barSpace
		class := "name"
		if b.Class == "ours" {
			class += " us"
		}
		p.text(zero-6, at+10, class, b.Label)
		p.put(`<rect class="bar %s" x="%d" y="%d" width="%.1f" height="%d" rx="1"/>`+"\n", b.Class, zero, at, b.Value*scale, barThick)
		end := float64(zero) + max(b.Value, b.High)*scale
		if b.High > b.Low {
			p.put(`<path class="whisker" d="M%.1f %.1fH%.1f"/>`+"\n", float64(zero)+b.Low*scale, float64(at)+barThick/2., end)
		}
		p.put(`<text class="value" x="%.1f" y="%d">%s</text>`+"\n", end+5, at+10, panel.figure(b.Value))
	}
}

// figure prints a value as the panel's figures are.
func (p *Panel) figure(x float64) string {
	s := fmt.Sprintf("%.*f", p.Digits, x)
	if p.Digits == 0 {
		for i := len(s) - 3; i > 0; i -= 3 {
			s = s[:i] + "," + s[i:]
		}
	}
	return s
}

// describe says in words what our bars say, for those who do not see them.
func describe(panels []Panel) string {
	var all []string
	for _, p := range panels {
		for _, b := range p.Bars {
			if b.Class == "ours" {
				all = append(all, fmt.Sprintf("%s, %s: %s %s", p.Title, p.Note, b.Label, p.figure(b.Value)))
			}
		}
	}
	return strings.Join(all, "; ")
}

// footer says when, where and what.
func footer(r *report.Report) []string {
	lines := []string{fmt.Sprintf("%s · %s · ratios are medians of %d interleaved pairs of %s · drawn by examples/bench",
		r.When.Format(time.DateOnly), r.Machine, r.Pairs, r.Slice)}
	return append(lines, wrap(r.VersionLine(), 140)...)
}

// wrap breaks a list into lines.
func wrap(s string, most int) (lines []string) {
	for len(s) > most {
		i := strings.LastIndex(s[:most], ", ")
		if i < 0 {
			break
		}
		lines, s = append(lines, s[:i+1]), s[i+2:]
	}
	return append(lines, s)
}
