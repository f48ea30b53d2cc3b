package wstest

import (
	"flag"
	"testing"

	"anyloop/core"
)

var (
	full = flag.Bool("full", false, "run the cases about size at their whole size (minutes)")
	only = flag.String("only", "", "run the cases whose identifiers begin with this")
)

// echoOptions are a testee's: an echo that takes messages of 1 MiB.
func echoOptions(d *core.Deflate) Options {
	o := Options{MaxMessage: 1 << 20, Deflate: d, Full: *full}
	if *full {
		o.MaxMessage = 16 << 20
	}
	if *only != "" {
		o.Only = []string{*only}
	}
	return o
}

func echoFn(c *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }

// echoVHost is the testee.
func echoVHost(o Options) core.VHost {
	n := o.MaxMessage
	return core.VHost{
		Protocols: []core.Protocol{{Name: "echo", AnyName: true, WS: core.OnMessage(echoFn)}},
		Limits:    core.Limits{MaxMessage: n, MaxFrame: n, WriteLimit: int(n), OutboxBytes: int(n)},
		Deflate:   o.Deflate,
	}
}

// TestSuite runs everything over the simulator.
func TestSuite(t *testing.T) {
	t.Run("server", func(t *testing.T) {
		o := echoOptions(nil)
		rep := Server(t, Simulated(t, echoVHost(o)), o)
		if n := rep.Cases(); n < 500 && *only == "" {
			t.Errorf("only %d cases", n)
		}
	})
}
