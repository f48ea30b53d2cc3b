package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"

	"anyloop/core/loop/looptest/client"
)

func TestMain(m *testing.M) {
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// TestBroadcast: the whole program, small. Every receiver has every message, each
// was encoded once and not copied, and the stalled receiver holds the bound.
func TestBroadcast(t *testing.T) {
	o := options{receivers: 120, children: 3, slow: 2, size: 20_000, messages: 60, threads: 2, loop: "poll"}
	rep, err := measure(context.Background(), o, func() *exec.Cmd { return exec.Command(os.Args[0]) })
	if err != nil {
		t.Fatal(err)
	}
	for name, f := range map[string]figures{"alone": rep.alone, "beside": rep.beside} {
		if f.encodes != o.messages {
			t.Errorf("%s: %d encodes", name, f.encodes)
		}
		if f.copied != 0 {
			t.Errorf("%s: %d bytes copied", name, f.copied)
		}
		if f.lost != 0 { // none can be: 1.2 MB fit into the outbox and the kernel
			t.Errorf("%s: %d messages lost", name, f.lost)
		}
		if f.heap > uint64(o.receivers*o.size*5) {
			t.Errorf("%s: %d bytes of heap", name, f.heap)
		}
	}
	if got := rep.alone.delivered; got != o.receivers*o.messages {
		t.Errorf("alone: %d delivered", got)
	}
	if got := rep.beside.delivered; got != (o.receivers+o.slow)*o.messages {
		t.Errorf("beside: %d delivered", got)
	}
	if rep.slow.dropped != o.slow*8 || rep.slow.messages != o.slow*52 || rep.slow.pending != o.slow*52*o.size ||
		rep.slow.below == 0 || rep.slow.below > o.slow*(fill.Len()+16) {
		t.Errorf("the stalled hold %+v", rep.slow)
	}
	var b strings.Builder
	rep.print(&b)
	if !strings.Contains(b.String(), "120 receivers in 3 processes") {
		t.Error(b.String())
	}
	t.Log("\n" + b.String())
}

// stalledOne is a server whose only member is a receiver that has not read yet.
func stalledOne(t *testing.T) (*server, *client.Conn) {
	t.Helper()
	s, stop, err := open(context.Background(), options{slow: 1, size: 1000, messages: 10, threads: 1, loop: "poll"})
	if err != nil {
		t.Fatal(err)
	}
	c, err := dialPath(s.eng.VHost("b").Addr(), "/slow", 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		c.Close()
		if err := stop(); err != nil {
			t.Error(err)
		}
	})
	if _, err := s.addSlow(); err != nil {
		t.Fatal(err)
	}
	return s, c
}

// TestKernelTakesMoreLate: what a stalled receiver's kernel takes of the fill once
// the round has begun is not counted as copied.
func TestKernelTakesMoreLate(t *testing.T) {
	s, c := stalledOne(t)
	before, err := s.count()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.CopyN(io.Discard, c, int64(fill.Len())); err != nil {
		t.Fatal(err)
	}
	after, err := s.count()
	if err != nil {
		t.Fatal(err)
	}
	var f figures
	if f.since(before, after); f.copied != 0 || f.writes == 0 {
		t.Errorf("%d bytes copied in %d writes", f.copied, f.writes)
	}
}

// TestCountsWholeTurns: what a turn does is in a thread's counters when the turn
// has ended, which may be long after its effects were seen. So a round begins
// and ends between turns: not inside this one, which goes on for 500 posts.
func TestCountsWholeTurns(t *testing.T) {
	s, _ := stalledOne(t)
	var ended atomic.Bool
	inside := make(chan struct{})
	left := 500
	var link func()
	link = func() {
		if left--; left == 0 {
			ended.Store(true)
			return
		}
		runtime.Gosched()
		s.eng.Post(link)
	}
	s.eng.Post(func() {
		close(inside)
		link()
	})
	<-inside
	if err := s.settle(); err != nil {
		t.Fatal(err)
	}
	if !ended.Load() {
		t.Error("settled inside a turn")
	}
}
