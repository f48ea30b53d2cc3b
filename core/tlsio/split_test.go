package tlsio

import (
	"bytes"
	"io"
	"runtime"
	"testing"
)

// each runs f for every kind of connection and every mode.
func each(t *testing.T, f func(t *testing.T, u suite, m mode)) {
	for _, u := range suites() {
		for _, m := range modes {
			t.Run(u.name+"/"+m.String(), func(t *testing.T) { f(t, u, m) })
		}
	}
}

// story is everything that happens on a connection: both sides talk and say that
// they are done.
func story(t *testing.T, server, client *side, toServer, toClient chop) {
	t.Helper()
	exchange(server, client, toServer, toClient)
	server.must(t)
	client.must(t)
	ask, answer := bytes.Repeat([]byte("ask "), 10), bytes.Repeat([]byte("answer "), 30)
	client.write(ask)
	client.write(ask)
	exchange(server, client, toServer, toClient)
	server.write(answer)
	server.out = server.s.CloseNotify(server.out)
	exchange(server, client, toServer, toClient)
	client.write(ask)
	client.out = client.s.CloseNotify(client.out)
	exchange(server, client, toServer, toClient)
	if want := bytes.Repeat(ask, 3); !bytes.Equal(server.got, want) || server.err != io.EOF {
		t.Fatalf("server: %d bytes, want %d; %v", len(server.got), len(want), server.err)
	}
	if !bytes.Equal(client.got, answer) || client.err != io.EOF {
		t.Fatalf("client: %d bytes, want %d; %v", len(client.got), len(answer), client.err)
	}
}

func TestWholeAndByteByByte(t *testing.T) {
	base := runtime.NumGoroutine()
	each(t, func(t *testing.T, u suite, m mode) {
		server, client := pair(t, u, m)
		story(t, server, client, whole, whole)
		server, client = pair(t, u, m)
		story(t, server, client, single, single)
		if m.lend && !CanLend() {
			t.Error("nothing was lent")
		}
	})
	quiet(t, base)
}
