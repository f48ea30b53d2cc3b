package h1

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httputil"
	"strings"
	"testing"
	"time"

	"anyloop/core/header"
)

// parse runs the parser over input in the given pieces, keeping what it leaves.
func parse(pieces ...[]byte) string {
	var ps Parser
	var r Request
	var t header.Table
	lim := &Limits{}
	var tail []byte
	for _, p := range pieces {
		buf := append(append([]byte(nil), tail...), p...)
		done, n, err := ps.Next(buf, &r, &t, lim)
		if err != nil {
			var he *Error
			if !errors.As(err, &he) {
				return "wrong kind of error: " + err.Error()
			}
			return fmt.Sprintf("error %d", he.Status)
		}
		if done {
			return describe(&r, &t)
		}
		tail = append([]byte(nil), buf[n:]...)
	}
	return "more"
}

func describe(r *Request, t *header.Table) string {
	s := fmt.Sprintf("%s %s", r.MethodName(), r.Path())
	if r.RawQuery() != nil {
		s += " ?" + string(r.RawQuery())
	}
	s += fmt.Sprintf(" 1.%d host=%s", r.Minor, r.Host())
	if r.ContentLength >= 0 {
		s += fmt.Sprintf(" length=%d", r.ContentLength)
	}
	for _, f := range []struct {
		on   bool
		name string
	}{{r.Chunked, "chunked"}, {r.KeepAlive, "keep"}, {r.Expect100, "expect"}, {r.UpgradeWS, "websocket"}} {
		if f.on {
			s += " " + f.name
		}
	}
	return s
}

func everyWay(t *testing.T, in, want string) {
	t.Helper()
	b := []byte(in)
	check := func(how string, pieces ...[]byte) {
		t.Helper()
		if got := parse(pieces...); got != want {
			t.Errorf("%.80q, %s:\ngot  %s\nwant %s", in, how, got, want)
		}
	}
	check("whole", b)
	check("with a tail", append(bytes.Clone(b), "GET /tail HTTP/1.1\r\n"...))
	var bytewise [][]byte
	for i := range b {
		bytewise = append(bytewise, b[i:i+1])
	}
	check("byte by byte", bytewise...)
	for i := 0; i < len(b); i += 1 + len(b)/100 {
		check(fmt.Sprintf("cut at %d", i), b[:i], b[i:])
	}
}

