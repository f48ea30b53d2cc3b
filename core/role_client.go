package core

import (
	"errors"
	"net/url"
	"strings"

	"anyloop/core/h1"
	"anyloop/core/header"
	"anyloop/core/socks"
	"anyloop/core/ws"
)

// clientRole is a link of ours on its way to a WebSocket:
//
//	reaching --connected--> asking, or through a proxy:
//	reaching --connected--> socks  --granted--> asking
//	reaching --connected--> tunnel --2xx-->     asking
//	on the way to asking, for wss: shaking --TLS--> asking
//	asking   --101, checked--> (ws role)
//	asking   --3xx, Redirects--> reaching
//	any      --error, limit, Close, Stop--> ConnectFailed
type clientRole struct {
	baseRole
	d      Dial
	url    *url.URL
	proxy  *url.URL
	at     target
	bound  *binding
	tls    *dialTLS     // for URLs that want it
	zip    *Deflate     // nil: none is offered
	kept   int64        // of the vhost's DeflateMemory, while it is offered
	lean   bool         // of which there is none: no takeover is offered
	offer  string       // of extensions, as it was sent
	key    [24]byte     // Sec-WebSocket-Key
	cancel func() error // of the connecting
	socks  socks.Client
	parser h1.ResponseParser
	res    Response
	state  clientState
	hops   int       // redirects followed
	asked  bool      // the handler was asked for
	h      WSHandler // what came of it
}

type clientState uint8

const (
	clReaching clientState = iota
	clSocks
	clTunnel
	clShaking
	clAsking
)

// stages are what a ConnectError calls the states.
var stages = [...]string{clReaching: "connect", clSocks: "proxy", clTunnel: "proxy", clShaking: "tls", clAsking: "handshake"}

// Phases of the link's limit.
const (
	phaseConnect uint8 = 0x30 + iota // until a connection, and a proxy's consent, are there
	phaseAnswer                      // until the server has answered
)

func (*clientRole) name() string { return "client" }

// allowance is 0: nothing is written before the WebSocket is open.
func (*clientRole) allowance(*Conn) int { return 0 }

func (r *clientRole) arm(l *link) { l.arm(phaseConnect, l.own().limits().ConnectTimeout) }

// start begins to connect.
func (r *clientRole) start(l *link) {
	t, err := r.goal()
	if err != nil {
		r.fail(l, err)
		return
	}
	r.state = clReaching
	t.delay = l.own().limits().AttemptDelay
	if all := l.own().limits().ConnectTimeout; all > 0 {
		t.delay = min(t.delay, all/2) // a second address is to have its chance
	}
	r.cancel = l.th.reach(t, func(from *link, peer string, err error) {
		l.th.inService(l, func() { r.reached(l, from, peer, err) })
	})
}

// reached: there is a socket, or there will be none.
func (r *clientRole) reached(l *link, from *link, peer string, err error) {
	r.cancel = nil
	if err != nil {
		r.fail(l, err)
		return
	}
	l.inherit(from)
	l.flags &^= lfNoRead
	l.own().setPeer(named(peer))
	if r.proxy == nil {
		r.arrived(l, nil)
		return
	}
	r.askProxy(l)
}

// ask sends the opening handshake (RFC 6455 4.1).
func (r *clientRole) ask(l *link) {
	var nonce [16]byte
	l.th.random().Read(nonce[:])
	ws.AppendKey(r.key[:0], nonce)
	r.reserve(l.own().vh())
	b := l.outbuf(1024)
	out, err := r.appendRequest(*b)
	if err != nil {
		r.fail(l, err)
		return
	}
	*b = out
	if r.state != clShaking { // else it runs since then
		l.arm(phaseAnswer, l.own().limits().AnswerTimeout)
	}
	r.state = clAsking
	r.parser = h1.ResponseParser{Method: h1.GET}
}

