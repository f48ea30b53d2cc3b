//go:build linux

package load

import (
	"crypto/tls"
	"strings"
	"testing"
)

// TestReceiveNotices: an answer that is another message, or longer, is not taken.
func TestReceiveNotices(t *testing.T) {
	_, answer := frames(64)
	for name, got := range map[string]string{
		"another byte": string(answer[:10]) + "?",
		"too much":     string(answer) + "x",
	} {
		c := &conn{Conn: tls.Client(nil, config()), s: &sock{}}
		if err := c.take([]byte(got), answer); err == nil || !strings.Contains(err.Error(), "not what was sent") {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := &conn{s: &sock{}}
	if err := c.take(answer[:5], answer); err != nil || c.got != 5 {
		t.Errorf("%d, %v", c.got, err)
	}
}
