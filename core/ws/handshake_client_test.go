package ws

import (
	"errors"
	"strings"
	"testing"

	"anyloop/core/header"
)

// The example of RFC 6455 1.3.
const (
	rfcKey    = "dGhlIHNhbXBsZSBub25jZQ=="
	rfcAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
)

func TestClientKey(t *testing.T) {
	if got := AppendKey([]byte("x"), [16]byte([]byte("the sample nonce"))); string(got) != "x"+rfcKey || !ValidKey(got[1:]) {
		t.Errorf("key %q", got)
	}
	for _, c := range []struct {
		key, accept string
		want        bool
	}{
		{rfcKey, rfcAccept, true}, {rfcKey, strings.ToLower(rfcAccept), false}, {rfcKey, "", false}, {rfcKey, rfcAccept + "=", false},
		{"ehlIHNhbXBsZSBub25jZQ==", rfcAccept, false}, {"", rfcAccept, false}, {"AAAAAAAAAAAAAAAAAAAAAA==", rfcAccept, false},
		{"short", string(AppendAccept(nil, []byte("short"))), false},
	} {
		if got := ValidAccept([]byte(c.key), []byte(c.accept)); got != c.want {
			t.Errorf("%q %q: %v", c.key, c.accept, got)
		}
	}
}

func TestCheckAnswer(t *testing.T) {
	const (
		up     = "upgrade: websocket\n"
		conn   = "connection: Upgrade\n"
		accept = "sec-websocket-accept: " + rfcAccept + "\n"
	)
	for _, c := range []struct {
		fields, offer string
		ext           bool
		protocol      string
		err           error
	}{
		{up + conn + accept, "", false, "", nil},
		{"Upgrade: WebSocket\nConnection: keep-alive, uPGRADE\n" + accept, "", false, "", nil},
		{up + "connection: keep-alive\n" + conn + accept, "", false, "", nil},
		{up + conn + accept, "a,b", false, "", nil}, // the server may choose none
		{up + conn + accept + "sec-websocket-protocol: b\n", "a,b", false, "b", nil},
		{up + conn + accept + "sec-websocket-extensions: x\n", "", true, "", nil},
		{conn + accept, "", false, "", ErrNoUpgrade},
		{"upgrade: h2c\n" + conn + accept, "", false, "", ErrUpgrade},
		{"upgrade: websocket, h2c\n" + conn + accept, "", false, "", ErrUpgrade},
		{"upgrade: \n" + conn + accept, "", false, "", ErrUpgrade},
		{up + up + conn + accept, "", false, "", ErrUpgrade},
		{up + accept, "", false, "", ErrNoConnection},
		{up + "connection: close\n" + accept, "", false, "", ErrConnection},
		{up + "connection: upgraded\n" + accept, "", false, "", ErrConnection},
		{up + conn, "", false, "", ErrNoAccept},
		{up + conn + "sec-websocket-accept: \n", "", false, "", ErrAccept},
		{up + conn + "sec-websocket-accept: " + rfcKey + "\n", "", false, "", ErrAccept},
		{up + conn + accept + accept, "", false, "", ErrManyAccepts},
		{up + conn + accept + "sec-websocket-extensions: x\n", "", false, "", ErrExtension},
		{up + conn + accept + "sec-websocket-protocol: a\n", "", false, "", ErrProtocol},
		{up + conn + accept + "sec-websocket-protocol: c\n", "a,b", false, "", ErrProtocol},
		{up + conn + accept + "sec-websocket-protocol: A\n", "a,b", false, "", ErrProtocol},
		{up + conn + accept + "sec-websocket-protocol: a, b\n", "a,b", false, "", ErrProtocol},
		{up + conn + accept + "sec-websocket-protocol: \n", "a,b", false, "", ErrProtocol},
		{up + conn + accept + "sec-websocket-protocol: a\nsec-websocket-protocol: a\n", "a,b", false, "", ErrManyProtocols},
	} {
		var tb header.Table
		for line := range strings.Lines(c.fields) {
			name, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
			if err := tb.Add([]byte(name), []byte(value)); err != nil {
				t.Fatal(err)
			}
		}
		asked := Asked{Key: []byte(rfcKey), Extensions: c.ext}
		if c.offer != "" {
			asked.Protocols = strings.Split(c.offer, ",")
		}
		if p, err := CheckAnswer(101, &tb, &asked); p != c.protocol || err != c.err {
			t.Errorf("%q: %q, %v; want %q, %v", c.fields, p, err, c.protocol, c.err)
		}
		for _, status := range []int{0, 100, 200, 302, 403, 500} {
			_, err := CheckAnswer(status, &tb, &asked)
			var he *HandshakeError
			if status != 0 && (!errors.As(err, &he) || he.Status != status) || err == nil {
				t.Errorf("status %d: %v", status, err)
			}
		}
	}
	_, err := CheckAnswer(403, &header.Table{}, &Asked{})
	if want := "ws: handshake: the server did not upgrade: status 403 (RFC 6455 4.1)"; err == nil || err.Error() != want {
		t.Errorf("%v", err)
	}
}

func TestCheckOffer(t *testing.T) {
	for _, c := range []struct {
		offer []string
		want  error
	}{
		{nil, nil}, {[]string{"a", "A", "v1.b+c"}, nil}, {[]string{"a", "b", "a"}, ErrProtocolOffer},
		{[]string{""}, ErrProtocolOffer}, {[]string{"a b"}, ErrProtocolOffer}, {[]string{"a,b"}, ErrProtocolOffer}, {[]string{"a\r\nx: y"}, ErrProtocolOffer},
	} {
		if err := CheckOffer(c.offer); err != c.want {
			t.Errorf("%q: %v", c.offer, err)
		}
	}
}
