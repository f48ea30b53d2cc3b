package socks

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"testing"
)

// converse lets a client hear the answers in the given pieces. It returns what the
// client sent in each turn, in hexadecimal, and how it ended.
func converse(c *Client, pieces ...[]byte) string {
	turns := []string{fmt.Sprintf("%x", c.Append(nil))}
	var rest []byte
	for _, p := range pieces {
		rest = append(rest, p...)
		for {
			n, done, err := c.Next(rest)
			rest = rest[n:]
			out := c.Append(nil)
			if len(out) > 0 {
				turns = append(turns, fmt.Sprintf("%x", out))
			}
			if err != nil {
				return strings.Join(append(turns, err.Error()), " ")
			}
			if done {
				break
			}
			if n == 0 {
				break
			}
		}
	}
	_, done, _ := c.Next(nil)
	return strings.Join(append(turns, fmt.Sprintf("%v %q", done, rest)), " ")
}

func TestConversations(t *testing.T) {
	const (
		none   = "\x05\x00"
		user   = "\x05\x02"
		ok     = "\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50"
		ok6    = "\x05\x00\x00\x040123456789abcdef\x00\x50"
		okName = "\x05\x00\x00\x03\x04name\x00\x50"
		okNone = "\x05\x00\x00\x03\x00\x00\x50"
		byName = "050100030b6578616d706c652e6f726701bb"
	)
	for _, c := range []struct{ host, user, pass, in, want string }{
		{"example.org", "", "", none + ok, "050100 " + byName + ` true ""`},
		{"example.org", "", "", none + ok6, "050100 " + byName + ` true ""`},
		{"example.org", "", "", none + okName, "050100 " + byName + ` true ""`},
		{"example.org", "", "", none + okNone, "050100 " + byName + ` true ""`},
		{"127.0.0.1", "", "", none + ok, `050100 050100017f00000101bb true ""`},
		{"::1", "", "", none + ok, `050100 050100040000000000000000000000000000000101bb true ""`},
		{"[::1]", "", "", none + ok, `050100 050100040000000000000000000000000000000101bb true ""`},
		{"example.org", "me", "pw", user + "\x01\x00" + ok, "05020002 01026d65027077 " + byName + ` true ""`},
		{"example.org", "me", "", user + "\x01\x00" + ok, "05020002 01026d6500 " + byName + ` true ""`},
		{"example.org", "me", "pw", none + ok, "05020002 " + byName + ` true ""`},
		// incomplete
		{"example.org", "", "", "", `050100 false ""`},
		{"example.org", "", "", none + ok[:9], "050100 " + byName + ` false ""`},
		// refused
		{"example.org", "", "", "\x04", "050100 " + ErrVersion.Error()},
		{"example.org", "", "", "H", "050100 " + ErrVersion.Error()},
		{"example.org", "", "", user, "050100 " + ErrMethod.Error()},
		{"example.org", "", "", "\x05\xff", "050100 " + ErrMethod.Error()},
		{"example.org", "me", "pw", "\x05\x01", "05020002 " + ErrMethod.Error()},
		{"example.org", "me", "pw", user + "\x05", "05020002 01026d65027077 " + ErrReply.Error()},
		{"example.org", "me", "pw", user + "\x01\x01", "05020002 01026d65027077 " + ErrAuth.Error()},
		{"example.org", "", "", none + "\x04", "050100 " + byName + " " + ErrReply.Error()},
		{"example.org", "", "", none + "\x05\x05", "050100 " + byName + " socks: connection refused"},
		{"example.org", "", "", none + "\x05\x63", "050100 " + byName + " socks: reply code 99"},
		{"example.org", "", "", none + "\x05\x00\x01", "050100 " + byName + " " + ErrReply.Error()},
		{"example.org", "", "", none + "\x05\x00\x00\x02", "050100 " + byName + " " + ErrReply.Error()},
	} {
		check := func(want, how string, pieces ...[]byte) {
			t.Helper()
			var cl Client
			if err := cl.Init(c.host, 443, c.user, c.pass); err != nil {
				t.Fatal(err)
			}
			if got := converse(&cl, pieces...); got != want {
				t.Errorf("%s %q, %s:\ngot  %s\nwant %s", c.host, c.in, how, got, want)
			}
		}
		in := []byte(c.in)
		check(c.want, "whole", in)
		if strings.HasSuffix(c.want, `true ""`) {
			check(strings.TrimSuffix(c.want, `""`)+`"\x05tail"`, "with a tail", append(bytes.Clone(in), "\x05tail"...))
		}
		var bytewise [][]byte
		for i := range in {
			bytewise = append(bytewise, in[i:i+1])
			check(c.want, fmt.Sprintf("cut at %d", i), in[:i], in[i:])
		}
		check(c.want, "byte by byte", bytewise...)
	}
}

func TestReplyCodes(t *testing.T) {
	seen := map[string]bool{}
	for code := 1; code <= 255; code++ {
		var c Client
		c.Init("h", 1, "", "")
		c.Append(nil)
		c.Next([]byte{5, 0})
		c.Append(nil)
		_, done, err := c.Next([]byte{5, byte(code)})
		var re *ReplyError
		if !errors.As(err, &re) || re.Code != byte(code) || done || seen[re.Error()] {
			t.Errorf("code %d: %v", code, err)
			continue
		}
		seen[re.Error()] = true
		if n, done, again := c.Next([]byte{5, 0}); n != 0 || done || again != err {
			t.Errorf("code %d: the error is not final: %d %v %v", code, n, done, again)
		}
	}
}

