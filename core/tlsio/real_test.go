package tlsio

import (
	"bytes"
	"crypto/tls"
	"io"
	"net"
	"os/exec"
	"testing"
	"time"
)

// drive connects a session to conn until that ends, in pieces.
func drive(e *side, conn net.Conn, piece int) {
	buf := make([]byte, piece)
	for {
		e.service()
		if len(e.out) > 0 {
			if _, err := conn.Write(e.out); err != nil {
				return
			}
			e.out = nil
		}
		if e.err != nil {
			return
		}
		n, err := conn.Read(buf)
		if err != nil {
			return
		}
		e.feed(buf[:n])
	}
}

// TestStandardLibrary: a session against a tls.Conn that knows nothing of us, by
// single bytes and by large pieces.
func TestStandardLibrary(t *testing.T) {
	for i, u := range suites() {
		for j, m := range modes {
			for _, server := range []bool{true, false} {
				standard(t, u, m, server, 1<<16, 32000)
				if i%2 == 0 && i/2 == j {
					standard(t, u, m, server, 1, 2000)
				}
			}
		}
	}
}

func standard(t *testing.T, u suite, m mode, server bool, piece, size int) {
	sc, cc := u.configs()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	limit := time.Now().Add(time.Minute)
	a.SetDeadline(limit)
	b.SetDeadline(limit)
	ours, theirs := newSide(t, Server(sc, m.options())), tls.Client(b, cc)
	if !server {
		ours, theirs = newSide(t, Client(cc, m.options())), tls.Server(b, sc)
	}
	want := bytes.Repeat([]byte("standard"), size/8)
	var got []byte
	ended := make(chan error, 1)
	go func() {
		err := theirs.Handshake()
		if err == nil {
			_, err = theirs.Write(want)
		}
		if err == nil {
			err = theirs.CloseWrite()
		}
		if err == nil {
			got, err = io.ReadAll(theirs)
		}
		ended <- err
	}()
	drive(ours, a, piece)
	if ours.err != io.EOF || !bytes.Equal(ours.got, want) {
		t.Fatalf("%s: got %d of %d bytes, %v", u.name, len(ours.got), len(want), ours.err)
	}
	ours.write(want)
	ours.out = ours.s.CloseNotify(ours.out)
	for len(ours.out) > 0 {
		n := min(piece*100, len(ours.out))
		if _, err := a.Write(ours.out[:n]); err != nil {
			t.Fatal(err)
		}
		ours.out = ours.out[n:]
	}
	if err := <-ended; err != nil || !bytes.Equal(got, want) {
		t.Fatalf("%s: they got %d of %d bytes, %v", u.name, len(got), len(want), err)
	}
}

// TestRenegotiationRefused: openssl s_client asks for it with a line "R".
func TestRenegotiationRefused(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	for _, m := range modes {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		sc, _ := suites()[2].configs()
		server := newSide(t, Server(sc, m.options()))
		cmd := exec.Command("openssl", "s_client", "-connect", ln.Addr().String(), "-tls1_2")
		in, err := cmd.StdinPipe()
		check(err)
		check(cmd.Start())
		ln.(*net.TCPListener).SetDeadline(time.Now().Add(time.Minute))
		conn, err := ln.Accept()
		if err != nil {
			t.Fatal(err)
		}
		conn.SetDeadline(time.Now().Add(time.Minute))
		io.WriteString(in, "hello\n")
		for string(server.got) != "hello\n" && server.err == nil {
			buf := make([]byte, 1000)
			n, err := conn.Read(buf)
			if err != nil {
				t.Fatal(err)
			}
			server.feed(buf[:n])
			conn.Write(server.out)
			server.out = nil
		}
		io.WriteString(in, "R\n")
		drive(server, conn, 1000)
		wantAlert(t, server.err, 10, true)
		conn.Close()
		ln.Close()
		in.Close()
		cmd.Wait()
	}
}
