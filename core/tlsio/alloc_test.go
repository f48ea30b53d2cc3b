package tlsio

import (
	"runtime"
	"strings"
	"testing"
)

// TestAllocations states what a call of a complete session allocates: nothing,
// but for crypto/tls's own: one for each record that is copied to it, which
// lending spares, and one for the MAC of a CBC suite.
func TestAllocations(t *testing.T) {
	if raceEnabled {
		t.Skip("allocations are not counted under the race detector")
	}
	for _, u := range suites() {
		for _, m := range modes {
			for _, size := range []int{64, maxPlaintext} {
				server, client := open(t, u, m)
				p, rec, out := make([]byte, size), make([]byte, 0, 1<<16), make([]byte, 0, 64)
				write := func() { rec, _ = client.s.Write(rec[:0], p) }
				writes := testing.AllocsPerRun(100, write)

				server, client = open(t, u, m)
				read := func() {
					write()
					server.s.Feed(rec)
					_, n, err := server.s.Read(out, server.p)
					if n != size || err != nil {
						t.Fatal(n, err)
					}
					server.s.Release()
				}
				read() // its buffer grows to the largest record
				reads := testing.AllocsPerRun(100, read) - writes
				dry := testing.AllocsPerRun(100, func() { server.s.Read(out, server.p) })

				var wantWrites, wantReads float64
				if strings.HasSuffix(u.name, "CBC") {
					wantWrites, wantReads = 1, 1
				}
				if !m.lend {
					wantReads++
				}
				if writes > wantWrites || reads > wantReads || dry > 0 {
					t.Errorf("%s, %v, %d bytes: %v allocations to write, want %v; %v to read, want %v; %v to read nothing", u.name, m, size, writes, wantWrites, reads, wantReads, dry)
				}
			}
		}
	}
}

// TestIdleMemory: a session that waits holds no buffer of its own, nor, if it
// lends, does crypto/tls: neither after the handshake nor after a large message.
func TestIdleMemory(t *testing.T) {
	const n = manySessions
	for _, u := range []suite{suites()[0], suites()[2]} {
		for _, m := range modes {
			sc, cc := u.configs()
			sc.CurvePreferences, cc.CurvePreferences = nil, nil // hellos as large as they usually are
			var fresh, used [n]*Session
			p := make([]byte, maxPlaintext)
			size := func(keep *[n]*Session, message []byte) int {
				before := heap()
				for i := range keep {
					server := &side{t: t, p: p, s: Server(sc, m.options())}
					client := &side{t: t, p: p, s: Client(cc, m.options())}
					exchange(server, client, at(700), at(700))
					server.must(t)
					client.write(message)
					move(client, server, at(700), 0)
					keep[i] = server.s
					holdsNothing(t, server.s)
				}
				return (heap() - before) / n
			}
			a, b := size(&fresh, nil), size(&used, p)
			t.Logf("%s, %v: %d bytes a session, %d after a message of 16 KiB", u.name, m, a, b)
			limitA, limitB := 9<<10, 27<<10
			if m.lend {
				limitA, limitB = 5<<10, 5<<10
			}
			if a > limitA || b > limitB {
				t.Errorf("more than %d, %d", limitA, limitB)
			}
			runtime.KeepAlive(&fresh)
			runtime.KeepAlive(&used)
		}
	}
}

func holdsNothing(t *testing.T, s *Session) {
	t.Helper()
	if s.in.part != nil || s.in.lent != nil || s.cur != nil || s.out != nil || s.run != nil || s.job != nil || s.cfg != nil {
		t.Fatalf("an idle session holds something: %+v", *s)
	}
	if s.lend && s.rawInput().Cap()+s.hand().Cap()+int(s.input().Size()) > 0 {
		t.Fatal("crypto/tls holds a buffer that was lent, or an empty one")
	}
}

func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}