// appendRequest writes the request; dst is returned as it was with an error.
func (r *clientRole) appendRequest(dst []byte) ([]byte, error) {
	d := &r.d
	out, err := h1.AppendRequestLine(dst, "GET", requestTarget(r.url))
	if err != nil {
		return dst, err
	}
	host := []byte(d.Host)
	if d.Host == "" {
		def := defaultPort(r.url)
		port, _ := portOf(r.url, def)
		if host, err = h1.AppendAuthority(nil, r.url.Hostname(), port, def); err != nil {
			return dst, err
		}
	}
	if out, err = h1.AppendHost(out, string(host)); err != nil {
		return dst, err
	}
	out = append(out, "upgrade: websocket\r\nconnection: Upgrade\r\nsec-websocket-version: 13\r\nsec-websocket-key: "...)
	out = append(out, r.key[:]...)
	out = append(out, '\r', '\n')
	if d.Origin != "" {
		out = appendFields(out, Header{{"origin", d.Origin}}, nil)
	}
	if len(d.Subprotocols) > 0 {
		out = appendFields(out, Header{{"sec-websocket-protocol", strings.Join(d.Subprotocols, ", ")}}, nil)
	}
	if r.zip != nil {
		r.offer = r.policy().Offer()
		out = appendFields(out, Header{{"sec-websocket-extensions", r.offer}}, nil)
	}
	if user, pass := credentials(r.url); user != "" && !d.Header.has("authorization") {
		out = append(out, "authorization: "...)
		if out, err = h1.AppendBasic(out, user, pass); err != nil {
			return dst, err
		}
		out = append(out, '\r', '\n')
	}
	out = appendFields(out, d.Header, nil)
	return append(out, '\r', '\n'), nil
}

// requestTarget is the path and query, never empty (RFC 6455 3).
func requestTarget(u *url.URL) string {
	target := u.EscapedPath()
	if target == "" {
		target = "/"
	}
	if u.RawQuery != "" || u.ForceQuery {
		target += "?" + u.RawQuery
	}
	return target
}

func (r *clientRole) input(l *link, p []byte) int {
	used := 0
	for l.flags&(lfDoomed|lfDead) == 0 {
		if l.role != role(r) {
			return used + l.role.input(l, p[used:])
		}
		n, more := r.step(l, p[used:])
		used += n
		if !more {
			return used
		}
	}
	return len(p)
}

// step consumes what it can of p in the present state.
func (r *clientRole) step(l *link, p []byte) (n int, more bool) {
	switch r.state {
	case clSocks:
		n, done, err := r.socks.Next(p)
		if err != nil {
			r.fail(l, err)
			return n, false
		}
		if done {
			return r.behindProxy(l, p, n)
		}
		b := l.outbuf(600)
		*b = r.socks.Append(*b)
		return n, n > 0 && len(p) > n
	case clTunnel, clAsking:
		return r.answer(l, p)
	}
	return len(p), false
}

// answer reads the head of a response.
func (r *clientRole) answer(l *link, p []byte) (n int, more bool) {
	lim := l.own().limits()
	if r.res.table == nil {
		r.res.table = l.th.headers.borrow(lim)
	}
	done, n, err := r.parser.Next(p, &r.res.head, r.res.table, &l.own().vh().h1Limits)
	switch {
	case err == h1.ErrNotResponse && looksLikeTLS(p):
		r.fail(l, &told{r.via() + " speaks TLS: the scheme for that is wss or https", err})
		return n, false
	case err != nil:
		r.fail(l, err)
		return n, false
	case !done:
		return n, false
	case r.res.head.Interim():
		if err := r.parser.Skip(&r.res.head, r.res.table); err != nil {
			r.fail(l, err)
			return n, false
		}
		return n, true
	case r.state == clTunnel:
		status, reason := r.res.head.Status, string(r.res.head.Reason())
		r.freeResponse(l)
		if status/100 != 2 {
			r.refused(l, status, r.declined(status, reason))
			return n, false
		}
		return r.behindProxy(l, p, n)
	}
	r.answered(l)
	return n, true
}

// answered judges the server's answer.
func (r *clientRole) answered(l *link) {
	res := &r.res
	status := res.head.Status
	if status != 101 {
		r.notUpgraded(l, status)
		return
	}
	chosen, err := ws.CheckAnswer(status, res.table, &ws.Asked{Key: r.key[:], Protocols: r.d.Subprotocols, Extensions: r.offer != ""})
	if err == nil && r.res.head.Minor < 1 {
		err = errors.New("the server answered in HTTP/1.0, which knows no upgrade")
	}
	if err == nil {
		err = l.own().cause() // it was closed in this very turn
	}
	if err == nil {
		err = r.checkUpgrade(l)
	}
	var z *packer
	if err == nil {
		z, err = r.confirm(l)
	}
	if err != nil {
		r.fail(l, err)
		return
	}
	r.open(l, chosen, z)
}

// checkUpgrade lets Dial.Check look at the answer.
func (r *clientRole) checkUpgrade(l *link) (err error) {
	if r.d.Check == nil {
		return nil
	}
	c := l.own()
	c.calling("Check")
	err = r.d.Check(c, &r.res)
	c.called()
	return err
}

