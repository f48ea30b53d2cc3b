package core_test

import (
	"bytes"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"anyloop/core"
	packed "anyloop/core/deflate"
	squeeze "anyloop/core/flate"
	"anyloop/core/loop/sim"
	"anyloop/core/ws"
)

// squash compresses one message without history (RFC 7692 7.2.1).
func squash(s string) []byte {
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, 6)
	io.WriteString(z, s)
	z.Flush()
	return bytes.TrimSuffix(b.Bytes(), []byte{0, 0, 0xff, 0xff})
}

// unsquash is the other direction.
func unsquash(t *testing.T, p []byte) string {
	t.Helper()
	all, err := io.ReadAll(flate.NewReader(io.MultiReader(bytes.NewReader(p), strings.NewReader("\x00\x00\xff\xff\x01\x00\x00\xff\xff"))))
	if err != nil {
		t.Fatalf("inflate %x: %v", p, err)
	}
	return string(all)
}

func packedFrame(op ws.Opcode, fin, rsv1 bool, payload []byte) []byte {
	return ws.AppendFrame(nil, ws.Header{Op: op, Fin: fin, RSV1: rsv1, Masked: true, Mask: testMask}, payload)
}

// rawFrames returns the frames that came in.
func (p *peer) rawFrames() (all []rawFrame) {
	p.w.t.Helper()
	p.w.k.Drive()
	p.buf = append(p.buf, p.Read()...)
	for len(p.buf) >= 2 {
		n, size := int(p.buf[1]&0x7f), 2
		switch n {
		case 126:
			n, size = int(p.buf[2])<<8|int(p.buf[3]), 4
		case 127:
			p.w.t.Fatal("a frame of 64 KiB")
		}
		if len(p.buf) < size+n {
			p.w.t.Fatalf("half a frame: %x", p.buf)
		}
		all = append(all, rawFrame{p.buf[0], bytes.Clone(p.buf[size : size+n])})
		p.buf = p.buf[size+n:]
	}
	return all
}

type rawFrame struct {
	b0      byte
	payload []byte
}

const (
	chromeOffer = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
	plainOffer  = "Sec-WebSocket-Extensions: permessage-deflate\r\n"
)

// upgrade dials, upgrades and returns the answer's extension field.
func (w *world) upgrade(extra string) (*peer, string) {
	w.t.Helper()
	p := w.dial()
	p.WriteString(handshake + extra + "\r\n")
	w.k.Drive()
	p.buf = p.Read()
	head, rest, ok := bytes.Cut(p.buf, []byte("\r\n\r\n"))
	if !ok || !bytes.HasPrefix(head, []byte("HTTP/1.1 101 ")) {
		w.t.Fatalf("no upgrade: %q", p.buf)
	}
	p.buf = rest
	_, ext, _ := strings.Cut(string(head)+"\r\n", "sec-websocket-extensions: ")
	ext, _, _ = strings.Cut(ext, "\r\n")
	return p, ext
}

func echoVHost(d *core.Deflate) core.VHost {
	return core.VHost{Deflate: d, Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })}}}
}

// TestDeflateIsOffUnlessTurnedOn: no answer to an offer, and RSV1 is an error.
func TestDeflateIsOffUnlessTurnedOn(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{echoVHost(nil)}})
	p, ext := w.upgrade(chromeOffer)
	if ext != "" {
		t.Errorf("answered %q", ext)
	}
	p.Write(packedFrame(ws.Text, true, true, squash("hello")))
	p.want(`close 1002 "reserved bit set" | eof`)
}

