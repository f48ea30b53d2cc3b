package client

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"io"
	"math/big"
	"net"
	"slices"
	"testing"
	"time"
)

// counting notes how long each write was.
type counting struct {
	net.Conn
	writes [][]byte
}

func (c *counting) Write(p []byte) (int, error) {
	c.writes = append(c.writes, slices.Clone(p))
	return c.Conn.Write(p)
}

// said returns the writes of a client that sends messages of 100 bytes and its end
// to a server which reads all.
func said(t *testing.T, shape Shape, messages int) [][]byte {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c := &x509.Certificate{SerialNumber: big.NewInt(1)}
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	read := make(chan []byte, 1)
	go func() {
		raw, err := ln.Accept()
		if err != nil {
			read <- nil
			return
		}
		defer raw.Close()
		all, _ := io.ReadAll(tls.Server(raw, &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}))
		read <- all
	}()
	raw, err := Dial(ln.Addr().String(), time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	n := &counting{Conn: raw.Conn}
	cl := Client(n, &tls.Config{InsecureSkipVerify: true}, shape)
	defer cl.Close()
	if err := cl.Handshake(); err != nil {
		t.Fatal(err)
	}
	for range messages {
		if _, err := cl.Write(bytes.Repeat([]byte{'x'}, 100)); err != nil {
			t.Fatal(err)
		}
	}
	if err := cl.CloseNotify(); err != nil {
		t.Fatal(err)
	}
	if got := len(<-read); got != 100*messages {
		t.Errorf("%d bytes came of %d", got, 100*messages)
	}
	return n.writes
}

// TestShapes: what is sent is the same, however it is cut.
func TestShapes(t *testing.T) {
	for i, w := range said(t, OneByte, 20) {
		if len(w) != 1 {
			t.Fatalf("write %d has %d bytes", i, len(w))
		}
	}
	one := said(t, OneRecord, 20)
	for i, w := range one {
		if n := 5 + int(w[3])<<8 + int(w[4]); len(w) != n {
			t.Errorf("write %d has %d bytes, and begins with a record of %d", i, len(w), n)
		}
	}
	made := said(t, AsMade, 20)
	if len(one) <= len(made) { // ChangeCipherSpec goes with Finished, unless it is cut off
		t.Errorf("%d writes with a record each, %d as they are made", len(one), len(made))
	}
	if n := len(said(t, Coalesced, 1000)); n >= 1000 {
		t.Errorf("1000 messages were gathered in %d writes", n)
	}
}

// TestTryWriteOverTLS: what TryWrite has taken arrives, though the peer did not read
// when it was taken.
func TestTryWriteOverTLS(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	w := &shaped{Conn: a}
	w.hold(true)
	w.Write([]byte("held"))
	w.hold(false)
	if done, err := w.try(); done || err == nil { // a pipe cannot be asked
		t.Errorf("%v, %v", done, err)
	}
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer raw.Close()
	c, err := net.Dial("tcp", raw.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	peer, err := raw.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	w = &shaped{Conn: c}
	want := 0
	for full := false; !full; {
		w.hold(true)
		n, _ := w.Write(make([]byte, 64<<10))
		w.hold(false)
		want += n
		done, err := w.try()
		if err != nil {
			t.Fatal(err)
		}
		full = !done
	}
	flushed := make(chan error, 1)
	go func() { flushed <- w.flush(); c.Close() }()
	got, err := io.Copy(io.Discard, peer)
	if err != nil || int(got) != want {
		t.Errorf("%d bytes of %d, %v", got, want, err)
	}
	if err := <-flushed; err != nil {
		t.Error(err)
	}
}
