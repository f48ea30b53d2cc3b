//go:build linux

package plain

import (
	"bytes"
	"io"
	"math/rand"
	"net"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"anyloop/core/ws"
)

// answering starts a TCP server of this kind.
func answering(t *testing.T, serve func(c net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				serve(c)
			}()
		}
	}()
	return l.Addr().String()
}

// loaded makes a load with its connections open.
func loaded(t *testing.T, w Work) *loop {
	t.Helper()
	l, err := newLoop(w)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.end() })
	if err := l.openAll(w.Conns); err != nil {
		t.Fatal(err)
	}
	return l
}

// TestCounts: what is counted is what the server has echoed, and nothing is under way
// at the end of a slice.
func TestCounts(t *testing.T) {
	heard := make(chan int, 3)
	addr := answering(t, func(c net.Conn) {
		n, _ := io.Copy(c, c)
		heard <- int(n)
	})
	l := loaded(t, Work{Addr: addr, Kind: Echo, Raw: true, Conns: 3, Size: 100, Depth: 4})
	sum := 0
	for range 2 {
		s, err := l.slice(5 * time.Millisecond)
		if err != nil {
			t.Fatal(err)
		}
		if s.Units < 12 || l.busy != 0 || s.Elapsed < 5*time.Millisecond {
			t.Errorf("%+v, %d under way", s, l.busy)
		}
		sum += int(s.Units)
	}
	if int(l.lat.n) != sum {
		t.Errorf("%d latencies of %d messages", l.lat.n, sum)
	}
	for i := range l.conns { // an end in good order: the server sees all bytes
		unix.Shutdown(l.conns[i].fd, unix.SHUT_WR)
	}
	got := 0
	for range 3 {
		got += <-heard
	}
	if got != sum*100 {
		t.Errorf("the server has got %d bytes, counted were %d messages of 100", got, sum)
	}
}

// TestWrongAnswersAreNoticed: another byte, a byte too many, silence and an end.
func TestWrongAnswersAreNoticed(t *testing.T) {
	read := func(c net.Conn) []byte {
		b := make([]byte, 100)
		io.ReadFull(c, b)
		return b
	}
	for name, c := range map[string]struct {
		serve func(net.Conn)
		want  string
	}{
		"another byte": {func(c net.Conn) {
			b := read(c)
			b[99] ^= 1
			c.Write(b)
		}, "not what was sent"},
		"too much": {func(c net.Conn) {
			c.Write(append(read(c), 'x', 'y'))
			io.Copy(io.Discard, c)
		}, "not what was sent"},
		"too little": {func(c net.Conn) {
			c.Write(read(c)[:99])
			io.Copy(io.Discard, c)
		}, errSilent.Error()},
		"an end": {func(c net.Conn) { c.Write(read(c)[:50]) }, errLost.Error()},
	} {
		w := Work{Addr: answering(t, c.serve), Kind: Echo, Raw: true, Conns: 1, Size: 100}
		if c.want == errSilent.Error() {
			w.Patience = 50 * time.Millisecond
		}
		l := loaded(t, w)
		_, err := l.slice(time.Hour)
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestHandshakeIsChecked: an answer with another key is none.
func TestHandshakeIsChecked(t *testing.T) {
	addr := answering(t, func(c net.Conn) {
		c.Read(make([]byte, 4096))
		io.WriteString(c, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: bm90IHRoaXMga2V5IGF0IGFsbCE=\r\n\r\n")
		io.Copy(io.Discard, c)
	})
	l, err := newLoop(Work{Addr: addr, Kind: Echo, Size: 10})
	if err != nil {
		t.Fatal(err)
	}
	defer l.end()
	if err := l.openAll(1); err == nil || !strings.Contains(err.Error(), "no upgrade") {
		t.Errorf("%v", err)
	}
}

// parsing makes a connection that expects payload as its next messages.
func parsing(payload []byte) (l *loop, c *conn, messages *int) {
	l = &loop{kind: opBinary, stream: newStream(true, 1, 1)}
	l.expect = func(*conn) []byte { return payload }
	messages = new(int)
	l.message = func(*conn, int64) error {
		*messages++
		return nil
	}
	return l, &conn{state: open}, messages
}

// TestFramesInPieces: frames of each length of header, whole and in two parts with a
// ping between, are the same however they are cut.
func TestFramesInPieces(t *testing.T) {
	for _, size := range []int{0, 1, 125, 126, 1<<16 - 1, 1 << 16} {
		payload := bytes.Repeat([]byte("abcdefg"), size/7+1)[:size]
		wire := ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, payload)
		wire = ws.AppendFrame(wire, ws.Header{Op: ws.Binary}, payload[:size/2])
		wire = ws.AppendFrame(wire, ws.Header{Op: ws.Ping, Fin: true}, []byte("ping"))
		wire = ws.AppendFrame(wire, ws.Header{Op: ws.Continuation, Fin: true}, payload[size/2:])
		for _, step := range []int{1, 2, 3, 1000, len(wire)} {
			if size > 1000 && step == 2 {
				continue
			}
			l, c, messages := parsing(payload)
			for b := wire; len(b) > 0; {
				k := min(step, len(b))
				if err := l.takeFrames(c, b[:k]); err != nil {
					t.Fatalf("%d bytes, %d at a time: %v", size, step, err)
				}
				b = b[k:]
			}
			pong := appendMasked(nil, opPong, 0x01020304, []byte("ping"))
			if *messages != 2 || !bytes.Equal(c.extra, pong) {
				t.Errorf("%d bytes, %d at a time: %d messages, pong % x", size, step, *messages, c.extra)
			}
		}
	}
}

// TestWrongFramesAreNoticed: what a server must not send in answer.
func TestWrongFramesAreNoticed(t *testing.T) {
	for name, wire := range map[string][]byte{
		"another type": ws.AppendFrame(nil, ws.Header{Op: ws.Text, Fin: true}, []byte("abc")),
		"masked":       ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true, Masked: true, Mask: [4]byte{1, 2, 3, 4}}, []byte("abc")),
		"too short":    ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, []byte("ab")),
		"too long":     ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, []byte("abcd")),
		"no beginning": ws.AppendFrame(nil, ws.Header{Op: ws.Continuation, Fin: true}, []byte("abc")),
		"compressed":   append([]byte{0xc2, 3}, "abc"...),
		"a close":      ws.AppendFrame(nil, ws.Header{Op: ws.Close, Fin: true}, []byte{3, 232}),
	} {
		l, c, messages := parsing([]byte("abc"))
		err := l.takeFrames(c, wire)
		if err == nil || *messages != 0 || name == "masked" && !strings.Contains(err.Error(), "masked") {
			t.Errorf("%s: %v, %d messages", name, err, *messages)
		}
	}
}

