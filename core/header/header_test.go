package header

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

func TestTable(t *testing.T) {
	var tb Table
	for _, f := range [][2]string{{"Host", "a"}, {"X-List", "1"}, {"x-list", "2"}, {"Cookie", "a=b"}, {"cookie", "c=d"}, {"Empty", ""}} {
		if err := tb.Add([]byte(f[0]), []byte(f[1])); err != nil {
			t.Fatal(err)
		}
	}
	if got := string(tb.Get("host")); got != "a" {
		t.Errorf("host %q", got)
	}
	if tb.Get("empty") == nil || tb.Get("absent") != nil {
		t.Error("an empty value is not nil, an absent one is")
	}
	for i, want := range []string{"1", "2"} {
		if v, ok := tb.Fragment("x-list", i); !ok || string(v) != want {
			t.Errorf("fragment %d: %q %v", i, v, ok)
		}
	}
	if _, ok := tb.Fragment("x-list", 2); ok {
		t.Error("a third fragment")
	}
	for name, want := range map[string]string{"x-list": "1, 2", "cookie": "a=b; c=d"} {
		if got, ok := tb.AppendJoined(nil, name); !ok || string(got) != want {
			t.Errorf("%s joined: %q", name, got)
		}
	}
	if n, v := tb.At(1); string(n) != "x-list" || string(v) != "1" || tb.Len() != 6 {
		t.Errorf("At(1): %q %q of %d", n, v, tb.Len())
	}
	tb.Reset()
	if tb.Len() != 0 || tb.Get("host") != nil || tb.Bytes() != 0 {
		t.Error("not empty after Reset")
	}
}

func TestTableIsBounded(t *testing.T) {
	var tb Table
	tb.Init(10, 2)
	if err := tb.Add([]byte("abc"), []byte("12345678")); !errors.Is(err, ErrTooLarge) {
		t.Errorf("11 bytes: %v", err)
	}
	if err := tb.Add([]byte("abc"), []byte("1234567")); err != nil {
		t.Errorf("10 bytes: %v", err)
	}
	tb.Reset()
	tb.Add([]byte("a"), nil)
	tb.Add([]byte("b"), nil)
	if err := tb.Add([]byte("c"), nil); !errors.Is(err, ErrTooLarge) {
		t.Errorf("a third field: %v", err)
	}
}

func TestTokens(t *testing.T) {
	var got []string
	for tok := range Tokens([]byte(" a, ,b\t,,c d ,")) {
		got = append(got, string(tok))
	}
	if !slices.Equal(got, []string{"a", "b", "c d"}) {
		t.Errorf("got %q", got)
	}
	if !HasToken([]byte("keep-alive, UPGRADE"), "upgrade") || HasToken([]byte("upgrades"), "upgrade") {
		t.Error("HasToken")
	}
}

func TestAccepts(t *testing.T) {
	for _, c := range []struct {
		value string
		want  bool
	}{
		{"gzip", true}, {"GZIP;q=0.5", true}, {"gzip;q=0", false}, {"gzip; q=0.000", false}, {"br", false}, {"*", true},
		{"*;q=0", false}, {"gzip;q=0, *", false}, {"*, gzip;q=0", false}, {"", false}, {"br, gzip;q=1.0", true}, {"gzip;q=x", false},
		{"gzip;q=", false}, {"gzip;q=1.001", false}, {"gzip;q=0.0001", false}, {"gzip;q=2", false}, {"gzip;q=10", false},
		{"gzip; Q=0.001 ", true}, {"gzip;level=9;q=0", false}, {"gzip;level=9", true}, {"x-gzip", true}, {"gzipx", false}, {"gzip;;q=0", false},
	} {
		if got := Accepts([]byte(c.value), "gzip"); got != c.want {
			t.Errorf("%q: %v", c.value, got)
		}
	}
	if q, _ := Quality([]byte("a;q=0.25"), "a"); q != 250 {
		t.Errorf("quality %d", q)
	}
}

func TestChars(t *testing.T) {
	for c := range 256 {
		s := string([]byte{byte(c)})
		token := strings.Contains("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ", s)
		if IsToken(s) != token {
			t.Errorf("token %#x: %v", c, !token)
		}
		value := c == '\t' || c >= ' ' && c != 0x7f
		if IsValue(s) != value {
			t.Errorf("value %#x: %v", c, !value)
		}
	}
	if IsToken("") || !IsValue("") {
		t.Error("empty")
	}
}

func ExampleTable() {
	var t Table
	t.Add([]byte("Accept"), []byte("text/html"))
	t.Add([]byte("Accept"), []byte("*/*"))
	v, _ := t.AppendJoined(nil, "accept")
	fmt.Printf("%s\n", v)
	// Output: text/html, */*
}

func TestFold(t *testing.T) {
	var tb Table
	tb.Init(20, 2)
	if err := tb.Fold([]byte("x")); err != ErrTooLarge {
		t.Errorf("without a field: %v", err)
	}
	tb.Add([]byte("a"), nil)
	tb.Fold([]byte("b"))
	tb.Fold([]byte("c"))
	tb.Add([]byte("d"), []byte("e"))
	tb.Fold([]byte("0123456789"))
	if a, d := tb.Get("a"), tb.Get("d"); string(a) != "b c" || string(d) != "e 0123456789" {
		t.Errorf("%q, %q", a, d)
	}
	if err := tb.Fold([]byte("x")); err != nil || tb.Bytes() != 19 {
		t.Errorf("%v, %d bytes", err, tb.Bytes())
	}
	if err := tb.Fold(nil); err != nil || tb.Bytes() != 20 {
		t.Errorf("%v, %d bytes", err, tb.Bytes())
	}
	if err := tb.Fold(nil); err != ErrTooLarge || string(tb.Get("d")) != "e 0123456789 x " {
		t.Errorf("over the bound: %v, %q", err, tb.Get("d"))
	}
}

