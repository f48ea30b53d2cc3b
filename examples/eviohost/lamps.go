//go:build linux || darwin || freebsd

package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/tidwall/evio"
)

const (
	maxLine  = 128
	maxLamps = 1000
)

// lamps is the application: which lamps of a house are on, by name, on one event
// loop, so without locks.
//
//	ON kitchen    answered with "kitchen on"
//	OFF kitchen   answered with "kitchen off"
//	LIST          answered with a line for each lamp, and "."
type lamps struct {
	on      map[string]bool
	changed func(line string)                                     // for who wants to know
	talks   func(c evio.Conn, first []byte) (tongue, evio.Action) // what a connection speaks
}

// tongue is what a connection speaks, as far as its first bytes tell.
type tongue uint8

const (
	unclear tongue = iota
	lines
	http
)

func newLamps() *lamps {
	return &lamps{on: map[string]bool{}, changed: func(string) {},
		talks: func(evio.Conn, []byte) (tongue, evio.Action) { return lines, evio.None }}
}

// guest is one connection.
type guest struct {
	input evio.InputStream
	tongue
}

// events are the application's callbacks.
func (l *lamps) events() evio.Events {
	return evio.Events{
		Opened: func(c evio.Conn) ([]byte, evio.Options, evio.Action) {
			c.SetContext(&guest{})
			return nil, evio.Options{}, evio.None
		},
		Data: l.data,
	}
}

func (l *lamps) data(c evio.Conn, in []byte) (out []byte, action evio.Action) {
	g := c.Context().(*guest)
	p := g.input.Begin(in)
	if g.tongue == unclear {
		g.tongue, action = l.talks(c, p)
	}
	if g.tongue == lines {
		for {
			i := bytes.IndexByte(p, '\n')
			if i < 0 {
				break
			}
			out = append(out, l.do(strings.TrimSpace(string(p[:i])))+"\n"...)
			p = p[i+1:]
		}
		if len(p) > maxLine {
			action = evio.Close
		}
	}
	g.input.End(p)
	return out, action
}

// do carries out one line.
func (l *lamps) do(line string) string {
	if line == "LIST" {
		return l.list() + "."
	}
	verb, name, _ := strings.Cut(line, " ")
	switch {
	case verb != "ON" && verb != "OFF", name == "", strings.Contains(name, " "), len(line) > maxLine:
		return "? ON lamp, OFF lamp, or LIST"
	case len(l.on) >= maxLamps:
		if _, known := l.on[name]; !known {
			return "? there are enough lamps"
		}
	}
	l.on[name] = verb == "ON"
	l.changed(l.state(name))
	return l.state(name)
}

func (l *lamps) state(name string) string {
	if l.on[name] {
		return name + " on"
	}
	return name + " off"
}

func (l *lamps) list() string {
	var s strings.Builder
	for _, name := range slices.Sorted(maps.Keys(l.on)) {
		fmt.Fprintln(&s, l.state(name))
	}
	return s.String()
}
