//go:build linux

package peer

import (
	"bytes"
	"io"

	"github.com/gobwas/ws"
	"github.com/panjf2000/gnet/v2"
	"github.com/panjf2000/gnet/v2/pkg/logging"
)

func init() {
	servers["gnet"] = func(c *Config) error {
		h := &gnetWS{}
		h.all.on = c.Broadcast
		return runGnet(c, h)
	}
	servers["baregnet"] = func(c *Config) error { return runGnet(c, &bareGnet{}) }
}

func runGnet(c *Config, h gnet.EventHandler) error {
	return gnet.Run(h, "tcp://"+c.Addr, gnet.WithNumEventLoop(1), gnet.WithReuseAddr(true), gnet.WithLogger(errorsOnly{logging.GetDefaultLogger()}))
}

// errorsOnly keeps gnet from saying that it starts.
type errorsOnly struct{ logging.Logger }

func (errorsOnly) Debugf(string, ...any) {}
func (errorsOnly) Infof(string, ...any)  {}
func (errorsOnly) Warnf(string, ...any)  {}

// bareGnet is the bare engine: what is read is written.
type bareGnet struct{ gnet.BuiltinEventEngine }

func (*bareGnet) OnTraffic(c gnet.Conn) gnet.Action {
	b, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	if _, err := c.Write(b); err != nil {
		return gnet.Close
	}
	return gnet.None
}

// gnetWS is a gnet event loop with gobwas's codec. Frames are unmasked in gnet's
// inbound buffer; all answers to one OnTraffic leave by one Write.
type gnetWS struct {
	gnet.BuiltinEventEngine
	all registry[gnet.Conn]
	out bytes.Buffer // there is one event loop
}

// gnetConn is what a connection needs besides.
type gnetConn struct {
	open bool
	op   ws.OpCode
	msg  []byte // pieces of a message
}

func (h *gnetWS) OnOpen(c gnet.Conn) ([]byte, gnet.Action) {
	c.SetContext(&gnetConn{})
	return nil, gnet.None
}

func (h *gnetWS) OnClose(c gnet.Conn, _ error) gnet.Action {
	h.all.remove(c)
	return gnet.None
}

func (h *gnetWS) OnTraffic(c gnet.Conn) gnet.Action {
	s := c.Context().(*gnetConn)
	if !s.open {
		if ok, action := h.shake(c); !ok {
			return action
		}
		s.open = true
		h.all.add(c)
	}
	h.out.Reset()
	for {
		avail := c.InboundBuffered()
		if avail < 2 {
			break
		}
		b, _ := c.Peek(min(avail, 14))
		n := frameLen(b)
		if n == 0 || avail < n {
			break
		}
		b, _ = c.Peek(n)
		if !h.frame(c, s, b) {
			return gnet.Close
		}
		c.Discard(n)
	}
	if h.out.Len() > 0 {
		c.Write(h.out.Bytes())
	}
	return gnet.None
}

// shake answers the handshake, once it is whole.
func (h *gnetWS) shake(c gnet.Conn) (done bool, action gnet.Action) {
	b, _ := c.Peek(-1)
	k := bytes.Index(b, []byte("\r\n\r\n"))
	if k < 0 {
		return false, gnet.None
	}
	h.out.Reset()
	_, err := ws.Upgrade(struct {
		io.Reader
		io.Writer
	}{bytes.NewReader(b[:k+4]), &h.out})
	c.Discard(k + 4)
	c.Write(h.out.Bytes())
	return err == nil, gnet.Close
}

// frame answers a whole frame. It returns false if the connection is over.
func (h *gnetWS) frame(c gnet.Conn, s *gnetConn, b []byte) bool {
	hd, err := ws.ReadHeader(bytes.NewReader(b))
	if err != nil || !hd.Masked {
		return false
	}
	p := b[len(b)-int(hd.Length):]
	ws.Cipher(p, hd.Mask, 0)
	switch hd.OpCode {
	case ws.OpClose:
		return false
	case ws.OpPing:
		return ws.WriteFrame(&h.out, ws.NewPongFrame(p)) == nil
	case ws.OpPong:
		return true
	case ws.OpContinuation:
	default:
		s.op = hd.OpCode
	}
	if !hd.Fin {
		s.msg = append(s.msg, p...)
		return true
	}
	if len(s.msg) > 0 {
		p = append(s.msg, p...)
		s.msg = nil
	}
	return h.message(c, s.op, p)
}

// message answers a whole message.
func (h *gnetWS) message(c gnet.Conn, op ws.OpCode, p []byte) bool {
	if h.all.on && op == ws.OpText {
		if n, ok := order(p); ok {
			f, err := ws.CompileFrame(ws.NewTextFrame(fill(n)))
			h.all.each(func(o gnet.Conn) { o.Write(f) })
			return err == nil
		}
	}
	big := len(p) > 16<<10 && h.out.Len() == 0 // is not copied
	if err := ws.WriteHeader(&h.out, ws.Header{Fin: true, OpCode: op, Length: int64(len(p))}); err != nil {
		return false
	}
	if !big {
		h.out.Write(p)
		return true
	}
	_, err := c.Writev([][]byte{h.out.Bytes(), p})
	h.out.Reset()
	return err == nil
}
