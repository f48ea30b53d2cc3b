package core

import (
	"crypto/tls"
	"errors"
	"io"

	"anyloop/core/tlsio"
)

// tlsWire is the wire of a link that speaks TLS. What it reads and writes is
// ciphertext, like what waits in the link's rest; the link encrypts on the way to
// it (seal) and decrypts on the way from it (unseal). The role sees plaintext.
type tlsWire struct {
	wire  // below
	s     *tlsio.Session
	vh    *VirtualHost // whose certificate was shown; nil on a client's
	info  func(*Conn, TLSEvent) error
	owed  int  // bytes that TLS itself had to say while the wire refuses
	job   bool // a worker has the private key
	due   bool // a step of the handshake can be taken without further input
	began bool // the handshake
	over  bool // nothing is encrypted any more
	noted bool // the peer has said that it sends no more
}

// maxOwed is how much TLS itself may have to say to a peer that takes nothing,
// before nothing more is read from it: answers to KeyUpdate.
const maxOwed = 16 << 10

// sealPiece is how much is encrypted before it is given to the wire.
const sealPiece = 64 << 10

// secured is a role whose link begins with a handshake.
type secured interface {
	// secure: the handshake is complete.
	secure(l *link)
}

// tls returns the link's wire if it speaks TLS.
func (l *link) tls() *tlsWire {
	t, _ := l.wire().(*tlsWire)
	return t
}

// below replaces what lies under the link, and under its TLS.
func (l *link) below(w wire) {
	t := l.tls()
	if t == nil {
		l.setWire(w)
		return
	}
	if t.wire = w; w == nil {
		t.wire = sysWire{}
	}
}

// beginTLS puts TLS over the link's wire; what was received behind this moment is
// p. The handshake goes on by unseal.
func (l *link) beginTLS(s *tlsio.Session, info func(*Conn, TLSEvent) error, p []byte) {
	l.flush()
	t := &tlsWire{wire: l.wire(), s: s, info: info}
	if t.wire == nil {
		t.wire = sysWire{}
	}
	l.setWire(t)
	l.flags |= lfTLS | lfShaking
	l.th.shakes.take(l)
	t.store(p)
}

// end forgets the session. What is left is the wire below.
func (t *tlsWire) end(l *link) {
	if l.is(lfShaking) {
		l.shakeOver()
		l.th.stats.ShakeFailures++
		t.s.Abort()
	}
	l.flags &^= lfTLS | lfShaking
	if t.wire == wire(sysWire{}) {
		l.setWire(nil)
	} else {
		l.setWire(t.wire)
	}
}

// store keeps ciphertext for later.
func (t *tlsWire) store(p []byte) {
	if len(p) > 0 {
		t.s.Feed(p)
		t.s.Release()
	}
}

// flooded reports whether the peer makes TLS itself talk and does not listen.
func (t *tlsWire) flooded(l *link) bool { return t.owed > maxOwed && l.choked() }

// listened: the peer has taken all that waited. What a flood has left undecrypted
// goes on.
func (t *tlsWire) listened(l *link) {
	if t.owed > maxOwed && t.s.Ready() {
		l.th.queue(l.own())
	}
	t.owed = 0
}

// receiveTLS is receive for a link that speaks TLS.
func (l *link) receiveTLS() {
	th := l.th
	if l.is(lfShakeTurn) || l.hold(l.tls()) {
		return // it waits; what comes stays where it is
	}
	if th.cipher == nil {
		th.cipher = make([]byte, rbufSize)
	}
	for range readsPerTurn {
		n := l.readSome(th.cipher)
		if n == 0 {
			return
		}
		if l.is(lfLinger) {
			continue
		}
		l.feedTLS(th.cipher[:n])
		if n < len(th.cipher) && l.flags&lfHangup == 0 || !l.mayRead() || l.is(lfShakeTurn) {
			return
		}
	}
}

// feedTLS takes ciphertext, which is lent.
func (l *link) feedTLS(p []byte) {
	l.hold(l.tls())
	s := l.tls().s
	s.Feed(p)
	l.unseal()
	s.Release()
	if l.is(lfShaking) && s.Buffered() > maxFlight {
		l.doom(&LimitError{Limit: "a handshake's 256 KiB"})
	}
}

// maxFlight is how much of a handshake an engine may push at a stream before it
// has had its turn. A descriptor is not read meanwhile.
const maxFlight = 256 << 10

var errHandshakeCut = &TransportError{Op: "tls", Err: errors.New("the peer closed the connection during the handshake")}

// unseal goes on with the handshake, or decrypts what is there and hands it up,
// as far as the role takes it.
func (l *link) unseal() {
	t := l.tls()
	if l.is(lfShaking) && !l.shake(t) {
		return
	}
	for l.tls() == t && l.mayOpen(t) {
		if !l.openRecords(t) {
			return
		}
	}
	if l.is(lfEOF) && !l.is(lfAgain) && l.own().pause == 0 && !l.waiting() {
		l.tellEOF()
	}
}

// mayOpen reports whether a whole record is there, and may be decrypted now.
func (l *link) mayOpen(t *tlsWire) bool {
	return l.mayTake() && !t.over && !t.flooded(l) && t.s.Ready()
}