func TestDeflateEcho(t *testing.T) {
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{echoVHost(&core.Deflate{Threshold: -1})}})
	p, ext := w.upgrade(chromeOffer)
	for _, want := range []string{"permessage-deflate", "server_no_context_takeover", "client_no_context_takeover", "server_max_window_bits=12", "client_max_window_bits=12"} {
		if !strings.Contains(ext, want) {
			t.Errorf("the answer %q lacks %s", ext, want)
		}
	}
	for _, s := range []string{"hello", "", strings.Repeat("hello ", 500), "ünïcødé"} {
		p.Write(packedFrame(ws.Text, true, true, squash(s)))
		fr := p.rawFrames()
		if len(fr) != 1 || fr[0].b0 != 0xc1 || unsquash(t, fr[0].payload) != s {
			t.Errorf("echo of %q: %+v", s, fr)
		}
	}
	// Fragments, with a Ping between, and a message that is not compressed.
	z := squash("fragments of one message")
	p.Write(packedFrame(ws.Binary, false, true, z[:3]))
	p.Write(packedFrame(ws.Ping, true, false, []byte("p")))
	p.Write(packedFrame(ws.Continuation, false, false, z[3:4]))
	p.Write(packedFrame(ws.Continuation, true, false, z[4:]))
	p.Write(packedFrame(ws.Text, true, false, []byte("plain")))
	fr := p.rawFrames()
	if len(fr) != 3 || fr[0].b0 != 0x8a || fr[1].b0 != 0xc2 || unsquash(t, fr[1].payload) != "fragments of one message" ||
		fr[2].b0 != 0xc1 || unsquash(t, fr[2].payload) != "plain" {
		t.Errorf("frames %+v", fr)
	}
}

// TestDeflateThreshold: small messages go as they are, which the vhost and the
// handler decide.
func TestDeflateThreshold(t *testing.T) {
	vh := echoVHost(&core.Deflate{})
	var conn *core.Conn
	inner := vh.Protocols[0].WS
	vh.Protocols[0].WS = func(c *core.Conn) core.WSHandler { conn = c; return inner(c) }
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	p, _ := w.upgrade(plainOffer)
	echo := func(n int) byte {
		p.Write(packedFrame(ws.Text, true, false, bytes.Repeat([]byte("x"), n)))
		return p.rawFrames()[0].b0
	}
	if a, b := echo(63), echo(64); a != 0x81 || b != 0xc1 {
		t.Errorf("63 bytes: %#x, 64 bytes: %#x", a, b)
	}
	if err := conn.TuneDeflate(0, 5); err != nil {
		t.Error(err)
	}
	if a, b := echo(4), echo(5); a != 0x81 || b != 0xc1 {
		t.Errorf("4 bytes: %#x, 5 bytes: %#x", a, b)
	}
	w2 := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	w2.ws()
	if err := conn.TuneDeflate(128, 0); !errors.Is(err, core.ErrNoDeflate) {
		t.Errorf("without compression: %v", err)
	}
}

// TestDeflateHook: a protocol may change the options of a connection, or refuse.
func TestDeflateHook(t *testing.T) {
	vh := echoVHost(&core.Deflate{})
	vh.Protocols[0].Deflate = func(c *core.Conn, r *core.Request, d *core.Deflate) bool {
		d.Takeover, d.WindowBits = true, 10
		return r.Path() != "/no"
	}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	if _, ext := w.upgrade(plainOffer); strings.Contains(ext, "takeover") || !strings.Contains(ext, "server_max_window_bits=10") {
		t.Errorf("answered %q", ext)
	}
	p := w.dial()
	p.WriteString(strings.Replace(handshake, "GET /", "GET /no", 1) + plainOffer + "\r\n")
	if a := p.answer(); strings.Contains(a, "extensions") {
		t.Errorf("answered %q", a)
	}
}

// taker receives pieces, and pauses after each if it is told to.
type taker struct {
	pieces []int
	finals int
	pause  bool
	conn   *core.Conn
	bytes  int
}

func (h *taker) Receive(c *core.Conn, f core.Fragment) error {
	if f.First != (len(h.pieces) == 0) {
		return fmt.Errorf("first is %v at piece %d", f.First, len(h.pieces))
	}
	h.pieces = append(h.pieces, len(f.Data))
	h.bytes += len(f.Data)
	if f.Final {
		h.finals++
	}
	if h.pause {
		c.Pause()
	}
	return nil
}
func (h *taker) Writable(*core.Conn, *core.WSWriter) error { return nil }

