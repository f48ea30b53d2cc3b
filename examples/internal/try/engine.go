package try

import (
	"context"
	"testing"
	"time"

	"anyloop/core"
	"anyloop/loops/poll"
)

// Engine runs an engine with these vhosts until the test ends.
func Engine(t testing.TB, vhs ...core.VHost) *core.Engine {
	t.Helper()
	eng, err := core.New(core.Config{Backend: poll.Backend(), VHosts: vhs,
		Limits: unhurried(core.Limits{OutboxBytes: 4 << 20})})
	if err != nil {
		t.Fatal(err)
	}
	ran := make(chan error, 1)
	go func() { ran <- eng.Run(context.Background()) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), Bound)
		defer cancel()
		if err := eng.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
	return eng
}

// unhurried sets limits of time that no test is about far above what anything takes:
// peers are other programs, on a machine that may be busy. Those of a goodbye are
// shorter, since the test's end waits for peers that give none.
func unhurried(l core.Limits) core.Limits {
	l.ConnectTimeout, l.AnswerTimeout = Bound, Bound
	l.TLSTimeout, l.HandshakeTimeout, l.HeaderIdleTimeout = Bound, Bound, Bound
	l.KeepAliveTimeout, l.ContentTimeout = Bound, Bound
	l.FlushTimeout, l.CloseTimeout = Bound/3, Bound/3
	l.PingInterval, l.PongTimeout = 5*Bound, 10*Bound
	return l
}

// Ended is a handler that tells how its connection ended, and is otherwise what it
// is made of. As a client it does what Greet says first.
type Ended struct {
	core.WSHandler
	// Greet is sent by a client as soon as it is connected; "" is nothing.
	Greet string
	end   chan error
}

// Ends wraps the maker of a handler, for one connection.
func Ends(e *Ended, ws func(*core.Conn) core.WSHandler) func(*core.Conn) core.WSHandler {
	e.end = make(chan error, 1)
	return func(c *core.Conn) core.WSHandler {
		e.WSHandler = ws(c)
		return e
	}
}

// Connected implements core.Connector.
func (e *Ended) Connected(c *core.Conn, _ *core.Response) error {
	if e.Greet == "" {
		return nil
	}
	return c.RequestWritable()
}

// Writable implements core.WSHandler.
func (e *Ended) Writable(c *core.Conn, w *core.WSWriter) error {
	if e.Greet != "" {
		p := []byte(e.Greet)
		e.Greet = ""
		return w.Text(p)
	}
	return e.WSHandler.Writable(c, w)
}

// ConnectFailed implements core.ConnectFailer.
func (e *Ended) ConnectFailed(_ *core.Conn, err error) { e.end <- err }

// Closed implements core.ClosedHandler.
func (e *Ended) Closed(_ *core.Conn, err error) { e.end <- err }

// Wait returns what ended the connection. Any goroutine.
func (e *Ended) Wait(t testing.TB) error {
	t.Helper()
	select {
	case err := <-e.end:
		return err
	case <-time.After(Bound):
		t.Fatal("the connection has not ended")
	}
	return nil
}

// Connect begins a WebSocket from the engine's only vhost. Any goroutine.
func Connect(t testing.TB, eng *core.Engine, d core.Dial) {
	t.Helper()
	dialled := make(chan error, 1)
	th := eng.Thread(0)
	if err := th.Post(func() {
		_, err := th.Dial(eng.VHost("default"), d)
		dialled <- err
	}); err != nil {
		t.Fatal(err)
	}
	if err := <-dialled; err != nil {
		t.Fatal(err)
	}
}

// Stats returns what the engine has counted up to now: threads publish at the end of
// their turns, and two of them go by here. Any goroutine but the loop's.
func Stats(t testing.TB, eng *core.Engine) core.Stats {
	t.Helper()
	for range 2 {
		ran := make(chan struct{})
		if err := eng.Thread(0).Post(func() { close(ran) }); err != nil {
			t.Fatal(err)
		}
		<-ran
	}
	return eng.Stats()
}