// open makes a WebSocket of the link.
func (r *clientRole) open(l *link, chosen string, z *packer) {
	c := l.own()
	b := r.bound
	if r.d.Protocol == "" && r.d.WS == nil && chosen != "" {
		if own := c.vh().byName[chosen]; own != nil && own.proto.WS != nil {
			b = own
		}
	}
	defer func() { // also after a panic
		if z != nil && l.role == role(r) {
			z.release(c.vh())
		}
	}()
	h := r.make(l, b)
	if h == nil {
		r.fail(l, errors.New("there is no handler: WS has returned nil, or the protocol's Init has failed"))
		return
	}
	if c.cause() != nil {
		r.fail(l, c.cause()) // its maker has closed it
		return
	}
	role := newWS(c, h, ws.Client, z)
	l.role = role
	l.flags &^= lfHandshake
	c.flags |= cfOpened
	role.established(l)
	if c.pause != 0 {
		role.pausing(c, true)
	}
	r.connected(l, h)
	c.offer()
}

// make makes the handler, nil if there is none to be had. It is asked for once,
// also if nothing came of it.
func (r *clientRole) make(l *link, b *binding) WSHandler {
	if r.asked {
		return r.h
	}
	r.asked = true
	c := l.own()
	maker := r.d.WS
	if maker == nil {
		if b = usable(b); b == nil {
			return nil
		}
		maker = b.proto.WS
	}
	if b != nil && c.bound() != b {
		c.bind(b)
	}
	c.calling("WS")
	r.h = maker(c)
	c.called()
	if r.h != nil {
		c.introduce(r.h)
	}
	return r.h
}

// connected tells the handler, for which the answer can be read for the last time;
// also after a panic its header table goes back.
func (r *clientRole) connected(l *link, h WSHandler) {
	defer r.freeResponse(l)
	o, ok := h.(Connector)
	if !ok {
		return
	}
	c := l.own()
	c.flags |= cfInside
	c.calling("Connected")
	err := o.Connected(c, &r.res)
	c.called()
	c.flags &^= cfInside
	c.after(err)
}

// freeResponse gives the header table back; the answer is over.
func (r *clientRole) freeResponse(l *link) {
	t := r.res.table
	r.res = Response{}
	l.th.headers.giveBack(t)
}

func (r *clientRole) fail(l *link, err error) { r.refused(l, 0, err) }

func (r *clientRole) refused(l *link, status int, err error) {
	l.doom(r.failure(status, err))
}

func (r *clientRole) eof(l *link) {
	r.fail(l, errors.New(r.via()+" closed the connection instead of answering"))
}

func (r *clientRole) expire(l *link) {
	lim := l.own().limits()
	if l.phase == phaseConnect {
		r.fail(l, r.unconnected(&LimitError{"ConnectTimeout", lim.ConnectTimeout}))
		return
	}
	r.fail(l, &LimitError{"AnswerTimeout", lim.AnswerTimeout})
}

// gone delivers the failure: the link never became a WebSocket.
func (r *clientRole) gone(l *link, err error) {
	c := l.own()
	if r.cancel != nil {
		r.cancel()
		r.cancel = nil
	}
	r.freeResponse(l)
	r.unreserve(c.vh())
	if c.cause() != nil {
		err = c.cause() // we ended it
	}
	if _, ok := err.(*ConnectError); !ok {
		err = r.failure(0, err)
	}
	c.extra().cause, c.state = err, stClosing
	defer c.end(err) // also after a panic
	r.tell(l, err)
}

// tell calls ConnectFailed.
func (r *clientRole) tell(l *link, err error) {
	c := l.own()
	l.th.stats.ConnectFailures++
	if f, ok := r.make(l, r.bound).(ConnectFailer); ok {
		c.calling("ConnectFailed")
		f.ConnectFailed(c, err)
		c.called()
		return
	}
	c.vh().log.Warn("a connection failed, and its handler has no ConnectFailed", "conn", c.String(), "url", r.url.Redacted(), "err", err)
}

// borrow takes a table beyond the pool's bound, which is on what peers can make
// us hold: connections that we begin are bounded by MaxConns.
func (p *headerPool) borrow(lim *Limits) *header.Table {
	t := &header.Table{}
	if n := len(p.free); n > 0 {
		t, p.free = p.free[n-1], p.free[:n-1]
	}
	t.Init(lim.HeaderBytes, lim.HeaderFields)
	return t
}

func (p *headerPool) giveBack(t *header.Table) {
	if t == nil {
		return
	}
	t.Reset()
	if len(p.free) < spareTables {
		p.free = append(p.free, t)
	}
}
