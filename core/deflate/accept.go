package deflate

import (
	"iter"

	"anyloop/core/flate"
)

// Accept is the server's half: values are the Sec-WebSocket-Extensions fields of
// a request, in order. The first acceptable offer of permessage-deflate is taken;
// answer is the value of the response's field. Offers with parameters that are
// unknown, repeated or have an illegal value are passed over (RFC 7692 7.1), and
// so are other extensions.
//
// ok is false if nothing can be agreed, and then the connection goes on without:
// nothing that a request says here is an error. That goes for fields that do not
// follow the grammar as well, of which not even the legal part counts. RFC 6455
// 9.1 would have the connection failed; to do without the extension is as safe,
// and forgives a proxy that mangled a field.
func (p *Policy) Accept(values iter.Seq[[]byte]) (params Params, answer string, ok bool) {
	var offer extension
	for v := range values {
		s := scanner{rest: v}
		for e, more := s.next(true); more; e, more = s.next(true) {
			if !offer.known && e.known && e.fault == "" {
				offer = e
			}
		}
		if s.bad {
			return Params{}, "", false
		}
	}
	if !offer.known {
		return Params{}, "", false
	}
	params, say := p.agree(&offer)
	return params, string(appendExtension(nil, say)), true
}

// agree finds what offer and policy have in common, and what the answer says of
// it: what the client need not be told is 0 there.
func (p *Policy) agree(offer *extension) (params, say Params) {
	// RFC 7692 7.1.1.2: even unanswered the client's word on its own takeover
	// would be a hint only; the answer makes both keep to it.
	say.ServerNoTakeover = !p.Takeover || offer.has&hasServerNoTakeover != 0
	say.ClientNoTakeover = !p.Takeover || offer.has&hasClientNoTakeover != 0
	params = say

	params.ServerBits = p.bits()
	if offer.serverBits != 0 {
		params.ServerBits = min(params.ServerBits, offer.serverBits)
	}
	// RFC 7692 7.1.2.1: the answer may have it unasked, and then the client
	// needs no larger window.
	if offer.has&hasServerBits != 0 || params.ServerBits < flate.MaxBits {
		say.ServerBits = params.ServerBits
	}

	params.ClientBits = flate.MaxBits
	// RFC 7692 7.1.2.2: "If a received extension negotiation offer doesn't have
	// the "client_max_window_bits" extension parameter, the corresponding
	// extension negotiation response to the offer MUST NOT include" it.
	if offer.has&hasClientBits != 0 {
		params.ClientBits = p.peerBits()
		if offer.clientBits != 0 {
			params.ClientBits = min(params.ClientBits, offer.clientBits)
		}
		if offer.clientBits != 0 || params.ClientBits < flate.MaxBits {
			say.ClientBits = params.ClientBits
		}
	}
	return params, say
}