func taking(h *taker, d *core.Deflate, lim core.Limits) core.VHost {
	return core.VHost{Deflate: d, Limits: lim, Protocols: []core.Protocol{{Name: "t", WS: func(c *core.Conn) core.WSHandler { h.conn = c; return h }}}}
}

// TestPausedHandlerStopsTheInflater (spec 7, 24): each resume is one more piece of
// what is there already, by forced service.
func TestPausedHandlerStopsTheInflater(t *testing.T) {
	h := &taker{pause: true}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{taking(h, &core.Deflate{}, core.Limits{RxPiece: 1000})}})
	p, _ := w.upgrade(plainOffer)
	p.Write(packedFrame(ws.Binary, true, true, squash(strings.Repeat("a", 10_500))))
	p.ping("behind")
	for want := 1; want <= 11; want++ {
		w.k.Drive()
		if len(h.pieces) != want {
			t.Fatalf("%d pieces after %d resumes", len(h.pieces), want-1)
		}
		if info, ok := h.conn.Deflate(); want < 11 && (!ok || info.Memory == 0) {
			t.Errorf("nothing is kept in the middle of a message: %+v", info)
		}
		if got := p.seen(); got != "" {
			t.Errorf("the Ping behind was answered: %s", got)
		}
		w.eng.Thread(0).Post(func() { h.conn.Resume() })
	}
	p.want(`pong "behind"`)
	if h.bytes != 10_500 || h.finals != 1 {
		t.Errorf("%d bytes, %d final pieces", h.bytes, h.finals)
	}
	if info, _ := h.conn.Deflate(); info.Memory != 0 {
		t.Errorf("%d bytes are kept between messages", info.Memory)
	}
}

// TestInflatingTakesTurns: a small message that is large when inflated does not
// hold the loop: other connections are served before it is done.
func TestInflatingTakesTurns(t *testing.T) {
	h := &taker{}
	vh := taking(h, &core.Deflate{}, core.Limits{})
	vh.Protocols = append(vh.Protocols, core.Protocol{Name: "echo", WS: core.OnMessage(
		func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })})
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	q := w.ws("Sec-WebSocket-Protocol: echo\r\n")
	p, _ := w.upgrade(plainOffer)
	const size = 4 << 20
	p.Write(packedFrame(ws.Binary, true, true, squash(strings.Repeat("a", size))))
	q.text("me too")
	for range 3 {
		w.k.Turn()
	}
	if got := q.seen(); got != `text "me too"` {
		t.Errorf("the other connection got %q after three turns", got)
	}
	if h.bytes == 0 || h.bytes >= size/2 {
		t.Errorf("%d bytes are inflated after three turns", h.bytes)
	}
	w.k.Drive()
	if h.bytes != size || h.finals != 1 {
		t.Errorf("%d bytes, %d final pieces", h.bytes, h.finals)
	}
}

// TestZipBomb: 1 GiB of zeros ends at the limit with 1009, having cost one piece
// at a time.
func TestZipBomb(t *testing.T) {
	h := &taker{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{taking(h, &core.Deflate{}, core.Limits{MaxInflated: 1 << 20})}})
	p, _ := w.upgrade(plainOffer)
	var b bytes.Buffer
	z, _ := flate.NewWriter(&b, 9)
	zeros := make([]byte, 1<<20)
	for range 64 { // 1 GiB would only take longer: the limit is at 1 MiB
		z.Write(zeros)
	}
	z.Flush()
	p.Write(packedFrame(ws.Binary, true, true, b.Bytes()))
	p.want(`close 1009 "message over the limit when inflated" | eof`)
	if h.bytes > 1<<20 || h.bytes < 1<<20-64<<10 || h.finals != 0 {
		t.Errorf("%d bytes were handed out, %d final", h.bytes, h.finals)
	}
}

