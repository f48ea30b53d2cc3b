package core_test

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// starts notes the connections whose handshakes begin, in order.
type starts struct {
	names []string
	done  int
}

func (s *starts) info(c *core.Conn, ev core.TLSEvent) error {
	switch ev.Kind {
	case core.TLSStart:
		s.names = append(s.names, c.Peer())
	case core.TLSDone:
		s.done++
	}
	return nil
}

// vhost returns a vhost whose handshakes are noted.
func (s *starts) vhost(cert *tls.Certificate) core.VHost {
	v := core.VHost{TLS: serves(*cert)}
	v.TLS.Info = s.info
	return v
}

// hellos dials n times and sends the hello of each.
func (w *world) hellos(n int) (ps []*tlsPeer) {
	for range n {
		p := w.secret(trusts("a.test"))
		p.goOn()
		p.Write(p.out)
		p.out = nil
		ps = append(ps, p)
	}
	return ps
}

// answer answers what the server has said so far, without driving.
func (p *tlsPeer) answer() {
	p.read()
	p.Write(p.out)
	p.out = nil
}

// TestTLSShakeBatch: a hundred clients at once. No turn takes more steps than
// ShakeBatch, the oldest come first, and a WebSocket is served in the same turn.
func TestTLSShakeBatch(t *testing.T) {
	makeCerts(t)
	for _, batch := range []int{1, 4} {
		s := &starts{}
		w := secure(t, sim.Options{}, core.Limits{ShakeBatch: batch, AcceptBatch: 200}, s.vhost(&certs.a))
		echo := w.tls(trusts("a.test"))
		echo.upgrade()
		*s = starts{}
		ps := w.hellos(100)
		for turn := 1; len(s.names) < 100; turn++ {
			before := len(s.names)
			echo.text(fmt.Sprint(turn))
			echo.Write(echo.out)
			echo.out = nil
			w.k.Turn()
			if n := len(s.names) - before; n > batch {
				t.Fatalf("%d steps in one turn, the limit is %d", n, batch)
			}
			echo.read()
			if want := fmt.Sprintf("\x81%c%d", len(fmt.Sprint(turn)), turn); string(echo.plain) != want {
				t.Fatalf("turn %d: the WebSocket heard %q", turn, echo.plain)
			}
			echo.plain = nil
			if turn > 100/batch+10 {
				t.Fatalf("%d of 100 have begun after %d turns", len(s.names), turn)
			}
		}
		for i := range s.names[1:] {
			if s.names[i] >= s.names[i+1] && len(s.names[i]) >= len(s.names[i+1]) {
				t.Errorf("%s began before %s", s.names[i], s.names[i+1])
			}
		}
		for _, p := range ps {
			p.answer()
		}
		w.k.Drive()
		if s.done != 100 {
			t.Errorf("%d of 100 are complete", s.done)
		}
	}
}

// TestTLSNewcomersDoNotOvertake: while old handshakes wait for a step, new ones that
// come through the pending list queue behind them.
func TestTLSNewcomersDoNotOvertake(t *testing.T) {
	makeCerts(t)
	s := &starts{}
	w := secure(t, sim.Options{}, core.Limits{ShakeBatch: 1, AcceptBatch: 200}, s.vhost(&certs.a))
	old := w.hellos(10)
	for range 3 {
		w.k.Turn()
	}
	for range 50 {
		w.hellos(2) // more than there are steps
		w.k.Turn()
	}
	if len(s.names) < 20 {
		t.Fatalf("%d have begun", len(s.names))
	}
	first := strings.Join(s.names[:10], " ")
	for _, p := range old {
		p.answer()
		if p.shaken {
			continue
		}
		t.Errorf("an old handshake got no turn; the first were %s", first)
	}
	w.k.Advance(15 * time.Second)
}

