package main

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
)

// frame returns what arrives for message number n.
func frame(n, size int) []byte {
	p := make([]byte, size)
	binary.BigEndian.PutUint64(p, uint64(n))
	for i := 8; i < size; i++ {
		p[i] = byte('a' + i%26)
	}
	return ws.AppendPlain(nil, ws.Binary, true, p)
}

// payload returns message number n.
func payload(n, size int) []byte {
	f := frame(n, size)
	return f[len(f)-size:]
}

// child is a process of receivers. It says "ready", then "done LOST" after each
// round, and ends when its input does.
func child(what string) error {
	var addr string
	var fast, slow, size, messages int
	if _, err := fmt.Sscan(what, &addr, &fast, &slow, &size, &messages); err != nil {
		return err
	}
	var conns []*client.Conn
	defer func() {
		for _, c := range conns {
			c.Close()
		}
	}()
	for i := range fast + slow {
		c, err := dial(addr, i >= fast)
		if err != nil {
			return err
		}
		conns = append(conns, c)
	}
	rounds := make([]sync.WaitGroup, 2)
	for i := range rounds {
		rounds[i].Add(fast)
	}
	var mu sync.Mutex
	lost := make([]int, len(rounds))
	failed := make(chan error, fast)
	for _, c := range conns[:fast] {
		go func() {
			err := receive(c, size, messages, func(round, missing int) {
				mu.Lock()
				lost[round] += missing
				mu.Unlock()
				rounds[round].Done()
			})
			if err != nil {
				failed <- err
			}
		}()
	}
	fmt.Println("ready")
	go func() {
		for i := range rounds {
			rounds[i].Wait()
			mu.Lock()
			fmt.Println("done", lost[i])
			mu.Unlock()
		}
	}()
	return untilTold(failed)
}

// untilTold waits for the end of the input, or a failure.
func untilTold(failed <-chan error) error {
	over := make(chan struct{})
	go func() {
		io.Copy(io.Discard, os.Stdin)
		close(over)
	}()
	select {
	case <-over:
		return nil
	case err := <-failed:
		return err
	}
}

// dial opens one WebSocket. A slow one has a small receive buffer, since the
// kernel would otherwise hold megabytes for it.
func dial(addr string, slow bool) (*client.Conn, error) {
	if slow {
		return dialPath(addr, "/slow", 4096)
	}
	return dialPath(addr, "/", 0)
}

// dialPath is dial with a receive buffer of that size; 0 is the system's.
func dialPath(addr, path string, buffer int) (*client.Conn, error) {
	c, err := client.Dial(addr, time.Hour)
	if err != nil {
		return nil, err
	}
	if t, ok := c.Conn.(*net.TCPConn); ok && buffer > 0 {
		t.SetReadBuffer(buffer)
	}
	_, err = fmt.Fprintf(c, "GET %s HTTP/1.1\r\nHost: test\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"+
		"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n", path)
	if err == nil {
		err = c.ReadUpgrade()
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

var errContent = errors.New("a message is not what was sent")

// receive reads all messages of both rounds, checks every byte, and tells at the
// last of each round how many were missing.
func receive(c *client.Conn, size, messages int, done func(round, missing int)) error {
	want := frame(0, size)
	got := make([]byte, len(want))
	number := want[len(want)-size:][:8]
	for round, seen, last := 0, 0, -1; ; {
		if _, err := io.ReadFull(c, got); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		n := int(binary.BigEndian.Uint64(got[len(got)-size:]))
		binary.BigEndian.PutUint64(number, uint64(n))
		if n <= last || !bytes.Equal(got, want) {
			return errContent
		}
		last = n
		seen++
		if n%messages == messages-1 {
			done(round, messages-seen)
			round, seen = round+1, 0
		}
	}
}
