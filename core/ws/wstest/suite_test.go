package wstest

import (
	"flag"
	"testing"

	"anyloop/core"
)

var (
	full     = flag.Bool("full", false, "run the cases about size at their whole size (minutes)")
	onlyFlag = flag.String("only", "", "run the cases whose identifiers begin with this")
)

// testees are the ways in which an echo compresses. What has nothing to do with
// compression is run with the first.
var testees = []struct {
	name string
	z    *core.Deflate
	only []string
	most int // cases
}{
	{"plain", nil, nil, 1700},
	{"takeover", &core.Deflate{Takeover: true, WindowBits: 15, PeerWindowBits: 15}, []string{"5.1", "12", "13", "14", "15", "16"}, 450},
	{"bounded", &core.Deflate{}, []string{"2", "12", "13", "14", "15", "16"}, 450},
	{"tiny", &core.Deflate{Takeover: true, WindowBits: 8, PeerWindowBits: 8, Threshold: -1}, []string{"12.2", "13", "14", "15.5", "16"}, 250},
}

// echoOptions are a testee's: an echo that takes messages of 1 MiB.
func echoOptions(z *core.Deflate, only ...string) Options {
	o := Options{MaxMessage: 1 << 20, Deflate: z, Full: *full, Brief: slow, Only: only}
	if *full {
		o.MaxMessage = 16 << 20
	}
	if *onlyFlag != "" {
		o.Only = []string{*onlyFlag}
	}
	return o
}

// slow is under the race detector.
var slow bool

func echoFn(c *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }

// echoVHost is the testee.
func echoVHost(o Options) core.VHost {
	n := o.MaxMessage
	return core.VHost{
		Protocols: []core.Protocol{{Name: "echo", AnyName: true, WS: core.OnMessage(echoFn)}},
		Limits:    core.Limits{MaxMessage: n, MaxInflated: n, MaxFrame: n, WriteLimit: int(n), OutboxBytes: int(n)},
		Deflate:   o.Deflate,
	}
}

// TestSuite runs everything over the simulator: both roles, each way to compress.
func TestSuite(t *testing.T) {
	for _, e := range testees {
		t.Run(e.name, func(t *testing.T) {
			o := echoOptions(e.z, e.only...)
			if slow && e.z != nil {
				o.Sample = 2
			}
			t.Run("server", func(t *testing.T) {
				enough(t, Server(t, Simulated(t, echoVHost(o)), o), e.most)
			})
			t.Run("client", func(t *testing.T) {
				enough(t, Client(t, SimulatedClient(t, echoVHost(o)), o), e.most)
			})
		})
	}
}

// enough checks that a run was not empty by mistake.
func enough(t *testing.T, rep *Report, n int) {
	t.Helper()
	if slow {
		n /= 3
	}
	if *onlyFlag == "" && rep.Cases() < n {
		t.Errorf("only %d cases", rep.Cases())
	}
}
