package h1

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"anyloop/core/header"
)

// answer parses the responses to one request, interim ones included, and then
// the body, from input in the given pieces; at the end of the pieces the
// connection ends.
func answer(m Method, lim *Limits, pieces ...[]byte) string {
	ps := ResponseParser{Method: m}
	var r Response
	var t header.Table
	var b BodyReader
	var buf, got []byte
	s, head, over := "", false, false
	for _, p := range pieces {
		buf = append(bytes.Clone(buf), p...)
		for !over {
			if head {
				data, n, done, err := b.Next(buf)
				got, buf = append(got, data...), buf[n:]
				if err != nil {
					return s + " " + err.Error()
				}
				if over = done; n == 0 {
					break
				}
				continue
			}
			done, n, err := ps.Next(buf, &r, &t, lim)
			buf = buf[n:]
			if err != nil {
				return s + err.Error()
			}
			if !done {
				break
			}
			s += told(&r, &t)
			if head = !r.Interim(); head {
				b.InitResponse(&r, lim.MaxBody)
			} else if err := ps.Skip(&r, &t); err != nil {
				return s + err.Error()
			}
		}
	}
	if !head {
		return s + "more"
	}
	if err := b.EOF(); err != nil {
		return fmt.Sprintf("%s %q %v", s, got, err)
	}
	return fmt.Sprintf("%s %q, %d left", s, got, len(buf))
}

func told(r *Response, t *header.Table) string {
	s := fmt.Sprintf("%d %q 1.%d %d", r.Status, r.Reason(), r.Minor, r.ContentLength)
	for _, f := range []struct {
		on   bool
		name string
	}{{r.Chunked, "chunked"}, {r.KeepAlive, "keep"}, {r.UpgradeWS, "websocket"}, {r.Interim(), "interim"}, {r.UntilClose(), "to-close"}} {
		if f.on {
			s += " " + f.name
		}
	}
	if v := t.Get("x"); v != nil {
		s += fmt.Sprintf(" x=%q", v)
	}
	return s + "|"
}

// answerEveryWay checks the input whole, in single bytes, cut anywhere and, where
// the message has an end of its own, with bytes behind it.
func answerEveryWay(t *testing.T, m Method, in, want string) {
	t.Helper()
	b, lim := []byte(in), &Limits{MaxBody: 100}
	check := func(want, how string, pieces ...[]byte) {
		t.Helper()
		if got := answer(m, lim, pieces...); got != want {
			t.Errorf("%.80q, %s:\ngot  %s\nwant %s", in, how, got, want)
		}
	}
	check(want, "whole", b)
	if strings.HasSuffix(want, ", 0 left") && !strings.Contains(want, "to-close") {
		check(strings.Replace(want, ", 0 left", ", 4 left", 1), "with a tail", append(bytes.Clone(b), "tail"...))
	}
	var bytewise [][]byte
	for i := range b {
		bytewise = append(bytewise, b[i:i+1])
	}
	check(want, "byte by byte", bytewise...)
	for i := 0; i < len(b); i += 1 + len(b)/100 {
		check(want, fmt.Sprintf("cut at %d", i), b[:i], b[i:])
	}
}