func TestBadDeflateIs1007(t *testing.T) {
	for name, payload := range map[string]string{"reserved block": "\x07", "distance": "\x4b\x04\x82\x00\x00\xff", "text not UTF-8": string(squash("\xff\xfe"))} {
		h := &taker{}
		w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{taking(h, &core.Deflate{}, core.Limits{})}})
		p, _ := w.upgrade(plainOffer)
		p.Write(packedFrame(ws.Text, true, true, []byte(payload)))
		if got := p.frames(); !strings.HasPrefix(got, "close 1007 ") {
			t.Errorf("%s: %s", name, got)
		}
	}
}

// TestDeflateMemoryBudget: when the vhost's memory is used up, connections do
// without takeover, and what closes gives it back.
func TestDeflateMemoryBudget(t *testing.T) {
	one := int64(1<<12+2<<10) + 1<<12 + 2<<10
	w := newWorld(t, sim.Options{}, core.Config{Limits: core.Limits{DeflateMemory: 2 * one}, VHosts: []core.VHost{echoVHost(&core.Deflate{Takeover: true})}})
	first, ext := w.upgrade(chromeOffer)
	if strings.Contains(ext, "takeover") {
		t.Errorf("the first answer is %q", ext)
	}
	w.upgrade(chromeOffer)
	if _, ext := w.upgrade(chromeOffer); !strings.Contains(ext, "server_no_context_takeover") || !strings.Contains(ext, "client_no_context_takeover") {
		t.Errorf("beyond the budget the answer is %q", ext)
	}
	first.Close()
	w.k.Drive()
	if _, ext := w.upgrade(chromeOffer); strings.Contains(ext, "takeover") {
		t.Errorf("after a close the answer is %q", ext)
	}
}

// TestHalfMessagesStayWithinTheBudget: peers that send halves of messages make us
// keep windows; beyond the budget they are closed with 1013.
func TestHalfMessagesStayWithinTheBudget(t *testing.T) {
	h := &taker{}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{taking(h, &core.Deflate{}, core.Limits{DeflateMemory: 40 << 10})}})
	noise := make([]byte, 20<<10)
	x := uint32(1)
	for i := range noise {
		x = x*1664525 + 1013904223
		noise[i] = byte(x >> 24)
	}
	z := squash(string(noise))
	var closed int
	for range 6 {
		h.pieces = nil
		p, _ := w.upgrade(plainOffer) // a client that does not bound its window
		p.Write(packedFrame(ws.Binary, false, true, z))
		if strings.Contains(p.frames(), "close 1013") {
			closed++
		}
	}
	if closed < 4 || closed == 6 {
		t.Errorf("%d of 6 were closed", closed)
	}
}

// TestDeflateBetweenEngines: a client and a server of ours, over all windows and
// both kinds of takeover, every message through both compressors.
func TestDeflateBetweenEngines(t *testing.T) {
	for _, takeover := range []bool{false, true} {
		for bits := 8; bits <= 15; bits++ {
			t.Run(fmt.Sprintf("%d/%v", bits, takeover), func(t *testing.T) {
				d := &core.Deflate{Takeover: takeover, WindowBits: bits, PeerWindowBits: bits, Threshold: -1}
				h := &caller{}
				vh := echoVHost(d)
				vh.Addr = "192.0.2.7:80"
				vh.Protocols = append(vh.Protocols, core.Protocol{Name: "client", WS: h.made})
				w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
				h.w = w
				c := h.dial(core.Dial{URL: "ws://192.0.2.7/", Protocol: "client"})
				h.out = core.NewOutbox(c, core.Refuse)
				var want []string
				for i := range 50 {
					s := fmt.Sprintf(`{"id":%d,"name":"message","value":%d}`, i, i*i)
					want = append(want, s)
					h.out.Text(s)
				}
				w.k.Drive()
				info, ok := c.Deflate()
				if !ok || info.ServerNoTakeover == takeover {
					t.Fatalf("agreed on %+v, %v", info, ok)
				}
				if got := strings.Join(h.heard, "\n"); got != "made\nconnected 101 \nreceive "+quoted(want) {
					t.Errorf("heard %s", got)
				}
				if max := 2 * (1<<max(bits, 9) + 2<<10); info.Memory > max || takeover && info.Memory == 0 || !takeover && info.Memory != 0 {
					t.Errorf("%d bytes are kept", info.Memory)
				}
			})
		}
	}
}

