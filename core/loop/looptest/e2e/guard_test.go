package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/poll"
)

// TestGuardSees: callbacks inside one another, after Closed, and a Closed too
// many or too few are reported.
func TestGuardSees(t *testing.T) {
	seen := &sink{TB: t}
	g := &guard{t: seen, conns: map[*core.Conn]*watched{}}
	closed := make(chan struct{})
	vh := core.VHost{Name: "test", Addr: "127.0.0.1:0", Protocols: []core.Protocol{{Name: "t", WS: func(*core.Conn) core.WSHandler {
		return &wsCalls{
			receive: func(c *core.Conn, _ core.Fragment) error {
				g.enter(c, "inside")()
				return core.ErrDrop
			},
			closed: func(c *core.Conn, _ error) {
				l := g.lives[0]
				l.conn = c
				g.in(l, c, "late")()
				g.lives = append(g.lives, &life{kind: "lost", conn: c})
				close(closed)
			},
		}
	}}}}
	g.vhost(&vh)
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: []core.VHost{vh}})
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- eng.Run(context.Background()) }()
	c, err := client.Dial(eng.VHost("test").Addr(), Bound)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if err := c.Upgrade(""); err != nil {
		t.Fatal(err)
	}
	if err := c.Send(ws.Text, []byte("x")); err != nil {
		t.Fatal(err)
	}
	<-closed
	eng.Stop(-1)
	if err := <-ended; err != nil {
		t.Error(err)
	}
	g.settled()
	for _, want := range []string{"inside: two callbacks", "late of a ws handler after", "a lost handler"} {
		if !strings.Contains(seen.all, want) {
			t.Errorf("not reported: %s\n%s", want, seen.all)
		}
	}
}

// sink keeps what is reported.
type sink struct {
	testing.TB
	all string
}

func (s *sink) Errorf(format string, args ...any) { s.all += fmt.Sprintf(format, args...) + "\n" }

// TestPlainOnlyNamesCases: a reason for no case would be one that nobody reads.
func TestPlainOnlyNamesCases(t *testing.T) {
	for name, why := range plainOnly {
		if find(name).run == nil || why == "" {
			t.Errorf("%q is not asked over TLS because of %q", name, why)
		}
	}
	for _, name := range shapedCases {
		if find(name).run == nil {
			t.Errorf("%s is no case", name)
		}
	}
}