func TestResponseHeads(t *testing.T) {
	ok := "HTTP/1.1 200 OK\r\n"
	for _, c := range []struct{ in, want string }{
		{ok + "Content-Length: 5\r\n\r\nhello", `200 "OK" 1.1 5 keep| "hello", 0 left`},
		{"HTTP/1.1 200 OK\nContent-Length: 0\n\n", `200 "OK" 1.1 0 keep| "", 0 left`},
		{ok + "\r\nto the end", `200 "OK" 1.1 -1 to-close| "to the end", 0 left`},
		{"HTTP/1.0 200 OK\r\n\r\n", `200 "OK" 1.0 -1 to-close| "", 0 left`},
		{"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", `200 "OK" 1.0 0| "", 0 left`},
		{"HTTP/1.0 200 OK\r\nConnection: Keep-Alive\r\nContent-Length: 0\r\n\r\n", `200 "OK" 1.0 0 keep| "", 0 left`},
		{"HTTP/1.9 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", `200 "OK" 1.1 0| "", 0 left`},
		{"HTTP/1.1 404\r\nContent-Length: 0\r\n\r\n", `404 "" 1.1 0 keep| "", 0 left`},
		{"HTTP/1.1 404 \r\nContent-Length: 0\r\n\r\n", `404 "" 1.1 0 keep| "", 0 left`},
		{"HTTP/1.1 999 \xe9t\xe9 2\r\nContent-Length: 0\r\n\r\n", `999 "\xe9t\xe9 2" 1.1 0 keep| "", 0 left`},
		{ok + "Transfer-Encoding: Chunked\r\n\r\n2\r\nhi\r\n0\r\nA: b\r\n\r\n", `200 "OK" 1.1 -1 chunked keep| "hi", 0 left`},
		{"HTTP/1.1 101 Go\r\nUpgrade: WebSocket\r\nConnection: Upgrade\r\n\r\n", `101 "Go" 1.1 0 keep websocket| "", 0 left`},
		{"HTTP/1.1 101 Go\r\nUpgrade: websocket\r\n\r\n", `101 "Go" 1.1 0 keep| "", 0 left`},
		{"HTTP/1.1 100 Continue\r\nX: 1\r\n\r\nHTTP/1.1 103 Hints\r\n\r\nHTTP/1.1 204 No\r\n\r\n",
			`100 "Continue" 1.1 0 keep interim x="1"|103 "Hints" 1.1 0 keep interim|204 "No" 1.1 0 keep| "", 0 left`},
		{"HTTP/1.1 204 No\r\nContent-Length: 7\r\n\r\n", `204 "No" 1.1 0 keep| "", 0 left`},
		{"HTTP/1.1 304 Not\r\nContent-Length: 7000\r\n\r\n", `304 "Not" 1.1 0 keep| "", 0 left`},
		{"HTTP/1.1 304 Not\r\nTransfer-Encoding: chunked\r\n\r\n", `304 "Not" 1.1 0 keep| "", 0 left`},
		{ok + "X: a \r\n \t b\r\n\tc \r\nContent-Length: 0\r\n\r\n", `200 "OK" 1.1 0 keep x="a b c"| "", 0 left`},
		{ok + "X:\r\n b\r\nContent-Length: 0\r\n\r\n", `200 "OK" 1.1 0 keep x="b"| "", 0 left`},
		// cut short
		{ok + "Content-Length: 5\r\n\r\nhel", `200 "OK" 1.1 5 keep| "hel" ` + ErrTruncated.Error()},
		{ok + "Transfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n", `200 "OK" 1.1 -1 chunked keep| "hi" ` + ErrTruncated.Error()},
		{ok + "Content-Length: 0\r\n", "more"},
		// refused
		{"\r\n" + ok + "\r\n", ErrNotResponse.Error()},
		{"\x15\x03\x01\x00\x02\x02\x46", ErrNotResponse.Error()},
		{"SSH-2.0-x\r\n", ErrNotResponse.Error()},
		{"ICY 200 OK\r\n", ErrNotResponse.Error()},
		{"HTTP/11 200 OK\r\n", ErrNotResponse.Error()},
		{"HTTP/2.0 200 OK\r\n\r\n", ErrVersion.Error()},
		{"HTTP/1.1  200 OK\r\n\r\n", ErrStatusLine.Error()},
		{"HTTP/1.1 20 OK\r\n\r\n", ErrStatusLine.Error()},
		{"HTTP/1.1 2000 OK\r\n\r\n", ErrStatusLine.Error()},
		{"HTTP/1.1 099 OK\r\n\r\n", ErrStatusLine.Error()},
		{"HTTP/1.1 2x0 OK\r\n\r\n", ErrStatusLine.Error()},
		{"HTTP/1.1 200 O\x00K\r\n\r\n", ErrStatusLine.Error()},
		{"HTTP/1.1 200 O\rK\r\n\r\n", ErrBareCR.Error()},
		{ok + " X: folded\r\n\r\n", ErrFold.Error()},
		{ok + "X: a\r\n \t\r\n\r\n", ErrFold.Error()},
		{ok + "X: a\r\n b\x00\r\n\r\n", ErrField.Error()},
		{ok + "X: a\r\n b\rc\r\n\r\n", ErrBareCR.Error()},
		{ok + "A : b\r\n\r\n", ErrField.Error()},
		{ok + "Content-Length: 1\r\n 0\r\n\r\n", ErrContentLength.Error()},
		{ok + "Content-Length: 1\r\nContent-Length: 1\r\n\r\n", ErrContentLength.Error()},
		{ok + "Content-Length: -1\r\n\r\n", ErrContentLength.Error()},
		{ok + "Content-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", ErrSmuggling.Error()},
		{ok + "Transfer-Encoding: gzip, chunked\r\n\r\n", ErrTransferCode.Error()},
		{ok + "Transfer-Encoding: chunked, chunked\r\n\r\n", ErrTransfer.Error()},
		{"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", ErrTransfer.Error()},
		{strings.Repeat("HTTP/1.1 102 x\r\n\r\n", 17) + ok + "\r\n", strings.Repeat(`102 "x" 1.1 0 keep interim|`, 17) + ErrInterim.Error()},
		// over a limit
		{"HTTP/1.1 200 " + strings.Repeat("x", 9000) + "\r\n\r\n", ErrStatusTooLong.Error()},
		{"HTTP/1.1 200 " + strings.Repeat("x", 8192-13) + "\r\nContent-Length: 0\r\n\r\n", fmt.Sprintf("200 %q 1.1 0 keep| \"\", 0 left", strings.Repeat("x", 8192-13))},
		{"HTTP/1.1 200 " + strings.Repeat("x", 8192-12) + "\r\n\r\n", ErrStatusTooLong.Error()},
		{ok + "A: " + strings.Repeat("x", 5000) + "\r\n\r\n", ErrHeaderSize.Error()},
		// also while the line has no end
		{"HTTP/1.1 200 " + strings.Repeat("x", 9000), ErrStatusTooLong.Error()},
		{ok + strings.Repeat("x", 5000), ErrHeaderSize.Error()},
		{ok + "A: b\r\n" + strings.Repeat(" x\r\n", 3000) + "\r\n", ErrHeaderSize.Error()},
		{ok + strings.Repeat("A: b\r\n", 200) + "\r\n", ErrHeaderSize.Error()},
		{ok + "Content-Length: 101\r\n\r\n", ErrBodySize.Error()},
		{ok + "Transfer-Encoding: chunked\r\n\r\n65\r\n", `200 "OK" 1.1 -1 chunked keep| ` + ErrBodySize.Error()},
		{ok + "\r\n" + strings.Repeat("x", 100), `200 "OK" 1.1 -1 to-close| "` + strings.Repeat("x", 100) + `", 0 left`},
		{ok + "\r\n" + strings.Repeat("x", 101), `200 "OK" 1.1 -1 to-close| ` + ErrBodySize.Error()},
	} {
		answerEveryWay(t, GET, c.in, c.want)
	}
}