// TestTLSBytesTakeNoSteps: clients that send their part a byte at a time do not use
// up the steps of others.
func TestTLSBytesTakeNoSteps(t *testing.T) {
	makeCerts(t)
	s := &starts{}
	w := secure(t, sim.Options{}, core.Limits{ShakeBatch: 1, AcceptBatch: 200}, s.vhost(&certs.a))
	slow := w.hellos(50)
	w.k.Drive()
	for _, p := range slow {
		p.read() // p.out is the end of its handshake
	}
	q := w.hellos(1)[0]
	begun := len(s.names)
	for turn := range 10 {
		for _, p := range slow {
			p.Write(p.out[:1])
			p.out = p.out[1:]
		}
		w.k.Turn()
		if q.answer(); q.shaken {
			break
		}
		if turn == 9 {
			t.Errorf("not complete after ten turns; begun: %v", len(s.names) > begun)
		}
	}
}

// TestTLSPlacesInOrder: who waits for a place gets it before newcomers, the oldest
// first; meanwhile it is not read, and the loop sleeps.
func TestTLSPlacesInOrder(t *testing.T) {
	makeCerts(t)
	s := &starts{}
	w := secure(t, sim.Options{}, core.Limits{Handshakes: 2}, s.vhost(&certs.a))
	var ps []*tlsPeer
	for range 6 {
		ps = append(ps, w.hellos(1)...)
		w.k.Drive()
	}
	th := w.eng.Thread(0)
	if len(s.names) != 2 || th.Stats().Shaking != 2 {
		t.Fatalf("%d have begun, %d are underway", len(s.names), th.Stats().Shaking)
	}
	if d := th.AdjustTimeout(-1); d == 0 {
		t.Error("waiting for a place keeps the loop awake")
	}
	for _, p := range ps[2:] {
		if ev, _ := w.k.Interest(p.FD()); ev != 0 {
			t.Errorf("interest of who waits for a place: %v", ev)
		}
	}
	for i := range ps {
		ps = append(ps, w.hellos(1)...) // a newcomer in the very turn
		ps[i].answer()
		w.k.Drive()
		if st := th.Stats(); st.Shaking > 2 {
			t.Fatalf("%d handshakes are underway", st.Shaking)
		}
	}
	w.k.Advance(time.Second)
	for i, name := range s.names {
		if want := s.names[0]; i > 0 && len(name) == len(want) && name <= s.names[i-1] {
			t.Errorf("the order is %v", s.names)
		}
	}
	if s.done != 6 || len(s.names) != 8 {
		t.Errorf("%d are complete, %d have begun", s.done, len(s.names))
	}
	w.k.Advance(15 * time.Second)
	if st := w.eng.Stats(); st.Shaking != 0 || st.Conns != 0 || st.ShakeFailures != 2 {
		t.Errorf("%+v", st)
	}
}

// TestTLSPlaceGivenToTheDead: who ends between being given a place and taking it
// gives it on.
func TestTLSPlaceGivenToTheDead(t *testing.T) {
	makeCerts(t)
	s := &starts{}
	w := secure(t, sim.Options{}, core.Limits{Handshakes: 1, ShakeBatch: 1}, s.vhost(&certs.a))
	var ps []*tlsPeer
	for range 5 {
		ps = append(ps, w.hellos(1)...)
		w.k.Drive()
	}
	ps[0].answer()
	w.k.Turn() // complete; the second is given the place
	ps[1].Reset()
	ps[2].Reset()
	w.k.Drive()
	ps[3].answer()
	w.k.Drive()
	ps[4].answer()
	w.k.Drive()
	if !ps[3].shaken || !ps[4].shaken || s.done != 3 {
		t.Errorf("%d are complete of 3", s.done)
	}
}

// TestTLSForgetsWhoWaitedForAPlace: a queue that does not move does not grow by those
// that come and go.
func TestTLSForgetsWhoWaitedForAPlace(t *testing.T) {
	makeCerts(t)
	w := secure(t, sim.Options{}, core.Limits{Handshakes: 1, TLSTimeout: -1}, core.VHost{})
	w.hellos(1)
	w.k.Drive()
	live := w.hellos(3)
	w.k.Drive()
	for range 2000 {
		p := w.hellos(1)[0]
		w.k.Drive()
		p.Reset()
		w.k.Drive()
	}
	if _, places := w.eng.Thread(0).ShakeQueues(); places > 100 {
		t.Errorf("%d wait for a place, of which 3 are alive", places)
	}
	if st := w.eng.Stats(); st.Conns != 1+len(live) {
		t.Errorf("%d connections", st.Conns)
	}
}
