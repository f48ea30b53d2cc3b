package e2e

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/mount"
)

// bodyEcho answers with the method, the path and the body.
func bodyEcho(*core.Conn) core.HTTPHandler {
	var req *core.Request
	var got []byte
	return &httpCalls{
		request: func(c *core.Conn, r *core.Request) error {
			req, got = r, nil
			if n := r.ContentLength(); n > 0 || r.Header("transfer-encoding") != "" {
				return nil
			}
			return c.RequestWritable()
		},
		body:     func(_ *core.Conn, p []byte) error { got = append(got, p...); return nil },
		bodyDone: func(c *core.Conn) error { return c.RequestWritable() },
		writable: func(_ *core.Conn, w *core.HTTPWriter) error {
			if w.Headed() {
				return nil
			}
			return w.Respond(200, nil, fmt.Appendf(nil, "%s %s %s", req.Method(), req.Path(), got))
		},
	}
}

func web() core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "h", HTTP: bodyEcho}}}
}

// httpKeepAlive: many requests on one connection, one after the other and
// pipelined, bodies of both kinds, and the two ways of asking for the end.
func httpKeepAlive(s *scene) error {
	if err := s.up(web(), core.Limits{}); err != nil {
		return err
	}
	c := s.conn()
	for i := range 5 {
		s.answer(c, "GET", fmt.Sprintf("/%d", i), "", "", fmt.Sprintf("GET /%d ", i))
	}
	s.answer(c, "POST", "/length", "Content-Length: 5\r\n", "hello", "POST /length hello")
	s.answer(c, "POST", "/chunks", "Transfer-Encoding: chunked\r\n", "2\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n", "POST /chunks hello")
	big := strings.Repeat("b", 200_000)
	s.answer(c, "PUT", "/big", fmt.Sprintf("Content-Length: %d\r\n", len(big)), big, "PUT /big "+big)
	var all strings.Builder
	for i := range 20 {
		fmt.Fprintf(&all, "GET /p%d HTTP/1.1\r\nHost: test\r\n\r\n", i)
	}
	_, err := io.WriteString(c, all.String())
	s.must(err)
	for i := range 20 {
		s.body(c, "GET", 200, fmt.Sprintf("GET /p%d ", i))
	}
	s.answer(c, "GET", "/last", "Connection: close\r\n", "", "GET /last ")
	if rest, err := gone(c); rest != "" || err != nil {
		s.t.Errorf("after Connection: close: %q %v", rest, err)
	}
	old := s.conn()
	_, err = io.WriteString(old, "GET /old HTTP/1.0\r\n\r\n")
	s.must(err)
	s.body(old, "GET", 200, "GET /old ")
	if rest, err := gone(old); rest != "" || err != nil {
		s.t.Errorf("after HTTP/1.0: %q %v", rest, err)
	}
	return nil
}

// answer sends a request and holds the answer against want.
func (s *scene) answer(c *client.Conn, method, path, header, body, want string) {
	s.t.Helper()
	_, err := io.WriteString(c, method+" "+path+" HTTP/1.1\r\nHost: test\r\n"+header+"\r\n"+body)
	s.must(err)
	s.body(c, method, 200, want)
}

// body reads an answer and holds it against status and body.
func (s *scene) body(c *client.Conn, method string, status int, want string) client.Response {
	s.t.Helper()
	r, err := c.Response(method)
	s.must(err)
	if r.StatusCode != status || string(r.Body) != want {
		s.t.Fatalf("status %d with %d bytes %.60q; want %d with %d bytes %.60q", r.StatusCode, len(r.Body), r.Body, status, len(want), want)
	}
	return r
}

// files makes a folder and its mount. The host's own folder may be gone before
// the engine is: it is the test's.
func (s *scene) files(all map[string][]byte) core.VHost {
	s.t.Helper()
	dir := s.t.TempDir()
	for name, b := range all {
		s.must(os.WriteFile(filepath.Join(dir, name), b, 0o644))
	}
	vh := web()
	vh.Mounts = []core.Mount{mount.Files("/files", os.DirFS(dir))}
	return vh
}

