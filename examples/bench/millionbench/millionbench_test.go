//go:build linux

package millionbench

import (
	"strings"
	"testing"
)

// TestFew runs the command with few connections.
func TestFew(t *testing.T) {
	var b strings.Builder
	o := options{conns: 3000, active: 100, messages: 2000, garbage: 64, origins: 500}
	if err := o.print(&b); err != nil {
		t.Fatal(err)
	}
	t.Log("\n" + b.String())
	for _, want := range []string{
		"3000 WebSockets", "3000 were sent exactly one Ping each", "all of the 300 that were silent",
		"allocates   64 bytes", "2700 were closed in", "at most 1024 in each", "core.(*Thread).newLink",
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("%q is missing", want)
		}
	}
}

// TestOptions: what cannot be is refused.
func TestOptions(t *testing.T) {
	for _, o := range []options{{conns: 1, active: 1}, {conns: 10}, {conns: 10, active: 11}} {
		if o.print(&strings.Builder{}) == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
