//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package external_test

import (
	"bytes"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/loop/looptest/client"
	"anyloop/core/ws"
	"anyloop/loops/external"
)

// TestEchoTouchesNoHook: an echo, of one message or of sixteen together, is one
// ServiceFD, one read and one write for each connection, whatever the application's
// loop is; none of its hooks is called.
func TestEchoTouchesNoHook(t *testing.T) {
	l := newOwnLoop(t)
	hooks := 0
	path := filepath.Join(t.TempDir(), "s")
	eng, err := core.New(core.Config{Backend: external.Backend(external.Hooks{
		Add:    func(fd int, ev loop.Events) error { hooks++; l.table[fd] = ev; return nil },
		Change: func(fd int, _, next loop.Events) { hooks++; l.table[fd] = next },
		Del:    func(fd int) { hooks++; delete(l.table, fd) },
		Lock:   func(bool) { hooks++ },
		Unlock: func(bool) { hooks++ },
		Rearm:  func() { hooks++ },
	}), VHosts: []core.VHost{{Addr: "unix:" + path, Protocols: []core.Protocol{{Name: "e", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}}})
	if err != nil {
		t.Fatal(err)
	}
	th := eng.Thread(0)
	const conns, rounds = 16, 20
	fds := l.peers(eng, conns)
	l.turn(th, nil)
	frame := client.Append(nil, ws.Binary, true, make([]byte, 64))
	answer := len(ws.AppendFrame(nil, ws.Header{Op: ws.Binary, Fin: true}, make([]byte, 64)))
	buf := make([]byte, 1<<16)
	for _, together := range []int{1, 16} {
		msg := bytes.Repeat(frame, together)
		before, calls, served := eng.Stats(), hooks, 0
		for range rounds {
			for _, fd := range fds {
				if n, err := unix.Write(fd, msg); n != len(msg) {
					t.Fatal(n, err)
				}
			}
			l.turn(th, func() { served++ })
			for _, fd := range fds {
				if n, err := unix.Read(fd, buf); n != together*answer {
					t.Fatalf("%d bytes come back, %v", n, err)
				}
			}
		}
		after := eng.Stats()
		if served != rounds*conns || after.Reads-before.Reads != rounds*conns || after.Writes-before.Writes != rounds*conns {
			t.Errorf("%d together: %d served, %d reads, %d writes in %d rounds of %d", together, served,
				after.Reads-before.Reads, after.Writes-before.Writes, rounds, conns)
		}
		if hooks != calls {
			t.Errorf("%d together: %d calls of hooks", together, hooks-calls)
		}
	}
	eng.Stop(-1)
	for th.Hosted() {
		l.turn(th, nil)
	}
	<-eng.Done()
}
