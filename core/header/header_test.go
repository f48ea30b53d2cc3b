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
