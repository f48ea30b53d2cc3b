//go:build linux

package scalebench

import (
	"context"
	"encoding/json"
	"fmt"
	"runtime"
	"runtime/debug"

	"anyloop/core"
	"anyloop/examples/bench/internal/proc"
	"anyloop/loops/poll"
)

// Inside is what only the process itself knows.
type Inside struct {
	Heap  uint64 // bytes of live objects, after a collection; 0: not known
	Conns int
	Left  uint64 // descriptors in the loop
	Turns uint64 // of the loop, without those that the question itself has made
}

// inside is examples/echo with its defaults, on poll, in a process that can be
// asked.
type inside struct {
	eng   *core.Engine
	loops *poll.Loops
	ended chan error
	asked uint64 // turns that questions have made
}

// Role is that process. It answers
//
//	addr  where it listens
//	turns Inside without the heap
//	pack  Inside, and gives back what memory is free
func Role(json.RawMessage) (answer proc.Answer, end func() error, err error) {
	s := &inside{loops: poll.Backend(), ended: make(chan error, 1)}
	echo := core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })
	s.eng, err = core.New(core.Config{Backend: s.loops, VHosts: []core.VHost{{
		Addr:      "127.0.0.1:0",
		Origin:    core.AnyOrigin,
		Protocols: []core.Protocol{{Name: "echo", AnyName: true, WS: echo}},
	}}})
	if err != nil {
		return nil, nil, err
	}
	go func() { s.ended <- s.eng.Run(context.Background()) }()
	return s.answer, s.end, nil
}

func (s *inside) answer(what string, _ json.RawMessage) (any, error) {
	switch what {
	case "addr":
		return s.eng.VHost("default").Addr(), nil
	case "turns":
		return s.look()
	case "pack":
		debug.FreeOSMemory()
		runtime.GC() // what pools hold outlives the first
		debug.FreeOSMemory()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		is, err := s.look()
		is.Heap = m.HeapAlloc
		return is, err
	}
	return nil, fmt.Errorf("no answer to %q", what)
}

// look asks the loop, which is one turn.
func (s *inside) look() (is Inside, err error) {
	turns := make(chan uint64, 1)
	if err := s.eng.Post(func() { turns <- s.loops.Thread(0).Waits() }); err != nil {
		return is, err
	}
	is.Turns = <-turns - s.asked
	s.asked++
	st := s.eng.Stats()
	is.Conns, is.Left = st.Conns, st.Adds-st.Dels
	return is, nil
}

func (s *inside) end() error {
	s.eng.Stop(-1)
	return <-s.ended
}