// TestWords: what is looked at in words of eight bytes is what it is byte by byte,
// wherever in a word, and whatever stands around it.
func TestWords(t *testing.T) {
	for c := range 256 {
		for n := range 20 {
			for at := range n {
				for _, fill := range []byte{'a', 'Z', ' ', 0xff, 0x80} {
					b := make([]byte, 0, n)
					for range n {
						b = append(b, fill)
					}
					b[at] = byte(c)
					end := n
					if !IsValue(b) {
						end = at
					}
					if got := ValueEnd(b); got != end {
						t.Fatalf("ValueEnd(%q) = %d, want %d", b, got, end)
					}
					want := make([]byte, n)
					for i := range b {
						want[i] = lower[b[i]]
					}
					if end = n; !IsToken(b) {
						end = max(0, slices.IndexFunc(b, func(c byte) bool { return !IsTokenChar(c) }))
					}
					for _, behind := range []string{"", ":", strings.Repeat(":", longName)} {
						var low [longName]byte
						if got := lowerName(low[:], append(b, behind...)); got != end || string(low[:end]) != string(want[:end]) {
							t.Fatalf("lowerName(%q) is %q", b, low[:got])
						}
					}
					low2 := slices.Clone(b)
					toLower(low2)
					if !slices.Equal(low2, want) {
						t.Fatalf("toLower(%q) = %q, want %q", b, low2, want)
					}
				}
			}
		}
	}
}

// TestNames: the fields that have a Name are found by it as by their text, and
// nothing else is taken for them.
func TestNames(t *testing.T) {
	for n := Host; n < names; n++ {
		text := n.String()
		var tb Table
		check := func(what string) {
			t.Helper()
			_, twice := tb.Fragment(text, 1)
			if got, want := tb.First(n), tb.Get(text); string(got) != string(want) || (got == nil) != (want == nil) ||
				tb.Has(n) != (want != nil) || tb.Twice(n) != twice {
				t.Errorf("%s, %s: %q %v %v, want %q", text, what, got, tb.Has(n), tb.Twice(n), want)
			}
		}
		check("empty")
		for i := range text {
			b := []byte(text)
			b[i] ^= 1
			tb.Add(b, []byte("no"))
			tb.Add([]byte(text[:i]), []byte("no"))
		}
		check("others")
		if tb.Has(n) {
			t.Errorf("%s: found among others", text)
		}
		tb.Add([]byte(strings.ToUpper(text)), nil)
		check("once")
		tb.Add([]byte("between"), nil)
		tb.Add([]byte(text), []byte("2"))
		check("twice")
		tb.Add([]byte(text), []byte("3"))
		check("three times")
		tb.Reset()
		check("reset")
	}
}

// TestAddLines: whole lines that are as they should be, and no others.
func TestAddLines(t *testing.T) {
	long := strings.Repeat("n", longName)
	for _, c := range []struct {
		in   string
		want string // name=value of what was taken
		left string
	}{
		{"", "", ""},
		{"\r\n", "", "\r\n"},
		{"A: b\r\n\r\n", "a=b", "\r\n"},
		{"A:b\nC: \t d e \t\r\nE:\r\nF: \n\n", "a=b c=d e e= f=", "\n"},
		{"Host: h\r\nX: y", "host=h", "X: y"},
		{"Host: h\r\nX: y\r", "host=h", "X: y\r"},
		{"a: b\r\n folded\r\n", "a=b", " folded\r\n"},
		{"a : b\r\n", "", "a : b\r\n"},
		{": b\r\n", "", ": b\r\n"},
		{"a\r\n", "", "a\r\n"},
		{"a: b\rc\r\n", "", "a: b\rc\r\n"},
		{"a: b\x00\r\n", "", "a: b\x00\r\n"},
		{"a\xff: b\r\n", "", "a\xff: b\r\n"},
		{"a: \xff\tb\r\n", "a=\xff\tb", ""},
		{long[1:] + ":b\n", long[1:] + "=b", ""},
		{long + ":b\n", long + "=b", ""},
		{long + "n:b\n", "", long + "n:b\n"},
		{"a:1\nb:2\nc:3\nd:4\ne:5\n", "a=1 b=2 c=3 d=4", "e:5\n"}, // fields
		{"a:" + strings.Repeat("v", 199) + "\n", "a=" + strings.Repeat("v", 199), ""},
		{"a:" + strings.Repeat("v", 200) + "\nb:\n", "", "a:" + strings.Repeat("v", 200) + "\nb:\n"}, // bytes
	} {
		var tb Table
		tb.Init(200, 4)
		n := tb.AddLines([]byte(c.in))
		var got []string
		for i := range tb.Len() {
			name, value := tb.At(i)
			got = append(got, string(name)+"="+string(value))
			if id := nameOf(name); id != NoName && string(tb.First(id)) != string(value) {
				t.Errorf("%q: %s is not found", c.in, name)
			}
		}
		if all := strings.Join(got, " "); all != c.want || c.in[n:] != c.left {
			t.Errorf("%q: %q, left %q; want %q, %q", c.in, all, c.in[n:], c.want, c.left)
		}
	}
}