// TestNoBodyByMethod: RFC 9112 6.3, items 1 and 2.
func TestNoBodyByMethod(t *testing.T) {
	for _, c := range []struct {
		m        Method
		in, want string
	}{
		{HEAD, "HTTP/1.1 200 OK\r\nContent-Length: 7000\r\n\r\n", `200 "OK" 1.1 0 keep| "", 0 left`},
		{HEAD, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", `200 "OK" 1.1 0 keep| "", 0 left`},
		{HEAD, "HTTP/1.1 200 OK\r\n\r\n", `200 "OK" 1.1 0 keep| "", 0 left`},
		{HEAD, "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n", ErrContentLength.Error()},
		{CONNECT, "HTTP/1.1 200 Established\r\nContent-Length: x\r\nTransfer-Encoding: chunked\r\n\r\n", `200 "Established" 1.1 0 keep| "", 0 left`},
		{CONNECT, "HTTP/1.0 299\r\n\r\n", `299 "" 1.0 0| "", 0 left`},
		{CONNECT, "HTTP/1.1 407 Who\r\nContent-Length: 2\r\n\r\nno", `407 "Who" 1.1 2 keep| "no", 0 left`},
		{CONNECT, "HTTP/1.1 407 Who\r\nContent-Length: x\r\n\r\n", ErrContentLength.Error()},
	} {
		answerEveryWay(t, c.m, c.in, c.want)
	}
}

// TestResponseErrorsAreFinal, also that of the body.
func TestResponseErrorsAreFinal(t *testing.T) {
	var ps ResponseParser
	var r Response
	var tb header.Table
	if _, _, err := ps.Next([]byte("nope"), &r, &tb, &Limits{}); err != ErrNotResponse {
		t.Fatal(err)
	}
	if done, n, err := ps.Next([]byte("HTTP/1.1 200 OK\r\n\r\n"), &r, &tb, &Limits{}); done || n != 0 || err != ErrNotResponse {
		t.Error(done, n, err)
	}
	var b BodyReader
	b.InitResponse(&Response{ContentLength: 5}, 4)
	for range 2 {
		if _, _, _, err := b.Next([]byte("hello")); err != ErrBodySize || b.EOF() != ErrBodySize {
			t.Error(err)
		}
	}
	b.InitResponse(&Response{ContentLength: -1}, 4)
	if err := b.EOF(); err != nil {
		t.Error(err)
	}
	if _, _, done, err := b.Next(nil); !done || err != nil {
		t.Error("not done behind the end", err)
	}
}

func TestImpossibleResponseIsKnownAtOnce(t *testing.T) {
	for in, want := range map[string]bool{"": false, "H": false, "HTTP/": false, "HTTP/1.1 ": false, "h": true, "\r": true, "HTTP/1,": true, "HTTP/x": true, "<": true} {
		var ps ResponseParser
		var r Response
		var tb header.Table
		_, _, err := ps.Next([]byte(in), &r, &tb, &Limits{})
		if got := err == ErrNotResponse; got != want {
			t.Errorf("%q: %v", in, err)
		}
	}
}

func TestResponseAllocatesNothing(t *testing.T) {
	in := []byte("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n")
	var tb header.Table
	var r Response
	run := func() {
		tb.Reset()
		r = Response{}
		var ps ResponseParser
		if done, n, err := ps.Next(in, &r, &tb, &Limits{}); !done || n != len(in) || err != nil {
			t.Fatal(err)
		}
	}
	run()
	if n := testing.AllocsPerRun(100, run); n != 0 {
		t.Errorf("%v allocations for a response", n)
	}
}

func TestRequestLines(t *testing.T) {
	for _, c := range []struct {
		method, target string
		err            error
	}{
		{"GET", "/", nil}, {"GET", "/a?b=%20;c", nil}, {"PURGE", "/x", nil}, {"OPTIONS", "*", nil},
		{"GET", "http://h/x", nil}, {"GET", "https://h:8443?q", nil},
		{"CONNECT", "h:443", nil}, {"CONNECT", "[::1]:443", nil},
		{"", "/", ErrBadMethod}, {"GE T", "/", ErrBadMethod}, {"GET\r\n", "/", ErrBadMethod}, {strings.Repeat("X", 33), "/", ErrBadMethod},
		{"GET", "", ErrBadTarget}, {"GET", "*", ErrBadTarget}, {"GET", "x", ErrBadTarget}, {"GET", "/a b", ErrBadTarget},
		{"GET", "/\r\nX: y", ErrBadTarget}, {"GET", "/\n", ErrBadTarget}, {"GET", "/\x00", ErrBadTarget}, {"GET", "/\x7f", ErrBadTarget},
		{"GET", "/\xc3\xa9", ErrBadTarget}, {"GET", "/a#b", ErrBadTarget}, {"GET", "http://", ErrBadTarget}, {"GET", "http:///x", ErrBadTarget},
		{"GET", "http://u@h/", ErrBadTarget}, {"GET", "ftp://h/", ErrBadTarget},
		{"CONNECT", "/", ErrBadTarget}, {"CONNECT", "h", ErrBadTarget}, {"CONNECT", "h:", ErrBadTarget}, {"CONNECT", "h:0", ErrBadTarget},
		{"CONNECT", "h:65536", ErrBadTarget}, {"CONNECT", ":80", ErrBadTarget}, {"CONNECT", "[::1]", ErrBadTarget},
	} {
		got, err := AppendRequestLine([]byte("before "), c.method, c.target)
		want := "before "
		if c.err == nil {
			want += c.method + " " + c.target + " HTTP/1.1\r\n"
		}
		if string(got) != want || err != c.err {
			t.Errorf("%q %q: %q, %v", c.method, c.target, got, err)
		}
	}
}

func TestHosts(t *testing.T) {
	for _, h := range []string{"h", "h:80", "a.example", "[::1]", "[::1]:8080", "a_b"} {
		if got, err := AppendHost(nil, h); string(got) != "host: "+h+"\r\n" || err != nil {
			t.Errorf("%q: %q, %v", h, got, err)
		}
	}
	for _, h := range []string{"", "a b", "h\r\nx: y", "h/x", "u@h", "h:x", "h:123456", "[::1", "[::1]x", "h\x00", "h\n", "h:80:80"} {
		if got, err := AppendHost([]byte("x"), h); string(got) != "x" || err != ErrBadHost {
			t.Errorf("%q: %q, %v", h, got, err)
		}
	}
	for _, c := range []struct {
		host       string
		port, omit uint16
		want       string
	}{
		{"h", 80, 80, "h"}, {"h", 8080, 80, "h:8080"}, {"h", 80, 0, "h:80"}, {"127.0.0.1", 443, 443, "127.0.0.1"},
		{"::1", 80, 80, "[::1]"}, {"::1", 81, 80, "[::1]:81"}, {"[::1]", 81, 80, "[::1]:81"}, {"fe80::1%eth0", 80, 80, "[fe80::1]"},
		{"", 80, 80, ""}, {"h:80", 80, 80, ""}, {"[h]", 80, 80, ""}, {"[::1", 80, 80, ""}, {"a b", 80, 80, ""}, {"::1\r\n", 80, 80, ""}, {"[]", 80, 80, ""},
	} {
		got, err := AppendAuthority([]byte("x"), c.host, c.port, c.omit)
		if string(got) != "x"+c.want || (err == ErrBadHost) != (c.want == "") {
			t.Errorf("%q %d: %q, %v", c.host, c.port, got, err)
		}
	}
}

func TestConnect(t *testing.T) {
	got, err := AppendConnect([]byte("x"), "h:443", "", "")
	if string(got) != "xCONNECT h:443 HTTP/1.1\r\nhost: h:443\r\n\r\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	// RFC 7617 2.
	got, err = AppendConnect(nil, "h:443", "Aladdin", "open sesame")
	if string(got) != "CONNECT h:443 HTTP/1.1\r\nhost: h:443\r\nproxy-authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n\r\n" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	for _, c := range [][3]string{{"h", "", ""}, {"h:443\r\n", "", ""}, {"h:443", "a:b", "c"}, {"h:443", "a\n", "c"}, {"h:443", "a", "c\x7f"}} {
		if got, err := AppendConnect([]byte("x"), c[0], c[1], c[2]); string(got) != "x" || err == nil {
			t.Errorf("%q: %q, %v", c, got, err)
		}
	}
	// A colon in the password and more than ASCII are fine; net/http reads it back.
	got, err = AppendConnect(nil, "h:443", "é", "a:b")
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.ReadRequest(bufio.NewReader(bytes.NewReader(got)))
	if err != nil {
		t.Fatal(err)
	}
	_, b64, _ := strings.Cut(req.Header.Get("Proxy-Authorization"), " ")
	if raw, err := base64.StdEncoding.DecodeString(b64); string(raw) != "é:a:b" || err != nil || req.Host != "h:443" {
		t.Errorf("%q %v %q", raw, err, req.Host)
	}
}

// FuzzResponse compares with net/http: what both accept has the same status,
// fields and body.
func FuzzResponse(f *testing.F) {
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello"), 7, uint8(GET))
	f.Add([]byte("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nhi\r\n0\r\n\r\n"), 60, uint8(GET))
	f.Add([]byte("HTTP/1.0 304\r\nX: a\r\n b\r\n\r\nrest"), 9, uint8(GET))
	f.Add([]byte("HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\n\r\nall"), 9, uint8(GET))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 9, uint8(HEAD))
	f.Add([]byte("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n"), 9, uint8(CONNECT))
	f.Fuzz(func(t *testing.T, in []byte, cut int, method uint8) {
		cut = max(0, min(cut, len(in)))
		m := Method(method % 10)
		lim := &Limits{MaxBody: 1 << 20}
		whole := answer(m, lim, in)
		if parts := answer(m, lim, in[:cut], in[cut:]); parts != whole && !strings.Contains(whole, " h1: ") {
			t.Errorf("cut at %d: %s\nwhole: %s", cut, parts, whole)
		}
		var r Response
		var tb header.Table
		ps := ResponseParser{Method: m}
		done, n, err := ps.Next(in, &r, &tb, lim)
		if n > len(in) || err != nil && done {
			t.Fatalf("done %v, %d of %d, %v", done, n, len(in), err)
		}
		if !done {
			return
		}
		std, err := http.ReadResponse(bufio.NewReader(bytes.NewReader(in)), &http.Request{Method: (&Request{Method: m}).MethodName()})
		if err != nil {
			return
		}
		if std.StatusCode != r.Status {
			t.Errorf("status %d, ours %d", std.StatusCode, r.Status)
		}
		if v := tb.Get("x"); string(v) != std.Header.Get("X") {
			t.Errorf("X %q, ours %q", std.Header.Get("X"), v)
		}
		if m == CONNECT && r.Status/100 == 2 || r.Status == 101 {
			return // net/http leaves the tunnel to its caller
		}
		var b BodyReader
		b.InitResponse(&r, -1)
		ours, err := drain(&b, in[n:])
		theirs, stdErr := io.ReadAll(std.Body)
		if err == nil && stdErr == nil && !bytes.Equal(ours, theirs) {
			t.Errorf("body %q, ours %q", theirs, ours)
		}
		if errors.Is(stdErr, io.ErrUnexpectedEOF) && err == nil {
			t.Errorf("cut short after %q, ours is complete: %q", theirs, ours)
		}
	})
}

// drain reads a body of which all bytes are there.
func drain(b *BodyReader, p []byte) (body []byte, err error) {
	for {
		data, n, done, err := b.Next(p)
		body, p = append(body, data...), p[n:]
		switch {
		case err != nil || done:
			return body, err
		case n == 0:
			return body, b.EOF()
		}
	}
}

func ExampleResponseParser() {
	ps := ResponseParser{Method: GET}
	var r Response
	var t header.Table
	in := []byte("HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone")
	for {
		done, n, err := ps.Next(in, &r, &t, &Limits{})
		if !done || err != nil {
			return
		}
		if in = in[n:]; !r.Interim() {
			break
		}
		ps.Skip(&r, &t)
	}
	var b BodyReader
	b.InitResponse(&r, 0)
	data, _, done, err := b.Next(in)
	fmt.Println(r.Status, string(r.Reason()), string(data), done, err)
	// Output: 404 Not Found none true <nil>
}
