package wstest

import (
	"fmt"
	"strings"

	"anyloop/core/ws"
)

// A script of the table is a word of frames, one letter each: T B C are text,
// binary and continuation, P O X are Ping, Pong and Close; small letters lack
// FIN. A bar lets the testee come to rest and checks that it has said nothing
// more than it must.
const fragmentLetters = "TtBbCcPpOX"

// model is RFC 6455 5.4 and 5.5 as an automaton of its own: what a testee says
// to a word.
type model struct {
	frames []fr
	says   []item
	failed bool // the connection is failed: nothing counts any more
	shut   bool // the Close was answered
	open   bool // inside a message
	op     ws.Opcode
	data   string
}

func (m *model) letter(i int, c byte) {
	data := fmt.Sprintf("<%d%c>", i, c)
	low := c >= 'a'
	f := fr{p: []byte(data), more: low}
	switch c &^ 0x20 {
	case 'T':
		f.op = ws.Text
	case 'B':
		f.op = ws.Binary
	case 'C':
		f.op = ws.Continuation
	case 'P':
		f.op = ws.Ping
	case 'O':
		f.op = ws.Pong
	case 'X':
		f = bye(1000, data)
	}
	m.frames = append(m.frames, f)
	if m.failed || m.shut {
		return
	}
	switch {
	case f.op.IsControl() && low, f.op == ws.Continuation && !m.open, (f.op == ws.Text || f.op == ws.Binary) && m.open:
		m.failed = true
		m.says = append(m.says, closed(1002))
	case f.op == ws.Ping:
		m.says = append(m.says, ponged(data))
	case f.op == ws.Close:
		m.shut = true
		m.says = append(m.says, closedWith(1000, data))
	case !f.op.IsControl():
		if !m.open {
			m.op, m.data = f.op, ""
		}
		m.data += data
		if m.open = low; !low {
			m.says = append(m.says, joined(m.op, m.data))
		}
	}
}

// word makes the script of a word. Bars cut it into steps, each of which must
// bring exactly what it can.
func word(w string) []step {
	var m model
	var steps []step
	for i, part := range strings.Split(w, "|") {
		m.frames, m.says = nil, nil
		for j := range part {
			m.letter(10*i+j, part[j])
		}
		if len(m.frames) > 0 {
			steps = append(steps, send(m.frames...))
		}
		steps = append(steps, want(m.says...))
		switch {
		case m.failed:
			return append(steps, answered(1002))
		case m.shut:
			return append(steps, end)
		}
		steps = append(steps, quiet)
	}
	return append(steps, normal())
}

// fragmentWords are those that the well-known suite plays, and what they are.
var fragmentWords = [][2]string{
	{"p|C", "a Ping in two fragments"},
	{"oC", "a Pong in two fragments"},
	{"tC", "a text in two fragments"},
	{"t|C", "a text in two fragments, with a pause"},
	{"tPC", "a Ping between the fragments"},
	{"t|P|C", "a Ping between the fragments, with pauses"},
	{"tPcPcPC", "Pings between all fragments"},
	{"C", "a continuation of nothing"},
	{"c|T", "an unfinished continuation of nothing"},
	{"cT", "an unfinished continuation of nothing, then a text"},
	{"TC", "a continuation behind a message"},
	{"T|cT", "an unfinished continuation behind a message"},
	{"cTcT", "continuations of nothing and texts in turn"},
	{"CTCT", "finished continuations of nothing"},
	{"CtC", "a finished continuation of nothing, then a message in two"},
	{"cTtC", "an unfinished continuation of nothing, then messages"},
	{"tT", "a text inside a text"},
	{"t|T", "a text inside a text, at leisure"},
	{"tB", "a binary inside a text"},
	{"b|t", "a text begun inside a binary"},
	{"tcPccPC", "six fragments and two Pings, at once"},
	{"tc|P|cc|P|C", "six fragments and two Pings, with pauses"},
	{"t|c|P|c|c|P|c|C", "the same, a pause after each"},
	{"tOC", "a Pong between the fragments"},
	{"tX", "a Close inside a message"},
	{"tXC", "a Close inside a message that goes on"},
	{"tccccccccccccccccccccccccccccccC", "32 fragments"},
	{"bPcOcPC", "a binary with control frames of all kinds inside"},
	{"tCbCtCbC", "four messages of two fragments"},
	{"TtCBbCT", "messages in turn whole and in fragments"},
	{"TX|T", "a Close behind a message"},
	{"PpP", "a fragmented Ping between others"},
	{"tp", "a fragmented Ping inside a message"},
}

// fragmentation: words of the table, then all of up to three letters.
func fragmentation(s *set) {
	for i, row := range fragmentWords {
		s.add(fmt.Sprintf("5.%d", i+1), row[1], word(row[0])...)
	}
	for i, data := range []string{"", "a"} {
		for n := 1; n <= 5; n++ {
			fs := make([]fr, n)
			for k := range fs {
				fs[k] = cont(data)
				fs[k].more = k < n-1
			}
			fs[0].op = ws.Text
			s.add(fmt.Sprintf("5.50.%d", 5*i+n), fmt.Sprintf("%d fragments of %d bytes", n, len(data)),
				send(fs...), want(joined(ws.Text, strings.Repeat(data, n))), normal())
		}
	}
	longest := 3
	if s.opt.Brief {
		longest = 2
	}
	var all func(w string)
	all = func(w string) {
		if len(w) > 0 {
			s.add("5.60."+w, "the word "+w, word(w)...)
		}
		if len(w) < longest {
			for i := range fragmentLetters {
				all(w + fragmentLetters[i:i+1])
			}
		}
	}
	all("")
}