// TestResponse: a whole response, in parts none, and all that is wrong is an error.
func TestResponse(t *testing.T) {
	const good = "HTTP/1.1 200 OK\r\nServer: x\r\ncontent-LENGTH: 3\r\n\r\nabc"
	if n, err := response([]byte(good+"HTTP/1.1"), []byte("abc")); n != len(good) || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for i := range good {
		if n, err := response([]byte(good[:i]), []byte("abc")); n != 0 || err != nil {
			t.Fatalf("%d bytes: %d, %v", i, n, err)
		}
	}
	for _, bad := range []string{
		strings.Replace(good, "200 OK", "404 No", 1),
		strings.Replace(good, "abc", "abd", 1),
		strings.Replace(good, ": 3", ": 2", 1),
		strings.Replace(good, "content", "kontent", 1),
	} {
		if _, err := response([]byte(bad), []byte("abc")); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}

// TestStream: messages lie one behind the other, and any run of as many as may be in
// flight is whole, from whichever message on.
func TestStream(t *testing.T) {
	for _, burst := range []int{1, 16, 700} {
		s := newStream(false, 64, burst)
		if len(s.wire) != (s.count+burst)*s.each {
			t.Fatalf("%d bytes for %d and %d messages of %d", len(s.wire), s.count, burst, s.each)
		}
		for i := range s.count + burst {
			f := bytes.Clone(s.wire[i*s.each : (i+1)*s.each])
			key := f[2:6]
			p := f[6:]
			for k := range p {
				p[k] ^= key[k%4]
			}
			if !bytes.Equal(p, s.payloads[i%s.count]) {
				t.Fatalf("message %d is another", i)
			}
		}
	}
}

// TestHist: quantiles are within 1.6 % of the true ones.
func TestHist(t *testing.T) {
	var h hist
	r := rand.New(rand.NewSource(1))
	for _, i := range r.Perm(100_000) {
		h.add(int64(i) * 1000)
	}
	for _, q := range []float64{0.5, 0.99, 0.999} {
		want := q * 1e8
		if got := float64(h.quantile(q)); got < want*0.984 || got > want*1.016 {
			t.Errorf("%v: %v, want %v", q, got, want)
		}
	}
	if h.max != 99_999_000 {
		t.Errorf("the longest: %d", h.max)
	}
	if got := (&hist{}).quantile(0.5); got != 0 {
		t.Errorf("of nothing: %v", got)
	}
}

// TestOnlyThisMachine: nobody else is loaded.
func TestOnlyThisMachine(t *testing.T) {
	for _, addr := range []string{"192.0.2.1:80", "0.0.0.0:80"} {
		if _, err := newLoop(Work{Addr: addr, Kind: Echo}); err == nil {
			t.Errorf("%s is taken", addr)
		}
	}
}
