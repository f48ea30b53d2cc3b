package wstest

import (
	"errors"
	"fmt"
	"strings"
	"syscall"

	"anyloop/core/ws"
)

// hello proves that an upgraded connection works.
func hello(p *peer) error {
	p.setup()
	return all(send(text("Hello")), want(joined(ws.Text, "Hello")), normal())(p)
}

const sampleKey = "dGhlIHNhbXBsZSBub25jZQ=="

// handshakes: RFC 6455 4.
func handshakes(s *set) {
	if s.server() {
		goodRequests(s)
		badRequests(s)
		return
	}
	goodResponses(s)
	badResponses(s)
}

func goodRequests(s *set) {
	for i, row := range [][]string{
		nil, {"Upgrade: WebSocket"}, {"Upgrade: WEBSOCKET"}, {"Connection: upgrade"}, {"Connection: keep-alive, Upgrade"},
		{"Connection: Upgrade, keep-alive"}, {"Connection:Upgrade"}, {"Connection:   Upgrade   "}, {"+Connection: keep-alive"},
		{"upgrade: websocket", "-Upgrade", "+upgrade: websocket"}, {"-Sec-WebSocket-Key", "+SEC-WEBSOCKET-KEY:   " + sampleKey + "  "},
		{"+User-Agent: something/1.0"}, {"+Sec-WebSocket-Extensions: x-unknown; a=b"}, {"+Sec-WebSocket-Extensions: a, b, c"},
		{"+Cookie: a=b; c=d"}, {"+X-Long: " + strings.Repeat("x", 2000)}, {"Host: other:8080"}, {"+Pragma: no-cache", "+Cache-Control: no-cache"},
	} {
		s.add(fmt.Sprintf("17.1.%d", i+1), fmt.Sprintf("a good request with %.60q", row), func(p *peer) error {
			if err := p.speak(p.request(sampleKey, row...)); err != nil {
				return err
			}
			h, err := p.upgraded(sampleKey)
			if err == nil && len(h.fields["sec-websocket-extensions"])+len(h.fields["sec-websocket-protocol"]) > 0 {
				return fmt.Errorf("the answer agrees to what was not offered: %v", h.fields)
			}
			return err
		}, hello).bare = true
	}
}

