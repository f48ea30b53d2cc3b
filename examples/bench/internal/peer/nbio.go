//go:build linux

package peer

import (
	"net/http"
	"time"

	"github.com/lesismal/nbio/logging"
	"github.com/lesismal/nbio/mempool"
	"github.com/lesismal/nbio/nbhttp"
	"github.com/lesismal/nbio/nbhttp/websocket"
)

func init() {
	servers["nbio"] = func(c *Config) error { return nbio(c, false) }
	servers["nbio-inline"] = func(c *Config) error { return nbio(c, true) }
}

// nbio is nbhttp in its mode without a goroutine per connection. inline calls the
// handlers on the poller's goroutine instead of a pool's, which is its default.
func nbio(cfg *Config, inline bool) error {
	logging.SetLevel(logging.LevelNone)
	mempool.DefaultMemPool = mempool.New(2048, 1<<30)
	all := registry[*websocket.Conn]{on: cfg.Broadcast}
	up := websocket.NewUpgrader()
	up.KeepaliveTime = 0
	if all.on {
		up.OnOpen(all.add)
		up.OnClose(func(c *websocket.Conn, _ error) { all.remove(c) })
	}
	up.OnMessage(func(c *websocket.Conn, kind websocket.MessageType, p []byte) {
		if n, ok := order(p); ok && all.on && kind == websocket.TextMessage {
			m := fill(n)
			all.each(func(o *websocket.Conn) { o.WriteMessage(kind, m) })
			return
		}
		c.WriteMessage(kind, p)
	})
	conf := nbhttp.Config{
		Network: "tcp", Addrs: []string{cfg.Addr}, NPoller: 1,
		IOMod: nbhttp.IOModNonBlocking, ReleaseWebsocketPayload: true,
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c, err := up.Upgrade(w, r, nil); err == nil {
				c.SetReadDeadline(time.Time{})
			}
		}),
	}
	if inline {
		conf.ServerExecutor = func(f func()) { f() }
	}
	if err := nbhttp.NewEngine(conf).Start(); err != nil {
		return err
	}
	select {}
}
