//go:build linux

package peer

import "github.com/lxzan/gws"

func init() {
	servers["gws"] = func(c *Config) error {
		h := &gwsHandler{all: registry[*gws.Conn]{on: c.Broadcast}}
		return gws.NewServer(h, &gws.ServerOption{Logger: silent{}}).Run(c.Addr)
	}
}

type gwsHandler struct {
	gws.BuiltinEventHandler
	all registry[*gws.Conn]
}

func (h *gwsHandler) OnOpen(c *gws.Conn)           { h.all.add(c) }
func (h *gwsHandler) OnClose(c *gws.Conn, _ error) { h.all.remove(c) }
func (h *gwsHandler) OnPing(c *gws.Conn, p []byte) { c.WritePong(p) }

func (h *gwsHandler) OnMessage(c *gws.Conn, m *gws.Message) {
	defer m.Close()
	if h.all.on && m.Opcode == gws.OpcodeText {
		if n, ok := order(m.Bytes()); ok {
			b := gws.NewBroadcaster(gws.OpcodeText, fill(n))
			h.all.each(func(o *gws.Conn) { b.Broadcast(o) })
			b.Close()
			return
		}
	}
	c.WriteMessage(m.Opcode, m.Bytes())
}

// silent keeps gws from logging connections that end without a handshake.
type silent struct{}

func (silent) Error(...any) {}
