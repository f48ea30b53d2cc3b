package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
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
	if rep.slow.dropped != o.slow*8 || rep.slow.messages != o.slow*52 || rep.slow.pending > o.slow*(1<<20+2*o.size) {
		t.Errorf("the stalled hold %+v", rep.slow)
	}
	var b strings.Builder
	rep.print(&b)
	if !strings.Contains(b.String(), "120 receivers in 3 processes") {
		t.Error(b.String())
	}
	t.Log("\n" + b.String())
}
