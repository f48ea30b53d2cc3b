package chart

import (
	"cmp"
	"slices"
	"strings"

	"anyloop/examples/bench/internal/report"
)

// drawn are the rows that get a panel, in the order of the picture. The others are in
// the tables.
var drawn = []struct{ row, title string }{
	{"e64", "Echo: 64 connections, 64 B"},
	{"e10k", "Echo: 10,000 connections, 64 B"},
	{"p16", "Echo: 64 connections, 16 messages in flight on each"},
	{"e16k", "Echo: 64 connections, 16 KiB"},
	{"bcast", "Broadcast: 256 B to 1,000 connections"},
	{"conn", "Connect and upgrade (bare epoll: connect and echo)"},
	{"http", "HTTP/1.1: a file of 1 KiB, 64 keep-alive connections"},
	{"idle", "Memory: 10,000 idle connections"},
}

// engines are the rows that our backends are compared with their bare engines in.
var engines = []struct{ row, title string }{
	{"e64", "Each loop: 64 connections, 64 B"},
	{"p16", "Each loop: 16 messages in flight on each"},
}

// names are what servers are called in the picture.
var names = map[string]string{
	"ours-poll": "anyloop", "raw": "bare epoll", "rawws": "bare epoll, framing", "rawpoll": "bare poll(2)",
	"baregnet": "bare gnet", "bareevio": "bare evio", "gnet": "gnet + gobwas", "gobwas-epoll": "gobwas + epoll",
	"gws": "lxzan/gws", "coder": "coder/websocket", "gorilla": "gorilla/websocket", "nethttp": "net/http", "lws": "libwebsockets",
}

func name(server string) string {
	if n := names[server]; n != "" {
		return n
	}
	return server
}

// Panels returns what Draw draws.
func Panels(r *report.Report) (all []Panel) {
	find := func(name string) *report.Row {
		i := slices.IndexFunc(r.Rows, func(row report.Row) bool { return row.Name == name })
		if i < 0 {
			return nil
		}
		return &r.Rows[i]
	}
	for _, d := range drawn {
		if row := find(d.row); row != nil {
			if p := worked(row, d.title); len(p.Bars) > 0 {
				all = append(all, p)
			}
		}
	}
	for _, d := range engines {
		if row := find(d.row); row != nil {
			if p := loops(row, d.title); len(p.Bars) > 1 {
				all = append(all, p)
			}
		}
	}
	return all
}

// worked is all servers at one kind of work, beside its reference.
func worked(row *report.Row, title string) Panel {
	ref := row.Results[0].Server
	p := Panel{Title: title, Digits: 2, Line: 1, Note: "CPU per " + row.Unit + ", as a ratio to " + name(ref)}
	for _, x := range row.With(ref) {
		if strings.HasPrefix(x.Server, "bare") || x.Server == "rawpoll" {
			continue // what our loops are compared with
		}
		b := Bar{Label: name(x.Server), Class: class(x.Server), Value: x.Ratio.Median, Low: x.Ratio.Low, High: x.Ratio.High}
		if x.Memory != nil {
			m := x.Memory.PerConn
			b.Value, b.Low, b.High = m.Median, m.Low, m.High
			p.Note, p.Line, p.Digits = "bytes of resident memory per connection; whiskers: least and most", 0, 0
		}
		p.Bars = append(p.Bars, b)
	}
	return p
}

// loops is our server on each loop beside the bare engine.
func loops(row *report.Row, title string) Panel {
	p := Panel{Title: title, Digits: 2, Line: 1, Note: "CPU per " + row.Unit + ", as a ratio to the bare loop's echo without WebSocket"}
	for _, x := range row.Results {
		if loop, ok := strings.CutPrefix(x.Server, "ours-"); ok && x.Failed == "" && x.Reference != "" {
			p.Bars = append(p.Bars, Bar{Label: "on " + loop, Class: "ours", Value: x.Ratio.Median, Low: x.Ratio.Low, High: x.Ratio.High})
		}
	}
	slices.SortStableFunc(p.Bars, func(a, b Bar) int { return cmp.Compare(a.Value, b.Value) })
	return p
}

func class(server string) string {
	switch {
	case strings.HasPrefix(server, "ours-"):
		return "ours"
	case strings.HasPrefix(server, "raw"), strings.HasPrefix(server, "bare"):
		return "floor"
	}
	return "peer"
}
