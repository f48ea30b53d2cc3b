package e2e

import (
	"errors"
	"io"
	"strings"
	"time"

	"anyloop/core"
	"anyloop/core/loop/looptest/client"
)

// tlsClose: how the peer's stream ends over TLS. close_notify alone ends it like a
// FIN without TLS, and so does close_notify with a FIN behind it; a FIN that TLS
// has not announced is told as what it may be: somebody has cut the stream off.
func tlsClose(s *scene) error {
	closed := make(chan error, 1)
	if err := s.up(serving(closer(closed)), core.Limits{}); err != nil {
		return err
	}
	announced := func(err error) bool { return err != nil && !strings.Contains(err.Error(), "close_notify") }
	for _, k := range []struct {
		name string
		end  func(c *client.TLS) error
		want func(error) bool
	}{
		{"close_notify", (*client.TLS).CloseNotify, announced},
		{"close_notify and FIN", (*client.TLS).CloseWrite, announced},
		{"FIN alone", (*client.TLS).Cut, func(err error) bool {
			var te *core.TransportError
			return errors.As(err, &te) && te.Op == "tls" && strings.Contains(err.Error(), "close_notify")
		}},
	} {
		c := s.ws()
		s.must(k.end(c.TLS()))
		if err := take(s, closed, k.name+": Closed"); !k.want(err) {
			s.t.Errorf("%s: Closed with %v", k.name, err)
		}
		if rest, err := io.ReadAll(c); len(rest) > 0 || err != nil && !errors.Is(err, client.ErrCut) {
			s.t.Errorf("%s: %q, %v", k.name, rest, err)
		}
	}
	return s.afresh(tlsMute)
}

// tlsMute: who does not say all of a ClientHello is closed at TLSTimeout.
func tlsMute(s *scene) error {
	if err := s.up(echoing(), core.Limits{TLSTimeout: 50 * time.Millisecond}); err != nil {
		return err
	}
	for _, says := range []string{"", "\x16", "\x16\x03\x01\x02\x00\x01"} {
		c := s.bare()
		_, err := io.WriteString(c, says)
		s.must(err)
		if rest, err := gone(c); rest != "" || err != nil {
			s.t.Errorf("after %q: %q, %v", says, rest, err)
		}
	}
	if n := len(s.guard.lives); n != 0 {
		s.t.Errorf("%d handlers were made", n)
	}
	return nil
}
