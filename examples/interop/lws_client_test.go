package interop

import (
	"bytes"
	"net"
	"os/exec"
	"testing"

	"anyloop/core"
	"anyloop/examples/internal/tap"
	"anyloop/examples/internal/try"
)

// TestLibwebsocketsClientDeflate: libwebsockets' test client draws lines through
// its mirror protocol, which we send back, as it offers compression: without
// takeover on its side. After a while we close.
func TestLibwebsocketsClientDeflate(t *testing.T) {
	program := try.Need(t, "libwebsockets-test-client", "libwebsockets-test-server")
	const offer = "permessage-deflate; client_no_context_takeover"
	var table tap.Table
	for _, tc := range []struct {
		name, answer string
		deflate      *core.Deflate
	}{
		{"off", "", nil},
		{"no takeover", "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=12", &core.Deflate{Threshold: -1}},
		{"takeover 15", "permessage-deflate; client_no_context_takeover", &core.Deflate{Takeover: true, WindowBits: 15, Threshold: -1}},
		{"takeover 9", "permessage-deflate; client_no_context_takeover; server_max_window_bits=9", &core.Deflate{Takeover: true, WindowBits: 9, Threshold: -1}},
	} {
		t.Run(tc.name, func(t *testing.T) {
			n := 0
			mirror := func(c *core.Conn, m core.Message, out *core.Outbox) error {
				if err := out.Send(m); err != nil {
					return err
				}
				if n++; n == lines {
					return c.Close(try.Enough.Code, try.Enough.Text)
				}
				return nil
			}
			h := new(try.Ended)
			eng := try.Engine(t, core.VHost{Addr: "127.0.0.1:0", Origin: core.AnyOrigin, Deflate: tc.deflate,
				Protocols: []core.Protocol{{Name: "lws-mirror-protocol", WS: try.Ends(h, core.OnMessage(mirror))}}})
			tp := tap.New(t, eng.VHost("default").Addr())
			host, port, err := net.SplitHostPort(tp.Addr())
			if err != nil {
				t.Fatal(err)
			}
			client := exec.Command(program, host, "--port="+port)
			if err := client.Start(); err != nil {
				t.Fatal(err)
			}
			defer func() { client.Process.Kill(); client.Wait() }()
			r := tp.Next(t)
			for r.Request.Header.Get("Sec-Websocket-Protocol") != "lws-mirror-protocol" {
				r = tp.Next(t) // its other WebSocket, for which there is no protocol here
			}
			table.Add("libwebsockets", tap.Server, tc.name, r)
			mirrorChecks(t, r, offer, tc.answer)
			h.Wait(t)
		})
	}
	table.Print(t)
}

// lines is how many of the client's messages we send back.
const lines = 50

// mirrorChecks checks what was on the wire of the mirror.
func mirrorChecks(t *testing.T, r *tap.Record, offer, answer string) {
	t.Helper()
	if r.Offer != offer || r.Answer != answer {
		t.Errorf("offered %q, answered %q, want %q and %q", r.Offer, r.Answer, offer, answer)
	}
	up, down := r.Up.Messages, r.Down.Messages
	if len(down) != lines || len(up) < lines {
		t.Fatalf("on the wire:\n%s", r)
	}
	for i, m := range down {
		if m.Binary != up[i].Binary || !bytes.Equal(m.Data, up[i].Data) {
			t.Errorf("message %d is %q, came back as %q", i, up[i].Data, m.Data)
		}
	}
	want := 0
	if answer != "" {
		want = lines
	}
	if r.Down.Compressed != want || (r.Up.Compressed > 0) != (want > 0) {
		t.Errorf("compressed: %d of the client's, %d of ours, want %d", r.Up.Compressed, r.Down.Compressed, want)
	}
	if r.Down.Close == nil || *r.Down.Close != try.Enough || r.Up.Close == nil || r.Up.Close.Code != try.Enough.Code {
		t.Errorf("closed by %v, answered by %v", r.Down.Close, r.Up.Close)
	}
}