func quoted(all []string) string {
	for i, s := range all {
		all[i] = fmt.Sprintf("%q", s)
	}
	return strings.Join(all, "\nreceive ")
}

// TestSharedMessagesAndContext: a message that is compressed once for many, without
// context, goes between messages with context, and the peers' inflaters, which have
// exactly the negotiated window, understand all of them.
func TestSharedMessagesAndContext(t *testing.T) {
	var outs []*core.Outbox
	vh := core.VHost{Deflate: &core.Deflate{Takeover: true}, Protocols: []core.Protocol{{Name: "s", WS: func(c *core.Conn) core.WSHandler {
		o := core.NewOutbox(c, core.Refuse)
		outs = append(outs, o)
		return &sender{o}
	}}}}
	w := newWorld(t, sim.Options{}, core.Config{VHosts: []core.VHost{vh}})
	packed1, _ := w.upgrade(plainOffer)
	packed2, _ := w.upgrade(chromeOffer)
	plain := w.ws()
	var r1, r2 packed.Reader
	r1.Init(12, true, packed.Limits{})
	r2.Init(12, true, packed.Limits{})
	for i := range 20 {
		own, all := strings.Repeat(fmt.Sprintf("own message %d, ", i), 8), strings.Repeat(fmt.Sprintf("for all, number %d, ", i), 8)
		s := core.NewShared(core.Message{Data: []byte(all)})
		for _, o := range outs {
			o.Text(own)
			o.SendShared(s)
		}
		for j, p := range []*peer{packed1, packed2} {
			fr := p.rawFrames()
			r := []*packed.Reader{&r1, &r2}[j]
			if len(fr) != 2 || fr[0].b0 != 0xc1 || fr[1].b0 != 0xc1 || unpack(t, r, fr[0].payload) != own || unpack(t, r, fr[1].payload) != all {
				t.Fatalf("message %d for peer %d: %+v", i, j, fr)
			}
			if i > 0 && len(fr[0].payload) > len(own)/2 {
				t.Errorf("%d bytes became %d", len(own), len(fr[0].payload))
			}
		}
		if got := plain.rawFrames(); len(got) != 2 || string(got[0].payload) != own || string(got[1].payload) != all {
			t.Fatalf("message %d, plain: %+v", i, got)
		}
		if s.Encodings() != 2 {
			t.Errorf("%d encodings for two kinds of receivers", s.Encodings())
		}
	}
	// What does not become smaller goes to all as it is.
	noise := make([]byte, 200)
	for i := range noise {
		noise[i] = byte(i*i*7 + i>>3)
	}
	s := core.NewShared(core.Message{Data: noise, Binary: true})
	outs[0].SendShared(s)
	if fr := packed1.rawFrames(); len(fr) != 1 || fr[0].b0 != 0x82 || !bytes.Equal(fr[0].payload, noise) {
		t.Errorf("noise: %+v", fr)
	}
}

// sender only sends.
type sender struct{ out *core.Outbox }

func (h *sender) Receive(*core.Conn, core.Fragment) error { return nil }

func (h *sender) Writable(c *core.Conn, w *core.WSWriter) error { return h.out.Writable(w) }

func unpack(t *testing.T, r *packed.Reader, p []byte) string {
	t.Helper()
	var tables squeeze.Tables
	out, _, done, err := r.Next(&tables, make([]byte, 0, 1<<20), p, true)
	if err != nil || !done {
		t.Fatalf("unpacking: done %v, %v", done, err)
	}
	return string(out)
}