// httpFiles: a small file and one of several chunks, whole and in parts.
func httpFiles(s *scene) error {
	small, large := letters(1000), pattern(1, 300_000)
	if err := s.up(s.files(map[string][]byte{"small.txt": small, "large.bin": large}), core.Limits{}); err != nil {
		return err
	}
	c := s.conn()
	ask := func(method, path, header string, status int, want []byte) client.Response {
		s.t.Helper()
		_, err := io.WriteString(c, method+" "+path+" HTTP/1.1\r\nHost: test\r\n"+header+"\r\n")
		s.must(err)
		return s.body(c, method, status, string(want))
	}
	for range 2 {
		r := ask("GET", "/files/small.txt", "", 200, small)
		if ct := r.Header.Get("Content-Type"); !strings.HasPrefix(ct, "text/plain") {
			s.t.Errorf("content-type %q", ct)
		}
		ask("GET", "/files/large.bin", "", 200, large)
		r = ask("GET", "/files/large.bin", "Range: bytes=100000-199999\r\n", 206, large[100000:200000])
		if cr := r.Header.Get("Content-Range"); cr != "bytes 100000-199999/300000" {
			s.t.Errorf("content-range %q", cr)
		}
		ask("GET", "/files/small.txt", "Range: bytes=-10\r\n", 206, small[990:])
		if r := ask("HEAD", "/files/large.bin", "", 200, nil); r.ContentLength != int64(len(large)) {
			s.t.Errorf("HEAD: content-length %d", r.ContentLength)
		}
		if r, err := c.Ask("GET", "/files/none", ""); err != nil || r.StatusCode != 404 {
			s.t.Fatalf("a file that is not there: %v %v", r.Response, err)
		}
	}
	one := "GET /files/%s HTTP/1.1\r\nHost: test\r\n\r\n"
	_, err := fmt.Fprintf(c, one+one+one, "large.bin", "small.txt", "large.bin")
	s.must(err)
	s.body(c, "GET", 200, string(large))
	s.body(c, "GET", 200, string(small))
	s.body(c, "GET", 200, string(large))
	return nil
}

// httpSlowFile: the client does not read until the server can send no more; then
// it takes the file in small pieces, every byte of it.
func httpSlowFile(s *scene) error {
	file := pattern(7, 16<<20)
	if err := s.up(s.files(map[string][]byte{"big.bin": file}), core.Limits{ContentTimeout: -1}); err != nil {
		return err
	}
	c := s.conn()
	small(c)
	_, err := c.Ask("GET", "/first", "") // with the handshake of TLS
	s.must(err)
	s.laps()
	begun := s.eng.Stats().BytesOut
	before := heap()
	_, err = io.WriteString(c, "GET /files/big.bin HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n")
	s.must(err)
	s.until("the answer begins", func() bool { s.laps(); return s.eng.Stats().BytesOut > begun })
	out := s.steady("the server's sending", func() uint64 { return s.eng.Stats().BytesOut })
	if out >= uint64(len(file)) {
		s.t.Fatalf("all of %d bytes went out to a client that reads nothing", len(file))
	}
	s.bounded("heap", heap()-before, s.host.Held+slack)
	piece := make([]byte, 4<<10)
	at, head := 0, readHead(s, c)
	if !strings.HasPrefix(head, "HTTP/1.1 200 ") {
		s.t.Fatalf("%q", head)
	}
	for {
		n, err := c.Read(piece)
		if at+n > len(file) || !bytes.Equal(piece[:n], file[at:at+n]) {
			s.t.Fatalf("bytes %d to %d are not the file's", at, at+n)
		}
		if at += n; err == io.EOF {
			break
		}
		s.must(err)
	}
	if at != len(file) {
		s.t.Errorf("%d bytes of %d", at, len(file))
	}
	return nil
}

func readHead(s *scene, c *client.Conn) string {
	s.t.Helper()
	var head []byte
	var b [1]byte
	for !bytes.HasSuffix(head, []byte("\r\n\r\n")) {
		_, err := io.ReadFull(c, b[:])
		s.must(err)
		head = append(head, b[0])
	}
	return string(head)
}

// late keeps each request open until its conn is asked to answer.
func late(asked chan<- *core.Conn) core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "h", HTTP: func(*core.Conn) core.HTTPHandler {
		return &httpCalls{
			request:  func(c *core.Conn, _ *core.Request) error { asked <- c; return nil },
			writable: func(_ *core.Conn, w *core.HTTPWriter) error { return w.Respond(200, nil, letters(100_000)) },
		}
	}}}}
}

// httpHalfClose: a client that has said all it will say still gets its answer,
// and then the end.
func httpHalfClose(s *scene) error {
	asked := make(chan *core.Conn, 1)
	if err := s.up(late(asked), core.Limits{}); err != nil {
		return err
	}
	c := s.conn()
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	s.must(err)
	conn := take(s, asked, "the request arrives")
	s.must(c.CloseWrite())
	s.laps()
	s.with(conn, func(c *core.Conn) { s.no(c.RequestWritable()) })
	s.body(c, "GET", 200, string(letters(100_000)))
	if rest, err := gone(c); rest != "" || err != nil {
		s.t.Errorf("after the answer: %q %v", rest, err)
	}
	return nil
}

// httpHalfCloseInstead: the end of the client's stream ends the connection; the
// client is not left waiting.
func httpHalfCloseInstead(s *scene) error {
	asked := make(chan *core.Conn, 1)
	if err := s.up(late(asked), core.Limits{}); err != nil {
		return err
	}
	c := s.conn()
	_, err := io.WriteString(c, "GET / HTTP/1.1\r\nHost: test\r\n\r\n")
	s.must(err)
	take(s, asked, "the request arrives")
	s.must(c.CloseWrite())
	if rest, err := dropped(c); rest != "" || err != nil {
		s.t.Errorf("after the client's end of stream: %q %v", rest, err)
	}
	return nil
}