func TestRequests(t *testing.T) {
	h := "Host: h\r\n"
	for _, c := range []struct{ in, want string }{
		{"GET / HTTP/1.1\r\n" + h + "\r\n", "GET / 1.1 host=h keep"},
		{"GET / HTTP/1.1\n" + "Host: h\n\n", "GET / 1.1 host=h keep"},
		{"\r\n\r\nGET /a HTTP/1.1\r\n" + h + "\r\n", "GET /a 1.1 host=h keep"},
		{"GET /a?b=c HTTP/1.0\r\n\r\n", "GET /a ?b=c 1.0 host="},
		{"GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n", "GET / 1.0 host= keep"},
		{"GET / HTTP/1.1\r\n" + h + "Connection: x, Close\r\n\r\n", "GET / 1.1 host=h"},
		{"PURGE / HTTP/1.1\r\n" + h + "\r\n", "PURGE / 1.1 host=h keep"},
		{"GET http://abs.example/p?q HTTP/1.1\r\nHost: other\r\n\r\n", "GET /p ?q 1.1 host=abs.example keep"},
		{"GET http://abs.example HTTP/1.1\r\nHost: other\r\n\r\n", "GET / 1.1 host=abs.example keep"},
		{"GET http://abs.example?" + strings.Repeat("q", 300) + " HTTP/1.1\r\nHost: other\r\n\r\n", "GET / ?" + strings.Repeat("q", 300) + " 1.1 host=abs.example keep"},
		{"GET /" + strings.Repeat("x", 8192-14) + " HTTP/1.1\r\n" + h + "\r\n", "GET /" + strings.Repeat("x", 8192-14) + " 1.1 host=h keep"},
		{"GET /" + strings.Repeat("x", 8192-13) + " HTTP/1.1\r\n" + h + "\r\n", "error 414"},
		{"OPTIONS * HTTP/1.1\r\n" + h + "\r\n", "OPTIONS * 1.1 host=h keep"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: 10\r\nExpect: 100-continue\r\n\r\n", "POST / 1.1 host=h length=10 keep expect"},
		{"POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: Chunked\r\n\r\n", "POST / 1.1 host=h chunked keep"},
		{"GET / HTTP/1.1\r\n" + h + "Upgrade: foo, WebSocket\r\nConnection: keep-alive, Upgrade\r\n\r\n", "GET / 1.1 host=h keep websocket"},
		{"GET / HTTP/1.1\r\n" + h + "Upgrade: websocket\r\n\r\n", "GET / 1.1 host=h keep"},
		{"GET / HTTP/1.1\r\nHost: [::1]:80\r\nX: \t a b \t\r\n\r\n", "GET / 1.1 host=[::1]:80 keep"},
		// refused
		{"GET / HTTP/1.1\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + h + "\r\n", "error 400"},
		{"GET / HTTP/1.1\r\nHost: a b\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\nHost: h/x\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + "A : b\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + ": b\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + "no colon\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + "A: b\x00c\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + "A: b\rc\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + "A: b\r\n folded\r\n\r\n", "error 400"},
		{"GET /\x01 HTTP/1.1\r\n" + h + "\r\n", "error 400"},
		{"GET  / HTTP/1.1\r\n" + h + "\r\n", "error 400"},
		{"GET / HTTP/1.1 \r\n" + h + "\r\n", "error 400"},
		{"GET /\r\n" + h + "\r\n", "error 400"},
		{"GET / HTTP/2.0\r\n" + h + "\r\n", "error 505"},
		{"GET / http/1.1\r\n" + h + "\r\n", "error 400"},
		{"GET nope HTTP/1.1\r\n" + h + "\r\n", "error 403"},
		{"GET /% HTTP/1.1\r\n" + h + "\r\n", "error 403"},
		{"GET /%00 HTTP/1.1\r\n" + h + "\r\n", "error 403"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", "error 400"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", "error 400"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: 1, 1\r\n\r\n", "error 400"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: +1\r\n\r\n", "error 400"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: 99999999999999999999\r\n\r\n", "error 400"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: 9223372036854775808\r\n\r\n", "error 400"},
		{"POST / HTTP/1.1\r\n" + h + "Content-Length: 1000000000\r\n\r\n", "error 413"},
		{"POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: gzip\r\n\r\n", "error 501"},
		{"POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: chunked, gzip\r\n\r\n", "error 400"},
		{"POST / HTTP/1.1\r\n" + h + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", "error 400"},
		{"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n", "error 400"},
		{"GET / HTTP/1.1\r\n" + h + "Expect: miracles\r\n\r\n", "error 417"},
		{"GET /" + strings.Repeat("x", 9000) + " HTTP/1.1\r\n" + h + "\r\n", "error 414"},
		{"GET / HTTP/1.1\r\n" + h + "A: " + strings.Repeat("x", 5000) + "\r\n\r\n", "error 431"},
		{"GET / HTTP/1.1\r\n" + h + strings.Repeat("A: b\r\n", 200) + "\r\n", "error 431"},
		{"\x16\x03\x01\x02\x00", "error 400"},
		{"SSH-2.0-x\r\n\r\n", "error 400"},
		{strings.Repeat("\r\n", 10) + "GET / HTTP/1.1\r\n" + h + "\r\n", "error 400"},
	} {
		everyWay(t, c.in, c.want)
	}
}

func TestNotHTTPIsKnownAtTheFirstImpossibleByte(t *testing.T) {
	for in, want := range map[string]bool{"G": false, "GE": false, "GE\x01": true, "\x16": true, "SSH-2.0-x\r": true, "GET ": false, "(": true} {
		var ps Parser
		var r Request
		var tb header.Table
		_, _, err := ps.Next([]byte(in), &r, &tb, &Limits{})
		if got := errors.Is(err, ErrNotHTTP); got != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

// TestURIOracle is the table of the behaviour specification: target, path or
// status.
func TestURIOracle(t *testing.T) {
	for _, c := range []struct{ target, want string }{
		{"/..../", "/..../"}, {"/.../.", "/.../"}, {"/...//", "/.../"}, {"/.../%", "403"}, {"/../..", "/"},
		{"/.././", "/"}, {"/../.a", "/.a"}, {"/..//.", "/"}, {"/..//a", "/a"}, {"/..//?", "/"}, {"/../a.", "/a."},
		{"/../a/", "/a/"}, {"/../a?", "/a"}, {"/../?a", "/ ?a"}, {"/../?%", "403"}, {"/./...", "/..."},
		{"/./..a", "/..a"}, {"/./..?", "/"}, {"/.a../", "/.a../"}, {"/.a/..", "/"}, {"/.?../", "/. ?../"},
		{"//....", "/...."}, {"//../a", "/a"}, {"//..?a", "/ ?a"}, {"///..a", "/..a"}, {"/a.../", "/a.../"},
		{"/a../.", "/a../"}, {"/a./..", "/"}, {"/a/...", "/a/..."}, {"/a/../", "/"}, {"/a/..a", "/a/..a"},
		{"/a//..", "/"}, {"/a?/..", "/a ?/.."}, {"/?/../", "/ ?/../"}, {"/?/..%", "403"}, {"/%../", "403"},
		{"/path/to/dir/../other/dir", "/path/to/other/dir"}, {"/../../../../etc/passwd", "/etc/passwd"},
		{"%2f%2e%2e%2f%2e./xxtest.html?arg=1", "/xxtest.html ?arg=1"}, {"/%2e%2e%2f../../../etc/passwd", "/etc/passwd"},
		{"nope", "403"}, {"/a+b", "/a+b"}, {"/a;b", "/a;b"}, {"/a%3fb", "/a?b"}, {"/t%3dest?key1%3d2=v", "/t=est ?key1%3d2=v"},
		{"/%", "403"}, {"/%zz", "403"}, {"/a%00b", "403"}, {"/?a=%00", "/ ?a=%00"},
	} {
		path, query, err := Normalize(nil, []byte(c.target))
		got := string(path)
		if len(query) > 0 {
			got += " ?" + string(query)
		}
		if err != nil {
			got = fmt.Sprint(err.(*Error).Status)
		}
		if got != c.want {
			t.Errorf("%s: got %s, want %s", c.target, got, c.want)
		}
	}
}

func TestArgs(t *testing.T) {
	got := ""
	for n, v := range Args([]byte("a=1&b=2;c&key1%3d2=v+w&e=%3F&&x=a%00b")) {
		got += fmt.Sprintf("%s=%s|", n, v)
	}
	if want := "a=1|b=2|c=|key1_2=v w|e=?|x=a\x00b|"; got != want {
		t.Errorf("got %q", got)
	}
	if v, ok := Arg([]byte("a=1&b=2"), "b"); !ok || string(v) != "2" {
		t.Errorf("Arg: %q %v", v, ok)
	}
}

// body runs a BodyReader over pieces.
func body(length int64, chunked bool, limit int64, pieces ...[]byte) string {
	var b BodyReader
	b.Init(length, chunked, limit)
	var got, tail []byte
	for _, p := range pieces {
		buf := append(bytes.Clone(tail), p...)
		for {
			data, n, done, err := b.Next(buf)
			got = append(got, data...)
			buf = buf[n:]
			if err != nil {
				return fmt.Sprintf("error %d", err.(*Error).Status)
			}
			if done {
				return fmt.Sprintf("%q, %d left", got, len(buf))
			}
			if n == 0 {
				break
			}
		}
		tail = bytes.Clone(buf)
	}
	return fmt.Sprintf("%q, more", got)
}

func TestBodies(t *testing.T) {
	for _, c := range []struct {
		length  int64
		chunked bool
		in      string
		want    string
	}{
		{5, false, "hello", `"hello", 0 left`},
		{5, false, "hel", `"hel", more`},
		{0, false, "", `"", 0 left`},
		{-1, true, "5\r\nhello\r\n0\r\n\r\n", `"hello", 0 left`},
		{-1, true, "3;ext=\"x\"\r\nhel\r\n2 \r\nlo\r\n0\r\nA: b\r\n\r\n", `"hello", 0 left`},
		{-1, true, "00005\r\nhello\r\n000\r\n\r\n", `"hello", 0 left`},
		{-1, true, "\r\n", "error 400"},
		{-1, true, "g\r\n", "error 400"},
		{-1, true, "-1\r\n", "error 400"},
		{-1, true, "5\nhello", "error 400"},
		{-1, true, "1\r\nab\r\n", "error 400"},
		{-1, true, "1\r\na\n0\r\n\r\n", "error 400"},
		{-1, true, "ffffffffffffffff\r\n", "error 400"},
		{-1, true, "65\r\n", "error 413"},
		{-1, true, strings.Repeat("0", 300), "error 400"},
		{-1, true, "0\r\nA : b\r\n\r\n", "error 400"},
		{-1, true, "0\r\nA: " + strings.Repeat("x", 5000), "error 400"},
	} {
		b := []byte(c.in)
		if got := body(c.length, c.chunked, 100, b); got != c.want {
			t.Errorf("%.40q whole: got %s, want %s", c.in, got, c.want)
		}
		var bytewise [][]byte
		for i := range b {
			bytewise = append(bytewise, b[i:i+1])
		}
		if got := body(c.length, c.chunked, 100, append(bytewise, nil)...); got != c.want {
			t.Errorf("%.40q byte by byte: got %s, want %s", c.in, got, c.want)
		}
		if strings.HasSuffix(c.want, "0 left") {
			want := strings.Replace(c.want, "0 left", "4 left", 1)
			if got := body(c.length, c.chunked, 100, append(bytes.Clone(b), "tail"...)); got != want {
				t.Errorf("%.40q with a tail: got %s, want %s", c.in, got, want)
			}
		}
	}
}

func TestByteAtATimeIsLinear(t *testing.T) {
	line := []byte("GET /" + strings.Repeat("x", 8000) + " HTTP/1.1\r\nHost: h\r\n\r\n")
	var ps Parser
	var r Request
	var tb header.Table
	start := 0
	for i := 1; i <= len(line); i++ {
		done, n, err := ps.Next(line[start:i], &r, &tb, &Limits{})
		if err != nil {
			t.Fatal(err)
		}
		if start += n; done {
			return
		}
		if ps.seen != i-start {
			t.Fatalf("%d of %d bytes of the line are remembered as seen", ps.seen, i-start)
		}
	}
	t.Fatal("not complete")
}

func TestResponses(t *testing.T) {
	var b []byte
	b = AppendStatus(b, 1, 200)
	b = AppendStatus(b, 1, 404)
	b = AppendStatus(b, 0, 599)
	b = AppendChunkHeader(b, 255)
	b = AppendLastChunk(b)
	b = AppendDate(b, time.Date(1994, 11, 6, 8, 49, 37, 0, time.FixedZone("", 3600)))
	want := "HTTP/1.1 200 OK\r\nHTTP/1.1 404 Not Found\r\nHTTP/1.0 599 \r\nff\r\n0\r\n\r\nSun, 06 Nov 1994 07:49:37 GMT"
	if string(b) != want {
		t.Errorf("got %q", b)
	}
	for code, text := range reasons {
		if std := http.StatusText(code); std != "" && std != text && code != 413 && code != 414 && code != 416 && code != 422 {
			t.Errorf("%d: %q, net/http says %q", code, text, std)
		}
	}
}

func TestNoAllocations(t *testing.T) {
	in := []byte("GET /index.html?a=b HTTP/1.1\r\nHost: example.org\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	var tb header.Table
	var r Request
	run := func() {
		tb.Reset()
		r = Request{}
		var ps Parser
		if done, _, err := ps.Next(in, &r, &tb, &Limits{}); !done || err != nil {
			t.Fatal(err)
		}
	}
	run()
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations for a request", n)
	}
}

// FuzzRequest compares with net/http: what both accept means the same.
func FuzzRequest(f *testing.F) {
	f.Add([]byte("GET /a/../b?c HTTP/1.1\r\nHost: h\r\nA: b\r\n\r\n"), 7)
	f.Add([]byte("POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 20)
	f.Add([]byte("GET http://x/ HTTP/1.0\r\nContent-Length: 5\r\n\r\nhello"), 3)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = max(0, min(cut, len(in)))
		whole := parse(in)
		if parts := parse(in[:cut], in[cut:]); parts != whole {
			t.Errorf("cut at %d: %s\nwhole: %s", cut, parts, whole)
		}
		if whole == "more" || strings.HasPrefix(whole, "error") {
			return
		}
		std, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(bytes.TrimLeft(in, "\r\n"))))
		if err != nil {
			return // net/http is stricter with targets, methods and versions
		}
		var ps Parser
		var r Request
		var tb header.Table
		ps.Next(in, &r, &tb, &Limits{})
		if std.Method != r.MethodName() || r.Chunked != (len(std.TransferEncoding) > 0) {
			t.Errorf("net/http: %s %v\nours: %s", std.Method, std.TransferEncoding, whole)
		}
		if r.ContentLength > 0 && std.ContentLength != r.ContentLength {
			t.Errorf("content-length %d, ours %d", std.ContentLength, r.ContentLength)
		}
		if string(r.Host()) != std.Host && std.Host != "" {
			t.Errorf("host %q, ours %q", std.Host, r.Host())
		}
	})
}

// FuzzChunked compares with httputil's reader: what we accept it reads alike.
func FuzzChunked(f *testing.F) {
	f.Add([]byte("5\r\nhello\r\n0\r\n\r\n"), 3)
	f.Add([]byte("3;x\r\nabc\r\n0\r\nA: b\r\n\r\n"), 9)
	f.Fuzz(func(t *testing.T, in []byte, cut int) {
		cut = max(0, min(cut, len(in)))
		whole := body(-1, true, 1<<20, in)
		// How much is left behind the body depends on the cut; the body does not.
		data := func(s string) string { return s[:strings.LastIndexByte(s, ' ')] }
		if parts := body(-1, true, 1<<20, in[:cut], in[cut:]); !strings.HasSuffix(whole, "more") &&
			strings.TrimRight(data(parts), "0123456789") != strings.TrimRight(data(whole), "0123456789") {
			t.Errorf("cut at %d: %s\nwhole: %s", cut, parts, whole)
		}
		if !strings.HasSuffix(whole, "left") {
			return
		}
		std, err := io.ReadAll(httputil.NewChunkedReader(bytes.NewReader(in)))
		if err == nil && !strings.HasPrefix(whole, fmt.Sprintf("%q,", std)) {
			t.Errorf("httputil reads %q, we %s", std, whole)
		}
	})
}

// FuzzNormalize: a path begins with a slash, has nothing left to normalise, and
// normalising it again changes nothing.
func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"/a/../b", "//..?a", "/%2e%2e/x", "%2fx", "/./.", "/a/b/../../..", "/.?x"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		path, query, err := Normalize(nil, in)
		if err != nil {
			return
		}
		p := string(path)
		if p[0] != '/' || strings.Contains(p, "//") || strings.Contains(p, "/../") || strings.Contains(p, "/./") || strings.HasSuffix(p, "/..") {
			t.Errorf("%q became %q", in, p)
		}
		if query != nil && !bytes.HasSuffix(in, query) {
			t.Errorf("query %q is not the target's end", query)
		}
		esc := strings.NewReplacer("%", "%25", "?", "%3f").Replace(p)
		if again, _, err := Normalize(nil, []byte(esc)); err != nil || string(again) != p && !strings.HasSuffix(p, "/.") {
			t.Errorf("%q again: %q %v", p, again, err)
		}
	})
}

