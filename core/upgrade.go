package core

import (
	"errors"

	"anyloop/core/h1"
	"anyloop/core/header"
	"anyloop/core/ws"
)

// upgrade answers an opening handshake (RFC 6455 4.2) and turns the link into a
// WebSocket, or refuses with a status.
func (r *h1Role) upgrade(l *link) {
	c, req := l.own(), r.req
	if status, text := r.checkUpgrade(l); status != 0 {
		r.refuseUpgrade(l, status, text)
		return
	}
	if status, text := r.checkOrigin(l); status != 0 {
		r.refuseUpgrade(l, status, text)
		return
	}
	b, echo := c.vh().chooseWS(req)
	if b == nil {
		r.refuseUpgrade(l, 400, "no such subprotocol")
		return
	}
	r.unroute(l)
	if f := b.proto.FilterWS; f != nil {
		c.calling("FilterWS")
		req.shown = true
		err := f(c, req)
		c.called()
		if err != nil {
			r.refuseFiltered(l, err)
			return
		}
	}
	c.bind(b)
	c.calling("WS")
	h := b.proto.WS(c)
	c.called()
	if h == nil {
		r.refuseUpgrade(l, 403, "")
		return
	}
	c.introduce(h)
	z, extensions := c.acceptDeflate(b, req)
	role := newWS(c, h, ws.Server, z)
	r.write101(l, echo, extensions)
	l.role = role
	c.flags |= cfOpened
	role.established(l)
	r.opened(l, h)
	c.offer()
}

// opened tells the handler, for which the request can be read for the last time;
// also after a panic its header table goes back.
func (r *h1Role) opened(l *link, h WSHandler) {
	defer r.freeRequest(l)
	o, ok := h.(WSOpener)
	if !ok {
		return
	}
	c := l.own()
	c.flags |= cfInside
	c.calling("Opened")
	r.req.shown = true
	err := o.Opened(c, r.req)
	c.called()
	c.flags &^= cfInside
	c.after(err)
}

// checkUpgrade returns the status to refuse with, 0 if the handshake is right.
func (r *h1Role) checkUpgrade(l *link) (status int, text string) {
	req := r.req
	switch {
	case l.th.stoppingNow():
		return 503, "going away"
	case req.head.Method != h1.GET:
		return 405, "a WebSocket begins with GET"
	case req.head.Minor < 1:
		return 400, "a WebSocket needs HTTP/1.1"
	case r.bodyOn:
		return 400, "a WebSocket handshake has no body"
	case string(req.table.First(header.WSVersion)) != "13":
		return 426, "this server speaks version 13"
	case !ws.ValidKey(req.table.First(header.WSKey)):
		return 400, "bad sec-websocket-key"
	case req.table.Twice(header.WSKey):
		return 400, "two sec-websocket-key fields"
	}
	return 0, ""
}

// chooseWS selects the protocol: the first that the client offers and the vhost
// has; without an offer the default one. echo is the name to answer with.
func (vh *VirtualHost) chooseWS(req *Request) (b *binding, echo string) {
	if !req.table.Has(header.WSProtocol) {
		return usable(vh.plain), "" // RFC 6455 4.2.2: no field, no answer
	}
	names := offered(req.table)
	if len(names) == 0 {
		return nil, "" // an empty list is a wrong one
	}
	for _, n := range names {
		if b := usable(vh.byName[n]); b != nil && b.proto.WS != nil {
			return b, n
		}
	}
	return usable(vh.anyWS), names[0]
}

func usable(b *binding) *binding {
	if b == nil || !b.inited {
		return nil
	}
	return b
}

// refuseUpgrade answers without upgrading.
func (r *h1Role) refuseUpgrade(l *link, status int, text string) {
	r.rearm(l)
	l.own().vh().log.Info("websocket refused", "conn", l.own().String(), "peer", l.own().Peer(), "status", status, "why", text,
		"origin", r.req.Header("origin"))
	if status == 426 {
		// RFC 6455 4.4: say which version would do.
		w := &r.req.w
		w.live = true
		w.Respond(426, append(Header{{"sec-websocket-version", "13"}}, htmlHeader...), errorPage(426, text))
		w.live = false
		r.maybeNext(l)
		return
	}
	r.keep = r.keep && !r.bodyOn
	r.respondError(l, status, text)
}

func (r *h1Role) refuseFiltered(l *link, err error) {
	status, text := 403, ""
	var he *HTTPError
	if errors.As(err, &he) {
		status, text = he.Status, he.Text
	}
	if errors.Is(err, ErrDrop) {
		l.doom(err)
		return
	}
	r.refuseUpgrade(l, status, text)
}

func (r *h1Role) write101(l *link, echo, extensions string) {
	b := l.outbuf(512)
	out := append(*b, "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-accept: "...)
	out = ws.AppendAccept(out, r.req.table.First(header.WSKey))
	if echo != "" {
		out = append(out, "\r\nsec-websocket-protocol: "...)
		out = append(out, echo...)
	}
	if extensions != "" {
		out = append(out, "\r\nsec-websocket-extensions: "...)
		out = append(out, extensions...)
	}
	out = append(out, '\r', '\n')
	out = appendFields(out, l.own().vh().cfg.Header, nil)
	out = l.appendHSTS(out, nil)
	*b = append(out, '\r', '\n')
}

// offered lists the subprotocols that the client offers, in order.
func offered(t *header.Table) []string {
	var all []string
	for v := range t.Values("sec-websocket-protocol") {
		for tok := range header.Tokens(v) {
			all = append(all, string(tok))
		}
	}
	return all
}
