package ws

// What may follow what (RFC 6455 5.4, 5.5), for both sides alike. Legality is
// this table; nothing else decides it. Opcodes that are not in it are reserved.

// rule says what a frame's opcode does in a state.
type rule struct {
	err  *PeerError // illegal, and why
	next bool       // the message state after a frame without FIN
}

// rules is indexed by whether a message is unfinished, and by opcode.
var rules = [2][16]rule{
	// between messages
	{
		Continuation: {err: ErrContinuation},
		Text:         {next: true},
		Binary:       {next: true},
		3:            {err: ErrOpcode}, 4: {err: ErrOpcode}, 5: {err: ErrOpcode}, 6: {err: ErrOpcode}, 7: {err: ErrOpcode},
		Close: {}, Ping: {}, Pong: {},
		11: {err: ErrOpcode}, 12: {err: ErrOpcode}, 13: {err: ErrOpcode}, 14: {err: ErrOpcode}, 15: {err: ErrOpcode},
	},
	// inside one
	{
		Continuation: {next: true},
		Text:         {err: ErrInterleaved},
		Binary:       {err: ErrInterleaved},
		3:            {err: ErrOpcode}, 4: {err: ErrOpcode}, 5: {err: ErrOpcode}, 6: {err: ErrOpcode}, 7: {err: ErrOpcode},
		Close: {next: true}, Ping: {next: true}, Pong: {next: true},
		11: {err: ErrOpcode}, 12: {err: ErrOpcode}, 13: {err: ErrOpcode}, 14: {err: ErrOpcode}, 15: {err: ErrOpcode},
	},
}

// maxControl is the most that a control frame carries (RFC 6455 5.5).
const maxControl = 125

// check holds a frame's header against the rules.
func check(h *Header, inMessage bool, side Side, lim *Limits) *PeerError {
	state := 0
	if inMessage {
		state = 1
	}
	if e := rules[state][h.Op&0xf].err; e != nil {
		return e
	}
	// RFC 6455 5.2: RSV1, RSV2, RSV3 "MUST be 0 unless an extension is
	// negotiated that defines meanings for non-zero values".
	if h.rsv23 || h.RSV1 && (!lim.RSV1 || h.Op.IsControl() || h.Op == Continuation) {
		return ErrRSV
	}
	// RFC 6455 5.1: "a client MUST mask all frames that it sends to the
	// server", "A server MUST NOT mask any frames that it sends to the client".
	if h.Masked != (side == Server) {
		if side == Server {
			return ErrUnmasked
		}
		return ErrMasked
	}
	if h.Op.IsControl() {
		switch {
		case !h.Fin:
			return ErrFragControl
		case h.Length > maxControl:
			return ErrLongControl
		}
	}
	return nil
}
