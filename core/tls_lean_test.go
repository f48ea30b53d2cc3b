package core_test

import (
	"crypto"
	"fmt"
	"io"
	"runtime"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// TestTLSMessageInTwoRecordsIsWhole: a message that came in one read is handed up in
// one piece, as it would be without TLS, however many records it lies in.
func TestTLSMessageInTwoRecordsIsWhole(t *testing.T) {
	everyMode(t, func(t *testing.T, m tlsMode) {
		vh, recs := recorders(nil)
		w := m.open(t, sim.Options{}, core.Limits{}, vh)
		p := w.ws()
		msg := strings.Repeat("0123456789", 2000) // two records
		p.text(msg)
		p.text("next")
		p.pump()
		got := (*recs)[0].receives()
		want := []string{fmt.Sprintf("receive %q", msg), `receive "next"`}
		if len(got) != len(want) || got[0] != want[0] || got[1] != want[1] {
			t.Errorf("%d pieces instead of %d: %.60q", len(got), len(want), got)
		}
	})
}

// slowKey signs when the test says so.
type slowKey struct {
	crypto.Signer
	may chan struct{}
}

func (k slowKey) Sign(rand io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	<-k.may
	return k.Signer.Sign(rand, digest, opts)
}

// TestTLSKeyOnAWorkerChangesNoInterest: while a worker signs, the loop is told
// nothing, unless the peer says something out of turn; that stays unread.
func TestTLSKeyOnAWorkerChangesNoInterest(t *testing.T) {
	makeCerts(t)
	for _, early := range []bool{false, true} {
		key := slowKey{certs.a.PrivateKey.(crypto.Signer), make(chan struct{})}
		cert := certs.a
		cert.PrivateKey = key
		s := &starts{}
		w := secure(t, sim.Options{}, core.Limits{}, s.vhost(&cert))
		p := w.hellos(1)[0]
		w.k.Drive()
		before := w.eng.Stats()
		changes := uint64(0)
		if early {
			changes = 1
			p.Write([]byte("x"))
			w.k.Drive()
			if st := w.eng.Stats(); st.Reads != before.Reads {
				t.Errorf("%d reads while a worker signs", st.Reads-before.Reads)
			}
		}
		if st := w.eng.Stats(); st.Changes-before.Changes != changes || st.Shaking != 1 {
			t.Errorf("early %v: %d changes of interest, %d handshakes", early, st.Changes-before.Changes, st.Shaking)
		}
		close(key.may)
		for until := time.Now().Add(time.Minute); s.done == 0 && w.eng.Stats().ShakeFailures == 0; {
			if time.Now().After(until) {
				t.Fatal("the handshake does not end")
			}
			runtime.Gosched() // the worker is no part of the simulation
			w.k.Drive()
			p.answer()
		}
		if st := w.eng.Stats(); early != (st.ShakeFailures == 1) || !early && st.Changes != before.Changes {
			t.Errorf("early %v: %d failed, %d changes of interest", early, st.ShakeFailures, st.Changes-before.Changes)
		}
	}
}

// closings counts the ends of our direction that are sent by themselves.
type closings struct {
	*sim.Kernel
	n int
}

func (c *closings) CloseWrite(fd int) error {
	c.n++
	return c.Kernel.CloseWrite(fd)
}

// TestPeerThatHasSentAllIsJustClosed: closing says that we send no more; a call that
// says it before is made only for a peer that may still be sending.
func TestPeerThatHasSentAllIsJustClosed(t *testing.T) {
	for _, done := range []bool{true, false} {
		c := &closings{Kernel: sim.New(sim.Options{})}
		w := &world{t: t, k: c.Kernel}
		v := httpVHost()
		v.Addr = host
		eng, err := core.New(core.Config{Backend: c, VHosts: []core.VHost{v}})
		if err != nil {
			t.Fatal(err)
		}
		w.eng = eng
		t.Cleanup(w.stop)
		p := w.dial()
		if done {
			p.CloseWrite()
		} else {
			p.Write([]byte("nonsense\r\n\r\n"))
		}
		w.k.Drive()
		want := 1
		if done {
			want = 0
		}
		if c.n != want || p.Gone() != done {
			t.Errorf("the peer has sent all: %v; CloseWrite was called %d times, want %d; gone: %v", done, c.n, want, p.Gone())
		}
	}
}