func ExampleParser() {
	var ps Parser
	var r Request
	var t header.Table
	done, n, err := ps.Next([]byte("GET /a/../b?x=1 HTTP/1.1\r\nHost: example.org\r\n\r\nnext"), &r, &t, &Limits{})
	fmt.Println(done, n, err, r.MethodName(), string(r.Path()), string(r.RawQuery()))
	// Output: true 47 <nil> GET /b x=1
}

// TestSimpleTargets: what goes past Normalize is what it leaves as it is.
func TestSimpleTargets(t *testing.T) {
	const chars = "/.a%2?"
	simple := 0
	var try func(b []byte)
	try = func(b []byte) {
		if len(b) > 0 {
			clean, ok := checkTarget(b)
			path, query, err := Normalize(nil, b)
			if same := err == nil && query == nil && bytes.Equal(path, b); !clean || ok && !same {
				t.Errorf("%q: clean %v, simple %v; normalised %q ?%q %v", b, clean, ok, path, query, err)
			}
			if ok {
				simple++
			}
		}
		if len(b) < 6 {
			for _, c := range []byte(chars) {
				try(append(b[:len(b):len(b)], c))
			}
		}
	}
	try(nil)
	if simple < 100 {
		t.Errorf("only %d are simple", simple)
	}
	for c := range 256 {
		clean, _ := checkTarget([]byte{'/', byte(c)})
		if want := c > ' ' && c != 0x7f; clean != want {
			t.Errorf("%#x: clean %v", c, clean)
		}
	}
}
