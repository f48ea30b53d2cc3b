package e2e

import "anyloop/core"

// wsCalls is a WebSocket handler made of functions; nil ones do nothing.
type wsCalls struct {
	opened   func(c *core.Conn) error
	receive  func(c *core.Conn, f core.Fragment) error
	writable func(c *core.Conn, w *core.WSWriter) error
	pong     func(c *core.Conn, p []byte) error
	timer    func(c *core.Conn) error
	closed   func(c *core.Conn, err error)
}

func (h *wsCalls) Receive(c *core.Conn, f core.Fragment) error {
	if h.receive == nil {
		return nil
	}
	return h.receive(c, f)
}

func (h *wsCalls) Writable(c *core.Conn, w *core.WSWriter) error {
	if h.writable == nil {
		return nil
	}
	return h.writable(c, w)
}

func (h *wsCalls) Opened(c *core.Conn, _ *core.Request) error {
	if h.opened == nil {
		return nil
	}
	return h.opened(c)
}

func (h *wsCalls) Pong(c *core.Conn, p []byte) error {
	if h.pong == nil {
		return nil
	}
	return h.pong(c, p)
}

func (h *wsCalls) Timer(c *core.Conn) error {
	if h.timer == nil {
		return nil
	}
	return h.timer(c)
}

func (h *wsCalls) Closed(c *core.Conn, err error) {
	if h.closed != nil {
		h.closed(c, err)
	}
}

// serving is a vhost with one WebSocket protocol.
func serving(mk func(c *core.Conn) core.WSHandler) core.VHost {
	return core.VHost{Protocols: []core.Protocol{{Name: "t", WS: mk}}}
}

// echoing is a vhost that sends every message back.
func echoing() core.VHost {
	return serving(core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }))
}

// httpCalls is an HTTP handler made of functions.
type httpCalls struct {
	request  func(c *core.Conn, r *core.Request) error
	writable func(c *core.Conn, w *core.HTTPWriter) error
	body     func(c *core.Conn, p []byte) error
	bodyDone func(c *core.Conn) error
}

func (h *httpCalls) Request(c *core.Conn, r *core.Request) error { return h.request(c, r) }

func (h *httpCalls) Writable(c *core.Conn, w *core.HTTPWriter) error { return h.writable(c, w) }

func (h *httpCalls) Body(c *core.Conn, p []byte) error {
	if h.body == nil {
		return nil
	}
	return h.body(c, p)
}

func (h *httpCalls) BodyDone(c *core.Conn) error {
	if h.bodyDone == nil {
		return nil
	}
	return h.bodyDone(c)
}

// fileCalls is a handler of an adopted descriptor made of functions.
type fileCalls struct {
	readable func(c *core.Conn, f *core.File) error
	writable func(c *core.Conn, f *core.File) error
	closed   func(c *core.Conn, err error)
}

func (h *fileCalls) Readable(c *core.Conn, f *core.File) error { return h.readable(c, f) }

func (h *fileCalls) Writable(c *core.Conn, f *core.File) error {
	if h.writable == nil {
		return nil
	}
	return h.writable(c, f)
}

func (h *fileCalls) Closed(c *core.Conn, err error) {
	if h.closed != nil {
		h.closed(c, err)
	}
}
