package poll_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/loops/poll"
)

// turnsUntilEcho makes passes of max events until the echo of a message is there on
// fd, which has sent one, and returns how many.
func (b *bench) turnsUntilEcho(fd, max, most int) (turns int) {
	b.t.Helper()
	for turns = 1; turns <= most; turns++ {
		n, err := b.loop.Pass(max)
		if err != nil {
			b.t.Fatal(err)
		}
		if max > 0 && n > max {
			b.t.Fatalf("%d events in a pass of %d", n, max)
		}
		switch n, _, err := unix.Recvfrom(fd, b.buf[:], unix.MSG_DONTWAIT); {
		case err == unix.EAGAIN:
		case err != nil || n != len(echoed):
			b.t.Fatalf("%d bytes came back, %v", n, err)
		default:
			return turns
		}
	}
	b.t.Fatalf("no echo in %d turns", most)
	return turns
}

// TestStormDoesNotHoldUp: while very many connect and upgrade, who was there before
// is served in every turn, and a turn accepts AcceptBatch connections, no more.
func TestStormDoesNotHoldUp(t *testing.T) {
	const storm, acceptBatch = 1000, 10 // newBench's
	raiseFiles(t, 2*storm+100)
	b := newBench(t, 1)
	steady, path := b.clients[0], b.path()
	come := 0
	for ; come < storm; come++ {
		fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK, 0)
		if err != nil {
			t.Fatal(err)
		}
		b.clients = append(b.clients, fd)
		if err := unix.Connect(fd, &unix.SockaddrUnix{Name: path}); err == unix.EAGAIN {
			break // as many as the system lets wait
		} else if err != nil {
			t.Fatal(err)
		}
		b.send(fd, upgradeRequest)
	}
	if come < 5*acceptBatch {
		t.Skipf("the system lets only %d connections wait", come)
	}
	first := b.eng.Stats()
	for before := first; ; {
		b.send(steady, message)
		if n := b.turnsUntilEcho(steady, 0, 1); n != 1 {
			t.Fatalf("served after %d turns", n)
		}
		now := b.eng.Stats()
		accepted, upgraded := now.Accepted-before.Accepted, now.Requests-before.Requests
		if accepted > acceptBatch || upgraded > acceptBatch {
			t.Fatalf("a turn has accepted %d connections and upgraded %d, more than %d", accepted, upgraded, acceptBatch)
		}
		if before = now; accepted == 0 && upgraded == 0 {
			break
		}
	}
	if now := b.eng.Stats(); now.Accepted-first.Accepted != uint64(come) || now.Requests-first.Requests != uint64(come) {
		t.Errorf("of %d connections %d were accepted, %d upgraded", come, now.Accepted-first.Accepted, now.Requests-first.Requests)
	}
}

// way is how peers leave.
type way struct {
	name    string
	prepare func(b *bench)
	leave   func(b *bench, fd int)
}

var ways = []way{
	{"end of stream", func(*bench) {}, func(b *bench, fd int) {
		if err := unix.Shutdown(fd, unix.SHUT_WR); err != nil {
			b.t.Fatal(err)
		}
	}},
	{"reset", func(b *bench) { // what one closes with an answer unread
		for _, fd := range b.clients[1:] {
			b.send(fd, message)
		}
		b.turnUntilQuiet()
	}, func(b *bench, fd int) {
		unix.Close(fd)
		b.clients = b.clients[:1]
	}},
}

// many returns how many leave.
func many() int {
	if testing.Short() {
		return 600
	}
	return 2000
}

// TestMassDisconnectDoesNotHoldUp: who sends something after very many have left
// waits for a sixteenth of them at most, and a turn closes a bounded number of
// connections.
func TestMassDisconnectDoesNotHoldUp(t *testing.T) {
	gone := many()
	raiseFiles(t, 2*gone+100)
	for _, w := range ways {
		for _, max := range []int{0, 16} {
			t.Run(fmt.Sprintf("%s, at most %d", w.name, max), func(t *testing.T) {
				b := newBench(t, 1)
				b.crowd(gone)
				w.prepare(b)
				for _, fd := range b.clients[1:] {
					w.leave(b, fd)
				}
				b.closeBeside(gone, max)
			})
		}
	}
}

