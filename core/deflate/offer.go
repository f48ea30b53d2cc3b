package deflate

import (
	"errors"
	"fmt"
	"iter"

	"anyloop/core/flate"
)

// ErrAnswer is what every error of Confirm is.
var ErrAnswer = errors.New("deflate: bad Sec-WebSocket-Extensions in the server's answer")

// Offer is the first half of the client's part: the value of the request's
// Sec-WebSocket-Extensions field. If the server is asked to bound its window,
// a second offer without that follows, for servers that cannot. It has less than
// 250 bytes, because libwebsockets reads no more.
func (p *Policy) Offer() string {
	o := Params{ServerNoTakeover: !p.Takeover, ClientNoTakeover: !p.Takeover}
	// The value is a promise to the server, which needs no larger window then;
	// RFC 7692 7.1.2.2 holds us to it even if the answer does not mention it.
	ours := "; " + clientBits
	if bits := p.bits(); bits < flate.MaxBits {
		ours = string(appendBits(nil, clientBits, bits))
	}
	plain := string(appendExtension(nil, o)) + ours
	if o.ServerBits = p.peerBits(); o.ServerBits == flate.MaxBits {
		return plain
	}
	return string(appendExtension(nil, o)) + ours + ", " + plain
}

// Confirm is the second half: values are the Sec-WebSocket-Extensions fields of
// the server's answer to Offer of the same policy. agreed is false if the server
// wants no compression. An error is an ErrAnswer with the reason, and the
// connection is to be failed (RFC 6455 4.1, RFC 7692 7.1): something that was not
// offered, an illegal or repeated parameter, a window larger than what it answers
// to, or, without Takeover, a server that does not give up its own.
//
// A server that says nothing of its window has accepted the second offer, and
// Params.ServerBits is 15.
func (p *Policy) Confirm(values iter.Seq[[]byte]) (params Params, agreed bool, err error) {
	var answer extension
	for v := range values {
		s := scanner{rest: v}
		for e, more := s.next(false); more; e, more = s.next(false) {
			switch {
			case !e.known:
				return Params{}, false, fmt.Errorf("%w: extension %.64q was not offered", ErrAnswer, e.name)
			case answer.known:
				return Params{}, false, fmt.Errorf("%w: %s accepted twice", ErrAnswer, Name)
			case e.fault != "":
				return Params{}, false, fmt.Errorf("%w: %s %.64q", ErrAnswer, e.fault, e.param)
			}
			answer = e
		}
		if s.bad {
			return Params{}, false, fmt.Errorf("%w: malformed list %.128q", ErrAnswer, v)
		}
	}
	if !answer.known {
		return Params{}, false, nil
	}
	if params, err = p.settle(&answer); err != nil {
		return Params{}, false, err
	}
	return params, true, nil
}

// settle holds a well-formed answer against the offer.
func (p *Policy) settle(answer *extension) (Params, error) {
	params := Params{
		ServerNoTakeover: answer.has&hasServerNoTakeover != 0,
		ClientNoTakeover: !p.Takeover || answer.has&hasClientNoTakeover != 0,
		ServerBits:       flate.MaxBits,
		ClientBits:       p.bits(),
	}
	// RFC 7692 7.1.1.1: the server accepts by "including" the parameter. Without
	// it we would have to keep what the policy says is not kept.
	if !p.Takeover && !params.ServerNoTakeover {
		return params, fmt.Errorf("%w: no %s", ErrAnswer, serverNoTakeover)
	}
	if n := answer.serverBits; n != 0 {
		if n > p.peerBits() {
			return params, fmt.Errorf("%w: %s of %d where %d was offered", ErrAnswer, serverBits, n, p.peerBits())
		}
		params.ServerBits = n
	}
	if n := answer.clientBits; n != 0 {
		if n > p.bits() {
			return params, fmt.Errorf("%w: %s of %d where %d was offered", ErrAnswer, clientBits, n, p.bits())
		}
		params.ClientBits = n
	}
	return params, nil
}
