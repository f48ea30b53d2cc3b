package wstest

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"anyloop/core/ws"
)

// goodText are sequences that are UTF-8: the ends of each length and of the
// ranges around the surrogates, and code points that are no characters but
// allowed.
var goodText = []string{
	"", "Hello-\u00b5@\u00df\u00f6\u00e4\u00fc\u00e0\u00e1-UTF-8!!", "\u03ba\u1f79\u03c3\u03bc\u03b5",
	"\x00", "\x7f", "\u0080", "\u07ff", "\u0800", "\uffff", "\U00010000", "\U0010ffff",
	"\ud7ff", "\ue000", "\ufffd", "\ufffe", "\ufdd0", "\ufdef", "\ufeff",
	"\U0001fffe", "\U0001ffff", "\U0002fffe", "\U0002ffff", "\U0003fffe", "\U0003ffff", "\U0007ffff",
	"\U0008fffe", "\U000effff", "\U000ffffe", "\U0010fffe", "\U0003ffff\U00040000",
	"\u0000\u0080\u0800\U00010000", "\U0001f600\u20ac\u00e9a", strings.Repeat("\u20ac", 40),
}

// badText are sequences that are not.
var badText = []struct{ name, s string }{
	{"a continuation byte, the first", "\x80"},
	{"a continuation byte, the last", "\xbf"},
	{"two continuation bytes", "\x80\xbf"},
	{"seven continuation bytes", "\x80\xbf\x80\xbf\x80\xbf\x80"},
	{"lead bytes of two, each before a space", "\xc2 \xd0 \xdf "},
	{"a lead byte of three before a space", "\xe1 "},
	{"a lead byte of four before a space", "\xf1 "},
	{"c0", "\xc0"}, {"c1", "\xc1"}, {"f5", "\xf5"}, {"f8", "\xf8"}, {"fc", "\xfc"}, {"fe", "\xfe"}, {"ff", "\xff"},
	{"fe fe ff ff", "\xfe\xfe\xff\xff"},
	{"two bytes of which one is missing", "\xc3"},
	{"three bytes of which one is missing", "\xe2\x82"},
	{"three bytes of which two are missing", "\xe2"},
	{"four bytes of which one is missing", "\xf0\x9f\x98"},
	{"four bytes of which two are missing", "\xf0\x9f"},
	{"four bytes of which three are missing", "\xf0"},
	{"the last of three bytes is a letter", "\xe2\x82a"},
	{"the last of four bytes is a letter", "\xf0\x9f\x98a"},
	{"missing bytes one after the other", "\xc3\xe2\x82\xf0\x9f\x98"},
	{"an overlong slash of two", "\xc0\xaf"},
	{"an overlong slash of three", "\xe0\x80\xaf"},
	{"an overlong slash of four", "\xf0\x80\x80\xaf"},
	{"an overlong slash of five", "\xf8\x80\x80\x80\xaf"},
	{"an overlong slash of six", "\xfc\x80\x80\x80\x80\xaf"},
	{"the longest overlong two", "\xc1\xbf"},
	{"the longest overlong three", "\xe0\x9f\xbf"},
	{"the longest overlong four", "\xf0\x8f\xbf\xbf"},
	{"an overlong NUL of two", "\xc0\x80"},
	{"an overlong NUL of three", "\xe0\x80\x80"},
	{"an overlong NUL of four", "\xf0\x80\x80\x80"},
	{"surrogate d800", "\xed\xa0\x80"},
	{"surrogate db7f", "\xed\xad\xbf"},
	{"surrogate db80", "\xed\xae\x80"},
	{"surrogate dbff", "\xed\xaf\xbf"},
	{"surrogate dc00", "\xed\xb0\x80"},
	{"surrogate df80", "\xed\xbe\x80"},
	{"surrogate dfff", "\xed\xbf\xbf"},
	{"surrogates d800 dc00", "\xed\xa0\x80\xed\xb0\x80"},
	{"surrogates dbff dfff", "\xed\xaf\xbf\xed\xbf\xbf"},
	{"110000", "\xf4\x90\x80\x80"},
	{"13ffff", "\xf4\xbf\xbf\xbf"},
	{"200000", "\xf8\x88\x80\x80\x80"},
	{"3ffffff", "\xfb\xbf\xbf\xbf\xbf"},
	{"4000000", "\xfc\x84\x80\x80\x80\x80"},
	{"7fffffff", "\xfd\xbf\xbf\xbf\xbf\xbf"},
}