// openRecords decrypts as many records as there is room for, and hands up what is in
// them together: a message that lies in two records is whole, as if it had been read
// without TLS.
func (l *link) openRecords(t *tlsWire) bool {
	th := l.th
	k := l.frontTail()
	at, n := k, 0
	var out []byte
	var err error
	for more := true; more; more = err == nil && len(th.rbuf)-at >= maxPlaintext && l.mayOpen(t) {
		out, n, err = t.s.Read(th.takeSealed(), th.rbuf[at:])
		l.putOwn(t, out)
		at += n
	}
	if at > k && !l.is(lfLinger) {
		l.consume(th.rbuf[:at], k > 0)
	}
	switch {
	case err == nil || err == tlsio.ErrAgain:
		return true
	case err == io.EOF:
		t.noted = true
		l.endOfStream() // the wire's own end may have come before, and was not told
	default:
		l.tlsFailed(t, err)
	}
	return false
}

// maxPlaintext is the most that one record holds (RFC 8446 5.1).
const maxPlaintext = 16 << 10

// seal encrypts head and tail and sends them.
func (l *link) seal(head, tail []byte) {
	t := l.tls()
	if t.over || l.is(lfTxDead|lfShaking) {
		return
	}
	out := l.th.takeSealed()
	var err error
	for _, p := range [2][]byte{head, tail} {
		for len(p) > 0 && err == nil {
			n := min(len(p), sealPiece)
			out, err = t.s.Write(out, p[:n])
			p = p[n:]
			if len(out) >= sealPiece {
				l.put(out, nil)
				out = out[:0]
			}
		}
	}
	l.put(out, nil)
	l.th.giveSealed(out)
	if err != nil {
		t.over = true
		l.writeFailed(err)
	}
}

// putOwn sends what TLS itself has to say, and takes back the buffer.
func (l *link) putOwn(t *tlsWire, out []byte) {
	if len(out) > 0 {
		l.put(out, nil)
		if l.choked() {
			t.owed += len(out)
		}
	}
	l.th.giveSealed(out)
}

// closeNotify says that we send no more (RFC 8446 6.1).
func (l *link) closeNotify() {
	t := l.tls()
	if t.over || l.is(lfShaking) {
		return
	}
	t.over = true
	out := t.s.CloseNotify(l.th.takeSealed())
	l.put(out, nil)
	l.th.giveSealed(out)
}

// owesNotify reports whether the peer listens and has not been told yet that we send
// no more.
func (l *link) owesNotify() bool {
	return l.is(lfTLS) && !l.is(lfShaking) && !l.tls().over && !l.choked()
}

// tlsFailed ends the connection because of err, behind the alert that says so to
// the peer.
func (l *link) tlsFailed(t *tlsWire, err error) {
	t.over = true
	l.forfeitCork()
	byPeer := givenUp(err)
	err = l.tellAlert(t, err)
	if l.is(lfFinish) { // it was on its way out
		l.doom(l.cause())
		return
	}
	l.failTLS(err, byPeer, true)
}

// failTLS ends the connection because of err. After an alert of ours, linger: what the
// peer is sending would reset the connection, and the reset destroy the alert.
func (l *link) failTLS(err error, byPeer, linger bool) {
	cause := &TransportError{Op: "tls", Err: err}
	if byPeer {
		l.doom(cause)
		return
	}
	l.finish(cause, linger)
}

// givenUp reports whether err is a fatal alert of the peer's, which has closed then:
// nothing is waited for (RFC 8446 6.2).
func givenUp(err error) bool {
	var a *tlsio.Alert
	return errors.As(err, &a) && !a.Sent
}

// forfeitCork drops what cannot be encrypted any more.
func (l *link) forfeitCork() {
	if l.th.cur == l {
		l.th.cork = l.th.cork[:0]
	}
}

// tellAlert tells Info of the alert in err, and returns what the connection ends
// with.
func (l *link) tellAlert(t *tlsWire, err error) error {
	var a *tlsio.Alert
	if !errors.As(err, &a) {
		return err
	}
	ev := TLSEvent{Kind: TLSAlertReceived, Alert: a.Code, Err: err}
	if a.Sent {
		ev.Kind = TLSAlertSent
	}
	if e := l.tellInfo(t, ev); e != nil {
		return e
	}
	return err
}

// tellInfo calls Info.
func (l *link) tellInfo(t *tlsWire, ev TLSEvent) error {
	if t.info == nil {
		return nil
	}
	c := l.own()
	c.calling("Info")
	err := t.info(c, ev)
	c.called()
	return err
}

// takeSealed lends a buffer for ciphertext on its way out; giveSealed ends that.
func (th *Thread) takeSealed() []byte {
	n := len(th.sealed)
	if n == 0 {
		return make([]byte, 0, 4<<10)
	}
	b := th.sealed[n-1]
	th.sealed = th.sealed[:n-1]
	return b[:0]
}

func (th *Thread) giveSealed(b []byte) {
	if cap(b) > 0 && cap(b) <= 4*sealPiece && len(th.sealed) < 4 {
		th.sealed = append(th.sealed, b)
	}
}

// TLS describes the TLS connection: version, cipher suite, protocol, server name,
// the peer's certificates. nil without TLS, and before the handshake is complete.
// Loop thread only.
func (c *Conn) TLS() *tls.ConnectionState {
	t := c.link.tls()
	if t == nil {
		return nil
	}
	st := t.s.State()
	if !st.HandshakeComplete {
		return nil
	}
	return &st
}
