//go:build !poll_opt

package gnetloop_test

import (
	"bytes"
	"fmt"
	"runtime"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"anyloop/core"
	"anyloop/loops/gnet"
)

// TestRegistrations is the golden table of what each step of a connection's life
// costs in calls of the poller, and of the doorbell and the timer.
func TestRegistrations(t *testing.T) {
	want := strings.TrimSpace(`
step     add mod del ring clear
connect    1   0   0    0     0
echo       0   0   0    0     0
pause      0   0   1    0     0
resume     1   0   0    0     0
choke      0   1   0    1     1
mute       1   0   1    0     0
unmute     0   1   0    0     0
drain      0   1   0    0     0
close      0   0   1    0     0
`)
	leaks(t)
	var conn *core.Conn
	big := 0
	vh := core.VHost{Protocols: []core.Protocol{{Name: "e", WS: func(c *core.Conn) core.WSHandler {
		conn = c
		return &flooder{left: &big, echo: core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })(c)}
	}}}}
	h := newHost(t, core.Config{VHosts: []core.VHost{vh}})
	h.settle()
	l := h.back.Thread(0)
	fd := -1
	verb := func(f func()) func() {
		return func() {
			h.eng.Post(f)
			h.settle()
		}
	}
	got := "step     add mod del ring clear\n"
	for _, s := range []struct {
		name string
		do   func()
	}{
		{"connect", func() { fd = h.dial() }},
		{"echo", func() { h.echo(fd) }},
		{"pause", verb(func() { conn.Pause() })},
		{"resume", verb(func() { conn.Resume() })},
		{"choke", verb(func() { big = 8 << 20; conn.RequestWritable() })},
		{"mute", verb(func() { conn.Pause() })},
		{"unmute", verb(func() { conn.Resume() })},
		{"drain", func() { big = 0; drain(h, fd) }},
		{"close", func() { unix.Close(fd); h.settle() }},
	} {
		b := l.Counts()
		s.do()
		a := l.Counts()
		got += fmt.Sprintf("%-8s %3d %3d %3d %4d %5d\n", s.name, a.Adds-b.Adds, a.Mods-b.Mods, a.Deletes-b.Deletes, a.Rings-b.Rings, a.Clears-b.Clears)
	}
	if strings.TrimSpace(got) != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}

// flooder sends *left bytes when it is asked, as messages of 64 KiB, and echoes.
type flooder struct {
	left *int
	echo core.WSHandler
}

func (f *flooder) Receive(c *core.Conn, m core.Fragment) error { return f.echo.Receive(c, m) }

func (f *flooder) Writable(c *core.Conn, w *core.WSWriter) error {
	if *f.left <= 0 {
		return f.echo.Writable(c, w)
	}
	*f.left -= 64 << 10
	c.RequestWritable()
	return w.Binary(make([]byte, 64<<10))
}

// drain reads until all that was sent before has come.
func drain(h *host, fd int) {
	h.run(func() bool {
		any := false
		for {
			if n, err := unix.Read(fd, h.buf[:]); n <= 0 || err != nil {
				return !any
			}
			any = true
		}
	})
}

// TestEchoCostsNoExtraCalls: a thousand echoes, one at a time and sixteen at
// once, are an event, a read and a write each, as on the bare poller. They neither
// change an interest nor touch the doorbell or the timer, and allocate nothing.
func TestEchoCostsNoExtraCalls(t *testing.T) {
	leaks(t)
	h := newHost(t, core.Config{VHosts: []core.VHost{echoVHost()}})
	fd := h.dial()
	defer unix.Close(fd)
	for _, burst := range []int{1, 16} {
		const rounds = 1000
		msg, want := bytes.Repeat(message, burst), burst*len(echoed)
		var c0 gnetloop.Counts
		var s0 core.Stats
		var m0, m1 runtime.MemStats
		n := -20 // to get warm
		h.send(fd, msg)
		h.run(func() bool {
			if got := h.recv(fd); got != want {
				t.Errorf("%d bytes came back, want %d", got, want)
				return true
			}
			if n++; n == 0 {
				c0, s0 = h.back.Thread(0).Counts(), h.eng.Stats()
				runtime.ReadMemStats(&m0)
			}
			if n == rounds {
				runtime.ReadMemStats(&m1)
				return true
			}
			h.send(fd, msg)
			return false
		})
		c1 := h.back.Thread(0).Counts()
		if c1.Events-c0.Events != rounds {
			t.Errorf("%d at once: %d events for %d rounds", burst, c1.Events-c0.Events, rounds)
		}
		if s1 := h.eng.Stats(); s1.Reads-s0.Reads != rounds || s1.Writes-s0.Writes != rounds {
			t.Errorf("%d at once: %d reads and %d writes for %d rounds", burst, s1.Reads-s0.Reads, s1.Writes-s0.Writes, rounds)
		}
		c0.Events = c1.Events
		if c0 != c1 {
			t.Errorf("%d at once: before %+v, after %+v", burst, c0, c1)
		}
		// Not per echo; the runtime itself may allocate something now and then.
		if n := m1.Mallocs - m0.Mallocs; n > rounds/50 && !raceEnabled {
			t.Errorf("%d at once: %d allocations in %d rounds", burst, n, rounds)
		}
	}
}

// TestNestedRoundIsOneEvent: what has come on 64 connections is one event of a
// poller that watches the set, and a read and a write for each.
func TestNestedRoundIsOneEvent(t *testing.T) {
	leaks(t)
	h := newHost(t, core.Config{VHosts: []core.VHost{echoVHost()}}, gnetloop.Nested())
	var fds []int
	for range 64 {
		fd := h.dial()
		defer unix.Close(fd)
		fds = append(fds, fd)
	}
	for _, burst := range []int{1, 16} {
		before, c := h.eng.Stats(), h.back.Thread(0).Counts()
		for _, fd := range fds {
			h.send(fd, bytes.Repeat(message, burst))
		}
		h.settle()
		for _, fd := range fds {
			if n := h.recv(fd); n != burst*len(echoed) {
				t.Fatalf("%d bytes came back", n)
			}
		}
		after := h.eng.Stats()
		c.Events++
		if got := h.back.Thread(0).Counts(); got != c {
			t.Errorf("%d at once: %+v, want %+v", burst, got, c)
		}
		if r, w := after.Reads-before.Reads, after.Writes-before.Writes; r != 64 || w != 64 || after.Changes != before.Changes {
			t.Errorf("%d at once: %d reads, %d writes, %d changes", burst, r, w, after.Changes-before.Changes)
		}
	}
}