// impossible returns how many bytes of s there are up to and with the first that
// cannot be right, len(s)+1 if it fails only by ending too early, 0 if it is
// UTF-8. unicode/utf8 is the judge.
func impossible(s string) int {
	for i := 0; i < len(s); {
		r, n := utf8.DecodeRuneInString(s[i:])
		if r != utf8.RuneError || n > 1 {
			i += n
			continue
		}
		for k := 1; i+k <= len(s); k++ {
			if utf8.FullRuneInString(s[i : i+k]) {
				return i + k
			}
		}
		return len(s) + 1
	}
	return 0
}

// fragments cuts s into frames of at most n bytes.
func fragments(op ws.Opcode, s string, n int) []fr {
	var fs []fr
	for at := 0; at < len(s) || at == 0; at += n {
		fs = append(fs, fr{op: ws.Continuation, p: []byte(s[at:min(at+n, len(s))]), more: at+n < len(s)})
	}
	fs[0].op = op
	return fs
}

// encoding: RFC 6455 8.1.
func encoding(s *set) {
	for i, row := range goodText {
		for j, txt := range []string{row, "a" + row + "z", "\u20ac" + row + "\U0001f600"} {
			id := fmt.Sprintf("6.1.%d.%d", i+1, j+1)
			s.add(id+".1", fmt.Sprintf("%+q", txt), send(text(txt)), want(echoed(text(txt))), normal())
			if len(txt) > 1 {
				s.add(id+".2", fmt.Sprintf("%+q in two", txt), send(fragments(ws.Text, txt, (len(txt)+1)/2)...), want(joined(ws.Text, txt)), normal())
				s.add(id+".3", fmt.Sprintf("%+q in fragments of a byte", txt), send(fragments(ws.Text, txt, 1)...), want(joined(ws.Text, txt)), normal())
			}
		}
	}
	for i, row := range badText {
		for j, frame := range [][2]string{{"", ""}, {"\u03ba\u1f79\u03c3\u03bc\u03b5", "edited"}} {
			badTextCases(s, fmt.Sprintf("6.%d.%d", i+2, j+1), row.name, frame[0]+row.s, frame[1])
		}
	}
	for i, f := range []fr{text(""), binary(nonText(9))} {
		s.add(fmt.Sprintf("6.90.%d", i+1), "empty texts and binaries are anything", send(f, text(""), f), want(echoed(f), joined(ws.Text, ""), echoed(f)), normal())
	}
	empty := []fr{text("").unfinished(), cont("middle").unfinished(), cont("")}
	s.add("6.91", "an empty first and last fragment", send(empty...), want(joined(ws.Text, "middle")), normal())
	s.add("6.92", "three empty fragments", send(text("").unfinished(), cont("").unfinished(), cont("")), want(joined(ws.Text, "")), normal())
}

// badTextCases: s cannot be the beginning of a text that tail continues.
func badTextCases(st *set, id, name, s, tail string) {
	n := impossible(s + tail)
	all := s + tail
	st.add(id+".1", name, send(text(all), ping("no")), failed(1007))
	st.add(id+".2", name+", in fragments of a byte", send(fragments(ws.Text, all, 1)...), failed(1007))
	st.add(id+".3", name+", behind a message", send(text("ok"), text(all)), want(echoed(text("ok"))), failed(1007))
	if n > len(all) {
		// Only the end is wrong: until then it is a good beginning.
		st.add(id+".4", name+": not before the end", send(text(all).unfinished()), quiet, send(ping("?")), want(ponged("?")), send(cont("")), failed(1007))
		return
	}
	// Fail fast: a message that goes on, of which nothing is sent behind the
	// impossible byte.
	long := text(all + strings.Repeat(".", 200))
	st.add(id+".4", name+": at the impossible byte of a frame", begin(long, n-1), quiet, rest(long, n-1, n), failedInside(1007))
	var fs []fr
	for k := range n - 1 {
		f := cont(all[k : k+1]).unfinished()
		if k == 0 {
			f.op = ws.Text
		}
		fs = append(fs, f)
	}
	last := cont(all[n-1 : n]).unfinished()
	if n == 1 {
		last.op = ws.Text
	}
	st.add(id+".5", name+": at the impossible fragment", send(fs...), quiet, send(last), failed(1007))
	two := text(all[:n-1] + "\x00")
	two.more = true
	two.p = two.p[:n-1]
	if n > 1 {
		next := cont(all[n-1:] + strings.Repeat(".", 200)).unfinished()
		st.add(id+".6", name+": a Ping between tells that it was good until then", send(two, ping("?")), want(ponged("?")),
			begin(next, 1), failedInside(1007))
	}
}
