package main

import (
	"context"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/examples/internal/app"
)

// bound is on a hang.
const bound = time.Minute

// TestBroadcast: an order goes to every open connection, whoever gave it; what is no
// order is echoed to whoever sent it.
func TestBroadcast(t *testing.T) {
	host, err := app.NewHost("poll", 2)
	if err != nil {
		t.Fatal(err)
	}
	eng, err := core.New(core.Config{Backend: host.Backend, Threads: 2, VHosts: []core.VHost{{
		Name: "echo", Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "echo", AnyName: true, WS: broadcasting(1000)}}}}})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- host.Run(context.Background(), eng) }()
	t.Cleanup(func() {
		eng.Stop(-1)
		if err := <-done; err != nil {
			t.Error(err)
		}
	})
	var all []*client.Conn
	for range 5 {
		c, err := client.Dial(eng.VHost("echo").Addr(), bound)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		if err := c.Upgrade("echo"); err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	// An echo first: its connection is a member by then.
	for _, c := range all {
		for _, s := range []string{"hello", "B", "B-1", "B1001", "Bx", "b3", ""} {
			if err := c.Text(s); err != nil {
				t.Fatal(err)
			}
			next(t, c, s)
		}
	}
	for _, k := range []struct{ order, want string }{{"B3", "xxx"}, {"B0", ""}, {"B1000", strings.Repeat("x", 1000)}} {
		if err := all[3].Text(k.order); err != nil {
			t.Fatal(err)
		}
		for _, c := range all {
			next(t, c, k.want)
		}
	}
}

func next(t *testing.T, c *client.Conn, want string) {
	t.Helper()
	f, err := c.Next()
	if err != nil || string(f.Payload) != want {
		t.Fatalf("%q, want %q: %v", f.Payload, want, err)
	}
}
