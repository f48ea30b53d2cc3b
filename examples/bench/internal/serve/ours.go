//go:build linux

package serve

import (
	"context"
	"crypto/tls"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/loops/poll"
)

// ours is examples/echo with its defaults.
type ours struct {
	eng   *core.Engine
	ended chan error
	turns *turnClock // nil: not measured
}

func startOurs(c *Config, cert tls.Certificate) (running, error) {
	s := &ours{ended: make(chan error, 1)}
	var back loop.Backend = poll.Backend()
	if c.Turns {
		s.turns = &turnClock{}
		back = timedLoops{poll.Backend(), s.turns}
	}
	echo := core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })
	var err error
	s.eng, err = core.New(core.Config{Backend: back, Limits: core.Limits{ShakeBatch: c.Steps}, VHosts: []core.VHost{{
		Addr:      "127.0.0.1:0",
		Origin:    core.AnyOrigin,
		TLS:       &core.TLS{Config: &tls.Config{Certificates: []tls.Certificate{cert}}, LendBuffers: c.Lend, OffLoop: c.OffLoop},
		Protocols: []core.Protocol{{Name: "echo", AnyName: true, WS: echo}},
	}}})
	if err != nil {
		return nil, err
	}
	go func() { s.ended <- s.eng.Run(context.Background()) }()
	return s, nil
}

func (s *ours) addr() string { return s.eng.VHost("default").Addr() }

func (s *ours) count(u *Usage) {
	u.Stats = s.eng.Stats()
	u.Conns, u.Handshakes, u.Resumed = u.Stats.Conns, u.Stats.Handshakes, u.Stats.Resumed
}

func (s *ours) stop() error {
	s.eng.Stop(-1)
	return <-s.ended
}