func badRequests(s *set) {
	for i, row := range []struct {
		status int
		edits  []string
	}{
		{400, []string{"-Sec-WebSocket-Key"}}, {400, []string{"Sec-WebSocket-Key: "}}, {400, []string{"Sec-WebSocket-Key: short"}},
		{400, []string{"Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAAAA"}}, {400, []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ="}},
		{400, []string{"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25j!Q=="}}, {400, []string{"+Sec-WebSocket-Key: " + sampleKey}},
		{426, []string{"-Sec-WebSocket-Version"}}, {426, []string{"Sec-WebSocket-Version: 8"}}, {426, []string{"Sec-WebSocket-Version: 14"}},
		{426, []string{"Sec-WebSocket-Version: 0"}}, {426, []string{"Sec-WebSocket-Version: 013"}},
		{405, []string{"POST / HTTP/1.1"}}, {405, []string{"HEAD / HTTP/1.1"}},
		{400, []string{"-Host"}}, {400, []string{"+Host: second"}},
		{400, []string{"+Content-Length: 5"}}, {400, []string{"+Transfer-Encoding: chunked"}},
	} {
		s.add(fmt.Sprintf("17.2.%d", i+1), fmt.Sprintf("a request with %q", row.edits), func(p *peer) error {
			return p.speak(p.request(sampleKey, row.edits...))
		}, func(p *peer) error { return p.refused(row.status) }).bare = true
	}
	// Without these it is no WebSocket's opening, but a plain request: whatever
	// answers, it is no 101.
	for i, edit := range []string{"-Upgrade", "-Connection", "Upgrade: h2c", "Connection: keep-alive", "Upgrade: websockets", "Connection: Upgrades", "GET / HTTP/1.0"} {
		s.add(fmt.Sprintf("17.3.%d", i+1), fmt.Sprintf("no upgrade: %q", edit), func(p *peer) error {
			return p.speak(p.request(sampleKey, edit))
		}, func(p *peer) error {
			h, err := p.readHead()
			if err == nil && (strings.Contains(h.line, " 101 ") || len(h.fields["sec-websocket-accept"]) > 0) {
				err = fmt.Errorf("answer %q", h.line)
			}
			p.ended = true
			return err
		}).bare = true
	}
}

// asClient is the part of a server's script up to its answer.
func asClient(answer func(p *peer, key string, h head) error) step {
	return func(p *peer) error {
		h, key, err := p.asked()
		if err != nil {
			return err
		}
		return answer(p, key, h)
	}
}

func goodResponses(s *set) {
	for i, row := range [][]string{
		nil, {"Upgrade: WebSocket"}, {"Connection: upgrade"}, {"Connection: keep-alive, Upgrade"}, {"Connection:Upgrade"},
		{"HTTP/1.1 101 Whatever"}, {"HTTP/1.1 101 "}, {"+Server: something"}, {"+X-Long: " + strings.Repeat("x", 2000)}, {"+Set-Cookie: a=b"},
	} {
		s.add(fmt.Sprintf("17.4.%d", i+1), fmt.Sprintf("a good answer with %.60q", row), asClient(func(p *peer, key string, h head) error {
			return p.speak(response(key, append(h.protocol(), row...)...))
		}), hello, verdict(true)).bare = true
	}
	s.add("17.5.1", "frames right behind the answer", asClient(func(p *peer, key string, h head) error {
		b := []byte(response(key, h.protocol()...))
		b = append(append(b, text("one").header(ws.Client, p.key)...), "one"...)
		b = append(append(b, ping("two").header(ws.Client, p.key)...), "two"...)
		return p.deliver(b, []int{len(b) - 12, len(b) - 5})
	}), want(joined(ws.Text, "one"), ponged("two")), hello, verdict(true)).bare = true
	s.add("17.5.2", "a Close right behind the answer", asClient(func(p *peer, key string, h head) error {
		return p.deliver(append([]byte(response(key, h.protocol()...)), 0x88, 2, 3, 0xe8), nil)
	}), want(closedWith(1000, "")), end).bare = true
	s.add("17.5.3", "a wrong frame right behind the answer", asClient(func(p *peer, key string, h head) error {
		return p.deliver(append([]byte(response(key, h.protocol()...)), 0x85, 0), nil)
	}), failed(1002)).bare = true
}

// given up: the client ends TCP without a word, and without having been
// connected.
func givenUp(p *peer) error {
	p.ended = true
	// What it does not read of a wrong answer may reset the connection.
	if err := p.over(); err != nil && !errors.Is(err, syscall.ECONNRESET) {
		return err
	}
	if err := p.w.CloseWrite(); err != nil {
		return err
	}
	return verdict(false)(p)
}

func badResponses(s *set) {
	wrong := accept("AAAAAAAAAAAAAAAAAAAAAA==")
	for i, row := range [][]string{
		{"Sec-WebSocket-Accept: " + wrong}, {"-Sec-WebSocket-Accept"}, {"Sec-WebSocket-Accept: "}, {"+Sec-WebSocket-Accept: " + wrong},
		{"-Upgrade"}, {"Upgrade: h2c"}, {"Upgrade: websockets"}, {"-Connection"}, {"Connection: keep-alive"}, {"Connection: close"},
		{"+Sec-WebSocket-Protocol: nobody-offered-this"}, {"+Sec-WebSocket-Extensions: nobody-offered-this"},
		{"+Sec-WebSocket-Extensions: permessage-deflate, permessage-deflate"}, {"+Sec-WebSocket-Extensions: permessage-deflate; unknown"},
		{"HTTP/1.1 200 OK", "+Content-Length: 0"}, {"HTTP/1.1 400 Bad Request", "+Content-Length: 0"}, {"HTTP/1.1 401 Unauthorized", "+Content-Length: 0"},
		{"HTTP/1.1 404 Not Found", "+Content-Length: 0"}, {"HTTP/1.1 426 Upgrade Required", "+Content-Length: 0"},
		{"HTTP/1.1 500 Oh", "+Content-Length: 0"}, {"HTTP/1.1 503 Oh", "+Content-Length: 0"}, {"HTTP/1.0 101 Switching Protocols"},
		{"HTTP/1.1 204 No Content"}, {"SSH-2.0-OpenSSH"},
	} {
		s.add(fmt.Sprintf("17.6.%d", i+1), fmt.Sprintf("an answer with %q", row), asClient(func(p *peer, key string, h head) error {
			return p.speak(response(key, append(h.protocol(), row...)...))
		}), givenUp).bare = true
	}
	for i, row := range []string{"", "HTTP/1.1", "HTTP/1.1 101 Switching Protocols\r\nUpgrade: webso"} {
		s.add(fmt.Sprintf("17.7.%d", i+1), fmt.Sprintf("TCP ends after %q", row), asClient(func(p *peer, _ string, _ head) error {
			if err := p.speak(row); err != nil {
				return err
			}
			return p.w.CloseWrite()
		}), givenUp).bare = true
	}
	for i, row := range []string{"\x16\x03\x01\x00\x05\r\n\r\n", "HTTP/1.1 101 OK\r\nno colon here\r\n\r\n", "HTTP/1.1 101 OK\r\nbad name : x\r\n\r\n"} {
		s.add(fmt.Sprintf("17.8.%d", i+1), fmt.Sprintf("the answer %q", row), asClient(func(p *peer, _ string, _ head) error {
			return p.speak(row)
		}), givenUp).bare = true
	}
}

// negotiation: RFC 7692 5, 7.1.
func negotiation(s *set) {
	if s.server() {
		serverNegotiation(s)
		return
	}
	clientNegotiation(s)
}

// offerRows are what a server may be offered, and whether there is anything in it
// to agree to.
var offerRows = []struct {
	offer string
	good  bool
}{
	{"permessage-deflate", true},
	{"permessage-deflate; client_max_window_bits", true},
	{"permessage-deflate;client_max_window_bits", true},
	{"permessage-deflate ; client_max_window_bits = 10", true},
	{`permessage-deflate; server_max_window_bits="10"`, true},
	{"permessage-deflate; server_max_window_bits=8", true},
	{"permessage-deflate; client_max_window_bits=8", true},
	{"permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=11; client_max_window_bits=12", true},
	{"permessage-bzip2, permessage-deflate", true},
	{"permessage-deflate, permessage-bzip2", true},
	{"permessage-deflate; unknown, permessage-deflate", true},
	{"permessage-deflate; server_max_window_bits=16, permessage-deflate; server_max_window_bits=10", true},
	{"permessage-deflate; server_max_window_bits", false},
	{"permessage-deflate; server_max_window_bits=7", false},
	{"permessage-deflate; server_max_window_bits=16", false},
	{"permessage-deflate; server_max_window_bits=08", false},
	{"permessage-deflate; server_max_window_bits=+9", false},
	{"permessage-deflate; server_max_window_bits=1000000000000000000000", false},
	{"permessage-deflate; server_max_window_bits=ten", false},
	{"permessage-deflate; client_max_window_bits=7", false},
	{"permessage-deflate; client_max_window_bits=16", false},
	{"permessage-deflate; client_max_window_bits=010", false},
	{"permessage-deflate; server_no_context_takeover=true", false},
	{"permessage-deflate; client_no_context_takeover=1", false},
	{"permessage-deflate; unknown", false},
	{"permessage-deflate; client_no_context_takeover; client_no_context_takeover", false},
	{"permessage-deflate; server_max_window_bits=10; server_max_window_bits=10", false},
	{"permessage-bzip2", false},
	{"x-webkit-deflate-frame", false},
	{"deflate-frame", false},
	{"permessage-deflated", false},
}

func serverNegotiation(s *set) {
	for i, row := range offerRows {
		c := s.add(fmt.Sprintf("16.1.%d", i+1), "the offer "+row.offer, func(p *peer) error {
			if good := row.good && p.opt.Deflate != nil; p.z.on != good {
				return fmt.Errorf("agreed %v (%s), want %v", p.z.on, p.z, good)
			}
			return nil
		}, level(2), exchangeIf, normal())
		c.offer = row.offer
	}
	if s.opt.Deflate == nil {
		return
	}
	for n := 8; n <= 15; n++ {
		for m := 7; m <= 15; m++ {
			o := fmt.Sprintf("permessage-deflate; server_max_window_bits=%d", n)
			if m > 7 {
				o += fmt.Sprintf("; client_max_window_bits=%d", m)
			}
			s.compressed(fmt.Sprintf("16.2.%d", 9*(n-8)+m-6), "the offer "+o, o, "", func(p *peer) error {
				if m == 7 && p.z.client.bits != 15 {
					return fmt.Errorf("agreed upon %s: the client cannot bound its window", p.z)
				}
				return nil
			}, level(2), exchangeIf, normal())
		}
	}
}

// exchangeIf exchanges messages, compressed if that was agreed upon.
func exchangeIf(p *peer) error {
	k := dataKinds[1]
	if p.z.on {
		return exchange(k, bulk{600, 0}, 3)(p)
	}
	return many(2, fr{op: k.op, p: k.make(p.rnd, 600)})(p)
}

// clientNegotiation: an answer that is none to what was offered fails the
// connection (RFC 6455 4.1, RFC 7692 7.1).
func clientNegotiation(s *set) {
	wrong := func(id, answer string) {
		s.add(id, "the wrong answer "+answer, asClient(func(p *peer, key string, h head) error {
			return p.speak(response(key, append(h.protocol(), "+Sec-WebSocket-Extensions: "+answer)...))
		}), givenUp).bare = true
	}
	for i, a := range []string{
		"permessage-deflate; server_max_window_bits", "permessage-deflate; server_max_window_bits=7", "permessage-deflate; server_max_window_bits=16",
		"permessage-deflate; server_max_window_bits=010", "permessage-deflate; client_max_window_bits", "permessage-deflate; client_max_window_bits=7",
		"permessage-deflate; client_max_window_bits=16", "permessage-deflate; client_max_window_bits=x", "permessage-deflate; unknown",
		"permessage-deflate; unknown=1", "permessage-deflate; server_no_context_takeover=1", "permessage-deflate; client_no_context_takeover=0",
		"permessage-deflate; server_no_context_takeover; server_no_context_takeover", "permessage-deflate, permessage-deflate",
		"permessage-deflate, x-other", "x-webkit-deflate-frame", "permessage-bzip2", "permessage-deflate;", ";", "permessage-deflate; =",
	} {
		wrong(fmt.Sprintf("16.3.%d", i+1), a)
	}
	if s.opt.Deflate == nil {
		wrong("16.4", "permessage-deflate")
		s.add("16.5", "nothing is offered", send(text("a")), want(joined(ws.Text, "a")), normal())
		return
	}
	s.add("16.6", "the server declines", send(text("a")), want(joined(ws.Text, "a")), send(text("a").reserved(4)), failed(1002))
	for n := range 64 {
		z := params{server: direction{n&1 != 0, 8 + n%8}, client: direction{n&2 != 0, 8 + n/8}}
		s.compressed(fmt.Sprintf("16.7.%d", n+1), "the answer "+z.String(), "", z.String(), level(2), exchangeIf, normal())
	}
}
