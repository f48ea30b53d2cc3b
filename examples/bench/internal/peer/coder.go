//go:build linux

package peer

import (
	"context"
	"net/http"

	"github.com/coder/websocket"
)

func init() { servers["coder"] = coder }

func coder(cfg *Config) error {
	all := registry[*websocket.Conn]{on: cfg.Broadcast}
	return http.ListenAndServe(cfg.Addr, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		c, err := websocket.Accept(w, r, &websocket.AcceptOptions{CompressionMode: websocket.CompressionDisabled, InsecureSkipVerify: true})
		if err != nil {
			return
		}
		defer c.CloseNow()
		c.SetReadLimit(16 << 20)
		all.add(c)
		defer all.remove(c)
		ctx := context.Background()
		for {
			kind, p, err := c.Read(ctx)
			if err != nil {
				return
			}
			if n, ok := order(p); ok && kind == websocket.MessageText && all.on {
				m := fill(n)
				all.each(func(o *websocket.Conn) { o.Write(ctx, kind, m) })
				continue
			}
			if c.Write(ctx, kind, p) != nil {
				return
			}
		}
	}))
}
