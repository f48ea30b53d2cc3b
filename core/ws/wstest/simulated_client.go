package wstest

import (
	"errors"
	"testing"

	"anyloop/core"
	"anyloop/core/loop/sim"
)

// simHost is where simulated clients connect to.
const simHost = "192.0.2.1:80"

// SimulatedClient starts an engine with this vhost in a simulator and returns how
// to make it dial, with the handler of the vhost's first protocol. See Simulated.
func SimulatedClient(t testing.TB, vh core.VHost) func() (Wire, error) {
	t.Helper()
	vh.Addr, vh.Name = "", "client"
	proto := vh.Protocols[0]
	k, eng := engine(t, vh)
	return func() (Wire, error) {
		w := &simClientWire{simWire: simWire{k: k}}
		k.Answer(simHost, sim.Answer{Accept: func(p *sim.Peer) { w.p = p }})
		d := core.Dial{URL: "ws://" + simHost + "/", Protocol: proto.Name, WS: func(c *core.Conn) core.WSHandler {
			return &witness{proto.WS(c), w}
		}}
		if _, err := eng.Thread(0).Dial(eng.VHost(vh.Name), d); err != nil {
			return nil, err
		}
		k.Advance(0)
		if w.p == nil {
			return nil, errors.New("wstest: the testee does not connect")
		}
		return w, nil
	}
}

// simClientWire is the server's end of a simulated client's connection.
type simClientWire struct {
	simWire
	over bool
	err  error
}

// Verdict implements Judge.
func (w *simClientWire) Verdict() error {
	w.k.Drive()
	if !w.over {
		return ErrSilent
	}
	return w.verdict()
}

// verdict judges what the handler was told.
func (w *simClientWire) verdict() error {
	var ce *core.CloseError
	if errors.As(w.err, &ce) && ce.Remote {
		return nil
	}
	if w.err == nil {
		return errors.New("wstest: over before the server closed")
	}
	return w.err
}

// witness passes everything on to the handler under test and notes the end.
type witness struct {
	core.WSHandler
	w *simClientWire
}

func (h *witness) note(err error) {
	if h.w.over {
		err = errors.New("wstest: the handler was told of the end twice")
	}
	h.w.over, h.w.err = true, err
}

// Connected implements core.Connector.
func (h *witness) Connected(c *core.Conn, r *core.Response) error {
	if o, ok := h.WSHandler.(core.Connector); ok {
		return o.Connected(c, r)
	}
	return nil
}

// ConnectFailed implements core.ConnectFailer.
func (h *witness) ConnectFailed(c *core.Conn, err error) {
	h.note(err)
	if o, ok := h.WSHandler.(core.ConnectFailer); ok {
		o.ConnectFailed(c, err)
	}
}

// Pong implements core.WSPonger.
func (h *witness) Pong(c *core.Conn, data []byte) error {
	if o, ok := h.WSHandler.(core.WSPonger); ok {
		return o.Pong(c, data)
	}
	return nil
}

// PeerClose implements core.PeerCloser.
func (h *witness) PeerClose(c *core.Conn, code int, text string) error {
	if o, ok := h.WSHandler.(core.PeerCloser); ok {
		return o.PeerClose(c, code, text)
	}
	return nil
}

// Timer implements core.TimerHandler.
func (h *witness) Timer(c *core.Conn) error {
	if o, ok := h.WSHandler.(core.TimerHandler); ok {
		return o.Timer(c)
	}
	return nil
}

// Closed implements core.ClosedHandler.
func (h *witness) Closed(c *core.Conn, err error) {
	h.note(err)
	if o, ok := h.WSHandler.(core.ClosedHandler); ok {
		o.Closed(c, err)
	}
}