func TestInitRefuses(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, c := range []struct {
		host       string
		port       uint16
		user, pass string
		want       error
	}{
		{long[:255], 1, long[:255], long[:255], nil}, {"h", 65535, "", "", nil}, {"a_b.example.", 1, "", "", nil},
		{"", 1, "", "", ErrHost}, {long, 1, "", "", ErrHost}, {"a b", 1, "", "", ErrHost}, {"a\x00", 1, "", "", ErrHost},
		{"h:80", 1, "", "", ErrHost}, {"[h]", 1, "", "", ErrHost}, {"[127.0.0.1]", 1, "", "", ErrHost}, {"fe80::1%eth0", 1, "", "", ErrHost},
		{"[::1", 1, "", "", ErrHost}, {"h/x", 1, "", "", ErrHost}, {"é", 1, "", "", ErrHost}, {"h", 0, "", "", ErrPort},
		{"h", 1, long, "", ErrCredentials}, {"h", 1, "u", long, ErrCredentials}, {"h", 1, "", "p", ErrCredentials},
	} {
		var cl Client
		if err := cl.Init(c.host, c.port, c.user, c.pass); err != c.want {
			t.Errorf("%.20q %d: %v, want %v", c.host, c.port, err, c.want)
		}
		if out := cl.Append(nil); (len(out) == 0) != (c.want != nil) {
			t.Errorf("%.20q %d: %x is sent", c.host, c.port, out)
		}
		if _, _, err := cl.Next([]byte{5, 0}); err != c.want {
			t.Errorf("%.20q %d: then %v", c.host, c.port, err)
		}
	}
}

// TestNothingIsReadBeforeTheQuestion: an answer that comes too early waits, so that
// the caller cannot forget to ask.
func TestNothingIsReadBeforeTheQuestion(t *testing.T) {
	var c Client
	c.Init("h", 1, "", "")
	if n, done, err := c.Next([]byte{5, 0}); n != 0 || done || err != nil {
		t.Error(n, done, err)
	}
	c.Append(nil)
	if out := c.Append(nil); len(out) != 0 {
		t.Errorf("asked twice: %x", out)
	}
	if n, _, _ := c.Next([]byte{5, 0, 5, 0}); n != 2 {
		t.Errorf("%d bytes consumed", n)
	}
	if n, _, _ := c.Next([]byte{5, 0}); n != 0 {
		t.Errorf("%d bytes consumed before the second question", n)
	}
}

// proxy is an independent reading of RFC 1928 and 1929: it parses what the client
// sends and says whom to connect to.
func proxy(turns []string) (to string, auth string) {
	last := turns[len(turns)-1]
	switch last[3] {
	case 1, 4:
		n := 4
		if last[3] == 4 {
			n = 16
		}
		to = fmt.Sprintf("%x port %x", last[4:4+n], last[4+n:])
	case 3:
		n := int(last[4])
		to = fmt.Sprintf("%s port %x", last[5:5+n], last[5+n:])
	}
	if len(turns) == 3 {
		u := int(turns[1][1])
		auth = turns[1][2:2+u] + ":" + turns[1][3+u:]
	}
	return to, auth
}

// FuzzSOCKS: whatever the proxy says in whatever pieces, the outcome is the same;
// what is not consumed is the rest of what came; what was asked is what was meant.
func FuzzSOCKS(f *testing.F) {
	f.Add("example.org", "", "", []byte("\x05\x00\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x50tail"), 3)
	f.Add("h", "me", "pw", []byte("\x05\x02\x01\x00\x05\x00\x00\x03\x01x\x00\x50"), 5)
	f.Add("1.2.3.4", "me", "", []byte("\x05\x00\x05\x00\x00\x040123456789abcdef\x00\x50"), 9)
	f.Add("h", "", "", []byte("\x05\x00\x05\x01"), 1)
	f.Fuzz(func(t *testing.T, host, user, pass string, in []byte, cut int) {
		cut = max(0, min(cut, len(in)))
		var a, b Client
		err := a.Init(host, 0x1234, user, pass)
		if again := b.Init(host, 0x1234, user, pass); again != err {
			t.Fatal(err, again)
		}
		if err != nil {
			return
		}
		whole := converse(&a, in)
		if parts := converse(&b, in[:cut], in[cut:]); parts != whole {
			t.Errorf("cut at %d: %s\nwhole: %s", cut, parts, whole)
		}
		var c Client
		c.Init(host, 0x1234, user, pass)
		turns := []string{string(c.Append(nil))}
		rest := in
		for {
			n, done, err := c.Next(rest)
			if n > len(rest) || err != nil && done {
				t.Fatalf("%d of %d, %v, %v", n, len(rest), done, err)
			}
			rest = rest[n:]
			if out := c.Append(nil); len(out) > 0 {
				turns = append(turns, string(out))
				continue
			}
			if !done {
				return
			}
			break
		}
		to, auth := proxy(turns)
		if !strings.HasSuffix(to, " port 1234") || len(turns) == 3 && auth != user+":"+pass {
			t.Errorf("asked for %s with %q", to, auth)
		}
		if !c.addr.IsValid() && to != host+" port 1234" {
			t.Errorf("asked for %s, not %s", to, host)
		}
	})
}

func ExampleClient() {
	var c Client
	if err := c.Init("example.org", 80, "", ""); err != nil {
		return
	}
	fmt.Printf("%q\n", c.Append(nil))
	c.Next([]byte("\x05\x00"))
	fmt.Printf("%q\n", c.Append(nil))
	n, done, err := c.Next([]byte("\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00tunnel"))
	fmt.Println(n, done, err)
	// Output:
	// "\x05\x01\x00"
	// "\x05\x01\x00\x03\vexample.org\x00P"
	// 10 true <nil>
}