// closeBeside turns until so many connections that have left are closed, and has an
// echo on the first in each turn.
func (b *bench) closeBeside(gone, max int) {
	most := 256 // a batch
	if max > 0 {
		most = max
	}
	// A turn looks past sixteen times as many as it serves.
	soon := 1 + gone/(16*most)
	first := b.eng.Stats()
	turns := 0
	for before := first; before.Dels-first.Dels < uint64(gone); {
		if turns > 4*gone/most+4 {
			b.t.Fatalf("%d of %d are closed after %d turns", before.Dels-first.Dels, gone, turns)
		}
		b.send(b.clients[0], message)
		k := b.turnsUntilEcho(b.clients[0], max, soon)
		now := b.eng.Stats()
		if n := now.Dels - before.Dels; n > uint64(k*most) {
			b.t.Fatalf("%d turns have closed %d connections", k, n)
		}
		before = now
		turns += k
	}
	if n := b.eng.Stats().Conns; n != 1 {
		b.t.Errorf("%d connections are left", n)
	}
	b.t.Logf("%d closed in %d turns", gone, turns)
}

// TestManyWhoSendBesideManyWhoLeave: neither holds up the other.
func TestManyWhoSendBesideManyWhoLeave(t *testing.T) {
	gone := many()
	raiseFiles(t, 2*gone+100)
	b := newBench(t, 1)
	b.crowd(gone)
	leavers, senders := b.clients[1:gone/2], b.clients[gone/2:]
	for _, fd := range leavers {
		unix.Shutdown(fd, unix.SHUT_WR)
	}
	first := b.eng.Stats()
	for range 4*gone/256 + 1 {
		for _, fd := range senders {
			b.send(fd, message)
		}
		if _, err := b.loop.Pass(0); err != nil {
			t.Fatal(err)
		}
	}
	now := b.eng.Stats()
	if n := now.Dels - first.Dels; n != uint64(len(leavers)) {
		t.Errorf("of %d that left %d are closed", len(leavers), n)
	}
	if n := now.Messages - first.Messages; n < uint64(len(senders)) {
		t.Errorf("of %d that send %d are served", len(senders), n)
	}
}

// TestPausedAndLeftIsQuiet: a paused connection whose peer sends nothing more is no
// reason to turn, and is told of it when it resumes.
func TestPausedAndLeftIsQuiet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	var conn *core.Conn
	back := poll.Backend(poll.Nested())
	eng, err := core.New(core.Config{Backend: back, VHosts: []core.VHost{{Addr: "unix:" + path, Protocols: []core.Protocol{{
		Name: "pauses", WS: core.OnMessage(func(c *core.Conn, _ core.Message, _ *core.Outbox) error {
			conn = c
			return c.Pause()
		})}}}}})
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, eng: eng, loop: back.Thread(0), clients: []int{connectUnix(t, path)}}
	t.Cleanup(b.stop)
	b.upgrade(b.clients[0])
	b.send(b.clients[0], message)
	b.turnUntilQuiet()
	if err := unix.Shutdown(b.clients[0], unix.SHUT_WR); err != nil {
		t.Fatal(err)
	}
	if n, err := b.loop.Pass(0); err != nil || n > 0 {
		t.Fatalf("%d events of one who is paused, %v", n, err)
	}
	if eng.Stats().Conns != 1 {
		t.Fatal("the paused connection is gone")
	}
	conn.Resume()
	if b.turnUntilQuiet(); eng.Stats().Conns != 0 {
		t.Error("the end of the stream is not seen")
	}
}

// TestGreedyDoesNotHoldUp: beside one who sends without pause the others are served
// in every turn, in which the greedy one is read twice at most.
func TestGreedyDoesNotHoldUp(t *testing.T) {
	b := newBench(t, 2)
	steady, greedy := b.clients[0], b.clients[1]
	if err := unix.SetNonblock(greedy, true); err != nil {
		t.Fatal(err)
	}
	flood, out, got := bytes.Repeat(message, 1000), 0, 0
	push := func() { // as much as the socket takes, and what has come back is read
		for {
			n, err := unix.Write(greedy, flood[out:])
			if err != nil {
				break
			}
			out = (out + n) % len(flood)
		}
		for {
			n, err := unix.Read(greedy, b.buf[:])
			if err != nil {
				return
			}
			got += n
		}
	}
	for range 100 {
		push()
		before := b.eng.Stats()
		b.send(steady, message)
		b.turnsUntilEcho(steady, 0, 1)
		now := b.eng.Stats()
		if n := now.Reads - before.Reads; n > 3 {
			t.Fatalf("%d reads in a turn", n)
		}
		if n := now.BytesIn - before.BytesIn; n > 128<<10+uint64(len(message)) {
			t.Fatalf("%d bytes in a turn", n)
		}
	}
	if got < 1<<20 {
		t.Errorf("the greedy one has got %d bytes only", got)
	}
}
