package wstest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// params are the parameters of permessage-deflate as agreed upon.
type params struct {
	on             bool
	server, client direction // whose compressor
}

type direction struct {
	noTakeover bool
	bits       int
}

const (
	serverNo   = "server_no_context_takeover"
	clientNo   = "client_no_context_takeover"
	serverBits = "server_max_window_bits"
	clientBits = "client_max_window_bits"
)

// String is the answer of a server that agrees to them.
func (z params) String() string {
	s := "permessage-deflate"
	if z.server.noTakeover {
		s += "; " + serverNo
	}
	if z.client.noTakeover {
		s += "; " + clientNo
	}
	if z.server.bits < 15 {
		s += fmt.Sprintf("; %s=%d", serverBits, z.server.bits)
	}
	if z.client.bits < 15 {
		s += fmt.Sprintf("; %s=%d", clientBits, z.client.bits)
	}
	return s
}

// extension is one element of Sec-WebSocket-Extensions.
type extension struct {
	name   string
	params map[string]string // "" for none
	twice  string            // a parameter that is there twice
}

// extensions parses the field (RFC 6455 9.1).
func extensions(values []string) ([]extension, error) {
	var all []extension
	for _, v := range values {
		for el := range strings.SplitSeq(v, ",") {
			parts := strings.Split(el, ";")
			e := extension{name: strings.TrimSpace(parts[0]), params: map[string]string{}}
			if !isToken(e.name) {
				return nil, fmt.Errorf("extension %q", el)
			}
			for _, q := range parts[1:] {
				k, val, has := strings.Cut(strings.TrimSpace(q), "=")
				k, val = strings.TrimSpace(k), strings.Trim(strings.TrimSpace(val), `"`)
				if !isToken(k) || has && !isToken(val) {
					return nil, fmt.Errorf("extension parameter %q", q)
				}
				if _, again := e.params[k]; again {
					e.twice = k
				}
				e.params[k] = val
			}
			all = append(all, e)
		}
	}
	return all, nil
}

func isToken(s string) bool {
	for _, c := range s {
		if c <= ' ' || c >= 0x7f || strings.ContainsRune("()<>@,;:\\\"/[]?={}", c) {
			return false
		}
	}
	return s != ""
}

// windowBits reads 8 to 15, without a leading zero (RFC 7692 7.1.2.1).
func windowBits(s string) (int, error) {
	n, err := strconv.Atoi(s)
	if err != nil || n < 8 || n > 15 || strconv.Itoa(n) != s {
		return 0, fmt.Errorf("window bits %q", s)
	}
	return n, nil
}

// read turns an element into parameters. Without a value client_max_window_bits
// is 15.
func (e extension) read() (z params, err error) {
	z = params{on: true, server: direction{bits: 15}, client: direction{bits: 15}}
	if e.name != "permessage-deflate" || e.twice != "" {
		return z, fmt.Errorf("extension %s, twice %q", e.name, e.twice)
	}
	for k, v := range e.params {
		switch {
		case k == serverNo && v == "":
			z.server.noTakeover = true
		case k == clientNo && v == "":
			z.client.noTakeover = true
		case k == serverBits:
			z.server.bits, err = windowBits(v)
		case k == clientBits && v == "":
		case k == clientBits:
			z.client.bits, err = windowBits(v)
		default:
			err = fmt.Errorf("parameter %s=%q", k, v)
		}
		if err != nil {
			return z, err
		}
	}
	return z, nil
}

// agreed checks a server's answer against our offer (RFC 7692 5, 7.1) and returns
// what was agreed upon.
func agreed(offer string, h head) (params, error) {
	none := params{server: direction{bits: 15}, client: direction{bits: 15}}
	got, err := extensions(h.fields["sec-websocket-extensions"])
	if err != nil || len(got) == 0 {
		return none, err
	}
	if offer == "" {
		return none, fmt.Errorf("%v was not offered", got)
	}
	offers, err := extensions([]string{offer})
	if err != nil {
		return none, err
	}
	if len(got) > 1 {
		return none, fmt.Errorf("two extensions: %v", got)
	}
	if v, ok := got[0].params[clientBits]; ok && v == "" {
		return none, errors.New(clientBits + " without a value in an answer")
	}
	z, err := got[0].read()
	if err != nil {
		return none, err
	}
	for _, o := range offers {
		if q, err := o.read(); err == nil && allows(o, q, got[0], z) {
			return z, nil
		}
	}
	return none, fmt.Errorf("%v does not answer %q", got, offer)
}

// allows reports whether the answer e, z is one to the offer o, q.
func allows(o extension, q params, e extension, z params) bool {
	_, bounded := o.params[serverBits]
	_, answered := e.params[serverBits]
	_, may := o.params[clientBits]
	_, does := e.params[clientBits]
	return (z.server.noTakeover || !q.server.noTakeover) &&
		(!bounded || answered && z.server.bits <= q.server.bits) &&
		(may || !does) && z.client.bits <= q.client.bits
}

// consent returns the parameters that answer asks for, made legal for what the
// client offers. An answer of "*" takes the offer as it is.
func consent(answer string, offers []extension) (z params, err error) {
	if len(offers) == 0 {
		return z, errors.New("the client offers no compression")
	}
	o := offers[0]
	q, err := o.read()
	if err != nil {
		return z, fmt.Errorf("the client's offer: %w", err)
	}
	if answer == "*" {
		return q, nil
	}
	es, err := extensions([]string{answer})
	if err != nil {
		return z, err
	}
	if z, err = es[0].read(); err != nil {
		return z, err
	}
	z.server.noTakeover = z.server.noTakeover || q.server.noTakeover
	z.client.noTakeover = z.client.noTakeover || q.client.noTakeover
	z.server.bits = min(z.server.bits, q.server.bits)
	z.client.bits = min(z.client.bits, q.client.bits)
	if _, may := o.params[clientBits]; !may {
		z.client.bits = 15
	}
	return z, nil
}
