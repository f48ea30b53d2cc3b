package tap

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
)

// Want is what a conversation is to have been: one side drives, that is, sends
// Messages and PingText, and the other echoes.
type Want struct {
	// Answer is the value of the server's Sec-WebSocket-Extensions, in any
	// order of the parameters; "" says that none was agreed.
	Answer string
	// ServerDrives: else the client does.
	ServerDrives bool
	// Ours is the side that the library under test is on.
	Ours Role
	// NoSplit says that the driver cannot send a message in several frames.
	NoSplit bool
	// NoPing says that the driver cannot send a Ping.
	NoPing bool
	// Messages are what the driver sends; nil: those of the function.
	Messages []Message
	// Close is the Close frame of the side that begins with it, which is the
	// driver unless EchoCloses.
	Close      Close
	EchoCloses bool
	// NoneCompressed says that the peer's side may go without compressing
	// though it was agreed upon.
	NoneCompressed bool
}

// Role is a side of a connection.
type Role bool

// The sides.
const (
	Client Role = false
	Server Role = true
)

// PingText is the payload of the driver's Ping.
const PingText = "are you there"

// threshold is the library's: shorter messages go as they are.
const threshold = 64

// Check holds what was on the wire against w.
func (r *Record) Check(t testing.TB, w Want) {
	t.Helper()
	want := Params{}
	if w.Answer != "" {
		all, err := extensions(w.Answer)
		if err != nil || len(all) != 1 {
			t.Fatalf("the test wants %q: %v", w.Answer, err)
		}
		if want, err = params(all[0]); err != nil {
			t.Fatal(err)
		}
		if got, _ := extensions(r.Answer); len(got) != 1 || fmt.Sprint(got[0]) != fmt.Sprint(all[0]) {
			t.Errorf("the server answered %q to %q, want %q", r.Answer, r.Offer, w.Answer)
		}
	}
	if r.Agreed != want {
		t.Errorf("agreed on the wire: %+v, want %+v (%q to %q)", r.Agreed, want, r.Answer, r.Offer)
	}
	if w.Messages == nil {
		w.Messages = Messages()
	}
	driver, echo := &r.Up, &r.Down
	if w.ServerDrives {
		driver, echo = echo, driver
	}
	same(t, "the driver", driver, &w)
	same(t, "the echo", echo, &w)
	for i, m := range driver.Messages {
		if i < len(w.Messages) && w.Messages[i].Split && !w.NoSplit && m.Frames < 2 {
			t.Errorf("message %d came in %d frames", i, m.Frames)
		}
	}
	if !w.NoPing && (strings.Join(driver.Pings, " ") != PingText || !contains(echo.Pongs, PingText)) {
		t.Errorf("pings %q, answered by %q", driver.Pings, echo.Pongs)
	}
	closer, other := driver, echo
	if w.EchoCloses {
		closer, other = echo, driver
	}
	if closer.Close == nil || *closer.Close != w.Close {
		t.Errorf("the closing side sent %v, want %v", closer.Close, w.Close)
	}
	if other.Close == nil || other.Close.Code != w.Close.Code {
		t.Errorf("the other side answered %v with %v", w.Close, other.Close)
	}
	r.compression(t, &w)
	if t.Failed() {
		t.Logf("on the wire:\n%s", r)
	}
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}

// same checks that a side sent the messages, byte for byte and of the same kind.
func same(t testing.TB, who string, s *Side, w *Want) {
	t.Helper()
	if len(s.Messages) != len(w.Messages) {
		t.Errorf("%s sent %d messages, want %d", who, len(s.Messages), len(w.Messages))
	}
	for i, m := range s.Messages[:min(len(s.Messages), len(w.Messages))] {
		if want := w.Messages[i]; m.Binary != want.Binary || !bytes.Equal(m.Data, want.Data) {
			t.Errorf("%s: message %d is binary %v with %d bytes, want %v with %d, or their bytes differ",
				who, i, m.Binary, len(m.Data), want.Binary, len(want.Data))
		}
	}
}

// compression checks the RSV1 bits of both sides, and the library's use of what
// was agreed.
func (r *Record) compression(t testing.TB, w *Want) {
	t.Helper()
	ours, theirs, fresh := &r.Up, &r.Down, r.Agreed.ClientNoTakeover
	if w.Ours == Server {
		ours, theirs, fresh = theirs, ours, r.Agreed.ServerNoTakeover
	}
	if !r.Agreed.On {
		if r.Up.Compressed+r.Down.Compressed > 0 {
			t.Errorf("RSV1 without an agreement: %d and %d messages", r.Up.Compressed, r.Down.Compressed)
		}
		return
	}
	if theirs.Compressed == 0 && !w.NoneCompressed {
		t.Error("the peer has compressed nothing")
	}
	for i, m := range ours.Messages {
		if m.Compressed != (len(m.Data) >= threshold) {
			t.Errorf("our message %d of %d bytes: compressed is %v", i, len(m.Data), m.Compressed)
		}
	}
	if len(ours.Messages) <= Twins+1 || !bytes.Equal(ours.Messages[Twins].Data, ours.Messages[Twins+1].Data) {
		return
	}
	// Nothing but the history makes the second one smaller.
	one, two := ours.Messages[Twins].Wire, ours.Messages[Twins+1].Wire
	if fresh != (one == two) || !fresh && two > one/4 {
		t.Errorf("a message and its like took %d and %d bytes; no takeover is %v", one, two, fresh)
	}
}

// Table collects what was negotiated, to be printed. Any goroutine.
type Table struct {
	mu   sync.Mutex
	rows []string
}

// Add notes a connection: who the peer is, and the role of the library.
func (t *Table) Add(peer string, ours Role, what string, r *Record) {
	role := "client"
	if ours == Server {
		role = "server"
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.rows = append(t.rows, fmt.Sprintf("%-14s | %-6s | %-24s | %3d/%-3d | %3d/%-3d | %s\n%67s -> %s", peer, role, what,
		r.Up.Compressed, len(r.Up.Messages), r.Down.Compressed, len(r.Down.Messages), quoted(r.Offer), "", quoted(r.Answer)))
}

func quoted(s string) string {
	if s == "" {
		return "none"
	}
	return strings.ReplaceAll(s, "permessage-deflate", "pmd")
}

// Print logs the table; only -v shows it.
func (t *Table) Print(tb testing.TB) {
	tb.Helper()
	t.mu.Lock()
	defer t.mu.Unlock()
	tb.Logf("what was negotiated (compressed messages of all, client's and server's)\n%-14s | %-6s | %-24s | %-7s | %-7s | offer -> answer\n%s",
		"peer", "ours", "mode", "up", "down", strings.Join(t.rows, "\n"))
}
