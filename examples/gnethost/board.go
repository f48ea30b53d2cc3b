package main

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"github.com/panjf2000/gnet/v2"
)

const maxLine = 256

// board is the application: scores by name, on one event loop, so without locks.
//
//	ADD ann 3   answered with "ann 3"
//	LIST        answered with a line for each name, and "."
type board struct {
	gnet.BuiltinEventEngine
	scores  map[string]int
	changed func(line string)                      // for who wants to know
	talks   func(c gnet.Conn, first []byte) tongue // what a connection speaks
	booted  func(gnet.Engine)
}

// tongue is what a connection speaks, as far as its first bytes tell.
type tongue uint8

const (
	lines tongue = iota
	http         // it was handed over
	unclear
)

func newBoard() *board {
	return &board{scores: map[string]int{}, changed: func(string) {}, booted: func(gnet.Engine) {},
		talks: func(gnet.Conn, []byte) tongue { return lines }}
}

// OnBoot implements gnet.EventHandler.
func (b *board) OnBoot(g gnet.Engine) gnet.Action {
	b.booted(g)
	return gnet.None
}

// OnTraffic implements gnet.EventHandler.
func (b *board) OnTraffic(c gnet.Conn) gnet.Action {
	p, err := c.Peek(-1)
	if err != nil {
		return gnet.Close
	}
	if c.Context() == nil { // its first bytes
		switch b.talks(c, p) {
		case http:
			return gnet.Close // gnet's end of it; it lives on in core
		case unclear:
			return gnet.None
		}
		c.SetContext(lines)
	}
	used := 0 // Discard may give p's memory to somebody else
	for {
		i := bytes.IndexByte(p[used:], '\n')
		if i < 0 {
			break
		}
		answer := b.do(strings.TrimSpace(string(p[used : used+i])))
		used += i + 1
		if _, err := c.Write([]byte(answer + "\n")); err != nil {
			return gnet.None // gnet has closed it
		}
	}
	if used > 0 { // 0 would be all
		c.Discard(used)
	}
	if c.InboundBuffered() > maxLine {
		return gnet.Close
	}
	return gnet.None
}

// do carries out one line.
func (b *board) do(line string) string {
	if line == "LIST" {
		return b.list() + "."
	}
	f := strings.Fields(line)
	if len(f) != 3 || f[0] != "ADD" || len(line) > maxLine {
		return "? ADD name points, or LIST"
	}
	n, err := strconv.Atoi(f[2])
	if err != nil {
		return "? points are a number"
	}
	b.scores[f[1]] += n
	score := fmt.Sprintf("%s %d", f[1], b.scores[f[1]])
	b.changed(score)
	return score
}

func (b *board) list() string {
	var s strings.Builder
	for _, name := range slices.Sorted(maps.Keys(b.scores)) {
		fmt.Fprintf(&s, "%s %d\n", name, b.scores[name])
	}
	return s.String()
}
