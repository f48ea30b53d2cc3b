package tap

import (
	"fmt"
	"strconv"
	"strings"
)

// Params is what a handshake agrees upon for permessage-deflate (RFC 7692 7.1).
type Params struct {
	On                                 bool
	ServerNoTakeover, ClientNoTakeover bool
	ServerBits, ClientBits             int // windows of what each side sends
}

// extensions parses a Sec-WebSocket-Extensions field to one map of parameters per
// permessage-deflate in it; others are left out.
func extensions(field string) ([]map[string]string, error) {
	var all []map[string]string
	for e := range strings.SplitSeq(field, ",") {
		name, rest, _ := strings.Cut(e, ";")
		if strings.TrimSpace(name) != "permessage-deflate" {
			continue
		}
		params := map[string]string{}
		for p := range strings.SplitSeq(rest, ";") {
			if strings.TrimSpace(p) == "" {
				continue
			}
			key, value, _ := strings.Cut(strings.TrimSpace(p), "=")
			if _, twice := params[key]; twice {
				return nil, fmt.Errorf("%q has %s twice", field, key)
			}
			params[key] = strings.Trim(value, `"`)
		}
		all = append(all, params)
	}
	return all, nil
}

// agree returns what an answer to an offer comes to, and what is illegal about it.
func agree(offer, answer string) (Params, error) {
	offers, err := extensions(offer)
	if err != nil {
		return Params{}, err
	}
	answers, err := extensions(answer)
	switch {
	case err != nil:
		return Params{}, err
	case answer == "":
		return Params{}, nil
	case len(answers) != 1:
		return Params{}, fmt.Errorf("the answer is %q", answer)
	}
	p, err := params(answers[0])
	if err != nil {
		return p, err
	}
	for _, o := range offers {
		if err = holds(o, answers[0], p); err == nil {
			return p, nil
		}
	}
	return p, fmt.Errorf("the answer %q is none to %q: %w", answer, offer, err)
}

// params reads the parameters of an answer.
func params(a map[string]string) (Params, error) {
	p := Params{On: true, ServerBits: 15, ClientBits: 15}
	for key, value := range a {
		var err error
		switch key {
		case "server_no_context_takeover":
			p.ServerNoTakeover = true
		case "client_no_context_takeover":
			p.ClientNoTakeover = true
		case "server_max_window_bits":
			p.ServerBits, err = bits(value)
		case "client_max_window_bits":
			p.ClientBits, err = bits(value)
		default:
			err = fmt.Errorf("parameter %s", key)
		}
		if err != nil {
			return p, err
		}
	}
	return p, nil
}

func bits(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 8 || n > 15 {
		return 0, fmt.Errorf("a window of %q bits", s)
	}
	return n, nil
}

// holds says what makes an answer none to one offer, nil if it is one.
func holds(offer, answer map[string]string, p Params) error {
	_, asked := offer["server_no_context_takeover"]
	if asked && !p.ServerNoTakeover {
		return fmt.Errorf("server_no_context_takeover is not granted")
	}
	if v, asked := offer["server_max_window_bits"]; asked {
		if _, granted := answer["server_max_window_bits"]; !granted {
			return fmt.Errorf("server_max_window_bits is not granted")
		}
		if n, err := bits(v); err != nil || p.ServerBits > n {
			return fmt.Errorf("server_max_window_bits=%d where %s was asked", p.ServerBits, v)
		}
	}
	if _, set := answer["client_max_window_bits"]; set {
		v, may := offer["client_max_window_bits"]
		if !may {
			return fmt.Errorf("client_max_window_bits was not offered")
		}
		if v != "" {
			if n, err := bits(v); err != nil || p.ClientBits > n {
				return fmt.Errorf("client_max_window_bits=%d where %s was offered", p.ClientBits, v)
			}
		}
	}
	return nil
}
