package deflate

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// fields are the values of a header field; "|" parts one from the next.
func fields(s string) func(func([]byte) bool) {
	var all [][]byte
	if s != "none" {
		for f := range strings.SplitSeq(s, "|") {
			all = append(all, []byte(f))
		}
	}
	return slices.Values(all)
}

// short names for tables: takeover, Bits, PeerBits.
var (
	plain = Policy{}                                       // no takeover, 12, 12
	keeps = Policy{Takeover: true}                         // takeover, 12, 12
	large = Policy{Takeover: true, Bits: 15, PeerBits: 15} // all there is
	tiny  = Policy{Takeover: true, Bits: 8, PeerBits: 8}   // counts as 8, 9
)

// is makes Params of "s" and "c", who forgets, and the windows.
func is(forgets string, server, client int) Params {
	return Params{strings.Contains(forgets, "s"), strings.Contains(forgets, "c"), server, client}
}

func TestAccept(t *testing.T) {
	for _, c := range []struct {
		who    string
		policy Policy
		in     string
		answer string // after the name
		params Params
	}{
		{"Firefox", plain, "permessage-deflate", "; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12", is("sc", 12, 15)},
		{"Firefox", large, "permessage-deflate", "", is("", 15, 15)},
		{"Chrome, Node ws, Python websockets", plain, "permessage-deflate; client_max_window_bits",
			"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12", is("sc", 12, 12)},
		{"Chrome", keeps, "permessage-deflate; client_max_window_bits", "; server_max_window_bits=12; client_max_window_bits=12", is("", 12, 12)},
		{"Chrome", large, "permessage-deflate; client_max_window_bits", "", is("", 15, 15)},
		{"Chrome", tiny, "permessage-deflate; client_max_window_bits", "; server_max_window_bits=8; client_max_window_bits=9", is("", 8, 9)},
		{"libwebsockets", keeps, "permessage-deflate; client_no_context_takeover; client_max_window_bits",
			"; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12", is("c", 12, 12)},
		{"gorilla", keeps, "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			"; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12", is("sc", 12, 15)},
		{"gorilla", large, "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
			"; server_no_context_takeover; client_no_context_takeover", is("sc", 15, 15)},
		{"Autobahn 13.2", large, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits",
			"; server_no_context_takeover; client_no_context_takeover", is("sc", 15, 15)},
		{"Autobahn 13.3", large, "permessage-deflate; server_max_window_bits=9; client_no_context_takeover; client_max_window_bits",
			"; client_no_context_takeover; server_max_window_bits=9", is("c", 9, 15)},
		{"Autobahn 13.4", large, "permessage-deflate; server_max_window_bits=15; client_max_window_bits", "; server_max_window_bits=15", is("", 15, 15)},
		{"Autobahn 13.5", keeps, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9",
			"; server_no_context_takeover; server_max_window_bits=9", is("s", 9, 15)},
		{"Autobahn 13.7", large, "permessage-deflate; server_no_context_takeover; server_max_window_bits=9, permessage-deflate; server_no_context_takeover, permessage-deflate",
			"; server_no_context_takeover; server_max_window_bits=9", is("s", 9, 15)},
		{"RFC 7692 7.1.3", large, "permessage-deflate; client_max_window_bits; server_max_window_bits=10", "; server_max_window_bits=10", is("", 10, 15)},
		{"RFC 7692 7.1.3", large, "permessage-deflate; client_max_window_bits; server_max_window_bits=10, permessage-deflate; client_max_window_bits",
			"; server_max_window_bits=10", is("", 10, 15)},
		{"RFC 7692 5.2", large, "permessage-deflate; use_y, permessage-deflate", "", is("", 15, 15)},
		{"RFC 7692 5.2", large, "permessage-foo; x=10, permessage-deflate", "", is("", 15, 15)},
		{"other fields first", large, "x-webkit-deflate-frame, permessage-foo; a=\"b\\c\"; d|permessage-deflate; client_max_window_bits", "", is("", 15, 15)},
		{"two fields, the first counts", large, "permessage-deflate; server_max_window_bits=11|permessage-deflate", "; server_max_window_bits=11", is("", 11, 15)},

		{"a window offered is confirmed", keeps, "permessage-deflate; client_max_window_bits=10; server_max_window_bits=10",
			"; server_max_window_bits=10; client_max_window_bits=10", is("", 10, 10)},
		{"a larger window is made smaller", keeps, "permessage-deflate; client_max_window_bits=14; server_max_window_bits=14",
			"; server_max_window_bits=12; client_max_window_bits=12", is("", 12, 12)},
		{"15 is confirmed, too", large, "permessage-deflate; client_max_window_bits=15", "; client_max_window_bits=15", is("", 15, 15)},
		{"8 is for us to send", keeps, "permessage-deflate; server_max_window_bits=8", "; server_max_window_bits=8", is("", 8, 15)},
		{"8 is what they said", tiny, "permessage-deflate; client_max_window_bits=8", "; server_max_window_bits=8; client_max_window_bits=8", is("", 8, 8)},

		{"quoted", large, `permessage-deflate; server_max_window_bits="10"`, "; server_max_window_bits=10", is("", 10, 15)},
		{"quoted pairs", large, `permessage-deflate; server_max_window_bits="\1\0"`, "; server_max_window_bits=10", is("", 10, 15)},
		{"white space", large, "\t permessage-deflate \t;\tserver_max_window_bits = 10 ; client_no_context_takeover ", "; client_no_context_takeover; server_max_window_bits=10", is("c", 10, 15)},
		{"no white space", large, "x,permessage-deflate;server_max_window_bits=10;client_max_window_bits,y", "; server_max_window_bits=10", is("", 10, 15)},
		{"empty elements", large, " , ,permessage-deflate,, ,", "", is("", 15, 15)},
		{"empty fields", large, "|permessage-deflate|", "", is("", 15, 15)},
	} {
		params, answer, ok := c.policy.Accept(fields(c.in))
		if !ok || answer != Name+c.answer || params != c.params {
			t.Errorf("%s: %q\n got %q %+v %v\nwant %q %+v", c.who, c.in, answer, params, ok, Name+c.answer, c.params)
		}
	}
}

// illegal are the parameters that make permessage-deflate unacceptable, in an
// offer and in an answer.
var illegal = []string{
	"x", "x=1", "server_max_window_bit=10", "SERVER_NO_CONTEXT_TAKEOVER", "client_max_window_bits_=10",
	"server_no_context_takeover=1", "client_no_context_takeover=true", `client_no_context_takeover="x"`, "server_no_context_takeover=10",
	"server_max_window_bits", "server_max_window_bits=", `server_max_window_bits=""`,
	"server_max_window_bits=7", "server_max_window_bits=16", "server_max_window_bits=0", "server_max_window_bits=1", "server_max_window_bits=20",
	"server_max_window_bits=08", "server_max_window_bits=010", "server_max_window_bits=+9", "server_max_window_bits=-9", "server_max_window_bits=9.0",
	"server_max_window_bits=0x9", "server_max_window_bits=a", "server_max_window_bits=100", "server_max_window_bits=1a", "server_max_window_bits=99999999999999999999",
	`server_max_window_bits="08"`, `server_max_window_bits="16"`,
	"client_max_window_bits=7", "client_max_window_bits=16", "client_max_window_bits=08", "client_max_window_bits=x", "client_max_window_bits=150",
	"server_no_context_takeover; server_no_context_takeover", "client_no_context_takeover; client_no_context_takeover",
	"server_max_window_bits=10; server_max_window_bits=10", "server_max_window_bits=10; server_max_window_bits=11",
	"client_max_window_bits=10; client_max_window_bits=10", "client_max_window_bits=10; client_max_window_bits",
	"server_max_window_bits=10; y", "client_no_context_takeover; server_max_window_bits=16; client_max_window_bits=10",
}

func TestAcceptPassesOverIllegalOffers(t *testing.T) {
	p := large
	for _, bad := range append(slices.Clone(illegal), "client_max_window_bits; client_max_window_bits") {
		in := Name + "; " + bad
		if _, answer, ok := p.Accept(fields(in)); ok || answer != "" {
			t.Errorf("%q accepted: %q", in, answer)
		}
		if strings.HasSuffix(bad, "=") || strings.HasSuffix(bad, `""`) {
			continue // not even the grammar lets that be
		}
		for _, sep := range []string{", ", "|"} {
			in := in + sep + Name + "; server_max_window_bits=11"
			if params, answer, ok := p.Accept(fields(in)); !ok || params != is("", 11, 15) {
				t.Errorf("%q: %q, not the second offer", in, answer)
			}
		}
	}
}

func TestAcceptWithoutOffer(t *testing.T) {
	for _, in := range []string{"none", "", " ", ",", ", ,|", "permessage-foo", "permessage-deflat", "permessage-deflatex", "Permessage-Deflate",
		"x; permessage-deflate", "deflate-frame, x-webkit-deflate-frame; no_context_takeover"} {
		if params, answer, ok := large.Accept(fields(in)); ok || answer != "" || params != (Params{}) {
			t.Errorf("%q accepted: %q", in, answer)
		}
	}
}

// malformed fields do not follow the grammar.
var malformed = []string{
	";", "permessage-deflate;", "permessage-deflate; ", "permessage-deflate;;", "permessage-deflate; ; x", ";permessage-deflate",
	"permessage-deflate; =10", "permessage-deflate; x=", "permessage-deflate; x= ;y", "permessage-deflate; x==1", "permessage-deflate; x=1=2",
	"permessage-deflate x", "permessage-deflate; x y", "permessage-deflate; x=1 2", "permessage-deflate=1", "permessage-deflate=",
	`permessage-deflate; x="`, `permessage-deflate; x="1`, `permessage-deflate; x="1\`, `permessage-deflate; x="1\"`, `permessage-deflate; x=""`,
	`permessage-deflate; x="1 2"`, `permessage-deflate; x=" 1"`, `permessage-deflate; x="1,2"`, `permessage-deflate; x="1\ 2"`, `permessage-deflate; x="a"b`,
	`permessage-deflate; x=a"b"`, `"permessage-deflate"`, `permessage-deflate; "x"`, "permessage-deflate; x=@", "permessage-deflate; é", "permessage-deflate\x00",
	"permessage-deflate\r\n", "permessage-deflate; x=\x7f", "(permessage-deflate)", "permessage-deflate/1",
}

func TestAcceptDeclinesMalformedFields(t *testing.T) {
	for _, bad := range malformed {
		for _, in := range []string{bad, bad + ", " + Name, Name + ", " + bad, Name + "|" + bad, bad + "|" + Name} {
			if _, answer, ok := large.Accept(fields(in)); ok || answer != "" {
				t.Errorf("%q accepted: %q", in, answer)
			}
		}
	}
}

func TestOffer(t *testing.T) {
	for _, c := range []struct {
		policy Policy
		offer  string
	}{
		{large, "permessage-deflate; client_max_window_bits"},
		{keeps, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12, permessage-deflate; client_max_window_bits=12"},
		{plain, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12, " +
			"permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits=12"},
		{tiny, "permessage-deflate; server_max_window_bits=9; client_max_window_bits=8, permessage-deflate; client_max_window_bits=8"},
		{Policy{Bits: 15, PeerBits: 15}, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; client_max_window_bits"},
		{Policy{Takeover: true, Bits: 99, PeerBits: -1}, "permessage-deflate; server_max_window_bits=9; client_max_window_bits, permessage-deflate; client_max_window_bits"},
	} {
		if got := c.policy.Offer(); got != c.offer || len(got) >= 250 {
			t.Errorf("%+v: %q (%d bytes), want %q", c.policy, got, len(got), c.offer)
		}
	}
}

func TestConfirm(t *testing.T) {
	for _, c := range []struct {
		who    string
		policy Policy
		in     string // "-" is left out
		params Params
	}{
		{"libwebsockets", keeps, "permessage-deflate", is("", 15, 12)},
		{"libwebsockets", plain, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", is("sc", 15, 12)},
		{"gorilla", keeps, "permessage-deflate; server_no_context_takeover; client_no_context_takeover", is("sc", 15, 12)},
		{"Node ws", plain, "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12; client_max_window_bits=12", is("sc", 12, 12)},
		{"Python websockets", keeps, "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12", is("", 12, 12)},
		{"our own takeover is ours to give up", plain, "permessage-deflate; server_no_context_takeover", is("sc", 15, 12)},
		{"either order", keeps, "permessage-deflate;client_max_window_bits=9 ;server_max_window_bits=\"8\"", is("", 8, 9)},
		{"the server's window unasked", large, "permessage-deflate; server_max_window_bits=10", is("", 10, 15)},
		{"all we have", large, "permessage-deflate; server_max_window_bits=15; client_max_window_bits=15", is("", 15, 15)},
		{"only the server forgets", keeps, "permessage-deflate; server_no_context_takeover", is("s", 15, 12)},
		{"only the client forgets", keeps, "permessage-deflate; client_no_context_takeover", is("c", 15, 12)},
		{"8 for us", keeps, "permessage-deflate; client_max_window_bits=8", is("", 15, 8)},
		{"empty elements", large, "|, permessage-deflate ,|", is("", 15, 15)},
	} {
		params, agreed, err := c.policy.Confirm(fields(c.in))
		if err != nil || !agreed || params != c.params {
			t.Errorf("%s: %q: %+v %v %v, want %+v", c.who, c.in, params, agreed, err, c.params)
		}
	}
	for _, in := range []string{"none", "", " , ", "|"} {
		if params, agreed, err := plain.Confirm(fields(in)); agreed || err != nil || params != (Params{}) {
			t.Errorf("%q: %+v %v %v", in, params, agreed, err)
		}
	}
}

func TestConfirmErrors(t *testing.T) {
	bad := func(p Policy, in, text string) {
		t.Helper()
		params, agreed, err := p.Confirm(fields(in))
		if !errors.Is(err, ErrAnswer) || agreed || params != (Params{}) || !strings.Contains(err.Error(), text) {
			t.Errorf("%+v, %q: %v %v, want %q", p, in, agreed, err, text)
		}
	}
	for _, params := range append(slices.Clone(illegal), "client_max_window_bits") {
		text := "parameter"
		if strings.HasSuffix(params, "=") || strings.HasSuffix(params, `""`) {
			text = "malformed"
		}
		bad(large, Name+"; "+params, text)
	}
	for _, in := range malformed {
		for _, in := range []string{in, Name + "|" + in} {
			bad(large, in, "Sec-WebSocket-Extensions")
		}
	}
	bad(large, "permessage-foo", `extension "permessage-foo" was not offered`)
	bad(large, "Permessage-Deflate", "not offered")
	bad(large, "permessage-deflate, permessage-foo", "not offered")
	bad(large, "permessage-deflate|permessage-foo", "not offered")
	bad(large, "permessage-deflate, permessage-deflate", "accepted twice")
	bad(large, "permessage-deflate|permessage-deflate", "accepted twice")
	bad(keeps, "permessage-deflate; server_max_window_bits=13", "server_max_window_bits of 13 where 12 was offered")
	bad(keeps, "permessage-deflate; client_max_window_bits=15", "client_max_window_bits of 15 where 12 was offered")
	bad(plain, "permessage-deflate", "no server_no_context_takeover")
	bad(plain, "permessage-deflate; client_no_context_takeover", "no server_no_context_takeover")
	bad(large, "permessage-deflate; client_max_window_bits", `no value for parameter "client_max_window_bits"`)
	bad(large, strings.Repeat("x", 4000), strings.Repeat("x", 64)+`" was`)
	if _, _, err := large.Confirm(fields(strings.Repeat("x;", 4000))); len(err.Error()) > 300 {
		t.Errorf("the text has %d bytes", len(err.Error()))
	}
}

// everyPolicy calls f with all that differ.
func everyPolicy(f func(p Policy)) {
	for _, takeover := range []bool{false, true} {
		for bits := 8; bits <= 15; bits++ {
			for peer := 8; peer <= 15; peer++ {
				f(Policy{takeover, bits, peer})
			}
		}
	}
}

// TestBothSidesAgree has every client meet every server.
func TestBothSidesAgree(t *testing.T) {
	n := 0
	everyPolicy(func(client Policy) {
		offer := fields(client.Offer())
		everyPolicy(func(server Policy) {
			n++
			at := fmt.Sprintf("client %+v, server %+v", client, server)
			want, answer, ok := server.Accept(offer)
			if !ok {
				t.Fatalf("%s: offer refused", at)
			}
			got, agreed, err := client.Confirm(fields(answer))
			if err != nil || !agreed || got != want {
				t.Fatalf("%s: answer %q is %+v for the client (%v), %+v for the server", at, answer, got, err, want)
			}
			forget := !client.Takeover || !server.Takeover
			if want != (Params{forget, forget, min(server.Bits, max(client.PeerBits, 9)), min(client.Bits, max(server.PeerBits, 9))}) {
				t.Fatalf("%s: %+v", at, want)
			}
		})
	})
	if n != 128*128 {
		t.Fatalf("%d pairs", n)
	}
}

func FuzzAccept(f *testing.F) {
	for _, s := range append(slices.Clone(malformed), illegal...) {
		f.Add(s, uint8(0))
		f.Add(Name+"; "+s, uint8(1))
	}
	f.Add("a; b=\"c\\d\", permessage-deflate; client_max_window_bits|permessage-deflate", uint8(0x77))
	f.Fuzz(func(t *testing.T, in string, how uint8) {
		p := Policy{how&1 != 0, 8 + int(how>>1&7), 8 + int(how>>4&7)}
		params, answer, ok := p.Accept(fields(in))
		if !ok {
			if answer != "" || params != (Params{}) {
				t.Fatalf("refused with %q %+v", answer, params)
			}
			return
		}
		if strings.Contains(answer, clientBits) && !strings.Contains(in, clientBits) {
			t.Fatalf("%q answered with %q", in, answer)
		}
		got, agreed, err := large.Confirm(fields(answer))
		if err != nil || !agreed || got != params {
			t.Fatalf("%q: %q is %+v for the client (%v), %+v for the server", in, answer, got, err, params)
		}
		if !p.Takeover && !(params.ServerNoTakeover && params.ClientNoTakeover) || params.ServerBits > p.Bits {
			t.Fatalf("%q: %+v is not the policy %+v", in, params, p)
		}
	})
}

func FuzzConfirm(f *testing.F) {
	for _, s := range append(slices.Clone(malformed), illegal...) {
		f.Add(s, uint8(0))
		f.Add(Name+"; "+s, uint8(1))
	}
	f.Fuzz(func(t *testing.T, in string, how uint8) {
		p := Policy{how&1 != 0, 8 + int(how>>1&7), 8 + int(how>>4&7)}
		params, agreed, err := p.Confirm(fields(in))
		switch {
		case err != nil || !agreed:
			if agreed || params != (Params{}) || err != nil && !errors.Is(err, ErrAnswer) {
				t.Fatalf("%q: %+v %v %v", in, params, agreed, err)
			}
		case params.ClientBits < 8 || params.ClientBits > p.Bits || params.ServerBits < 8 || params.ServerBits > 15,
			!p.Takeover && !(params.ServerNoTakeover && params.ClientNoTakeover):
			t.Fatalf("%q: %+v is not the policy %+v", in, params, p)
		}
	})
}
