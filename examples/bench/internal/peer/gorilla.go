//go:build linux

package peer

import (
	"net/http"
	"sync"

	"github.com/gorilla/websocket"
)

func init() { servers["gorilla"] = gorilla }

// gorilla has pooled write buffers, which its documentation recommends for many
// connections that are mostly idle.
func gorilla(cfg *Config) error {
	s := &gorillaServer{all: registry[*gorillaConn]{on: cfg.Broadcast}}
	s.up = websocket.Upgrader{
		ReadBufferSize: 1024, WriteBufferSize: 4096, WriteBufferPool: &sync.Pool{},
		CheckOrigin: func(*http.Request) bool { return true },
	}
	return http.ListenAndServe(cfg.Addr, http.HandlerFunc(s.serve))
}

type gorillaServer struct {
	up  websocket.Upgrader
	all registry[*gorillaConn]
}

// gorillaConn has a lock for writing, which is needed only with broadcasts.
type gorillaConn struct {
	sync.Mutex
	c *websocket.Conn
}

func (s *gorillaServer) serve(w http.ResponseWriter, r *http.Request) {
	c, err := s.up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	defer c.Close()
	me := &gorillaConn{c: c}
	s.all.add(me)
	defer s.all.remove(me)
	for {
		kind, p, err := c.ReadMessage()
		if err != nil {
			return
		}
		if s.all.on {
			err = s.message(me, kind, p)
		} else {
			err = c.WriteMessage(kind, p)
		}
		if err != nil {
			return
		}
	}
}

func (s *gorillaServer) message(me *gorillaConn, kind int, p []byte) error {
	n, ok := order(p)
	if !ok || kind != websocket.TextMessage {
		me.Lock()
		defer me.Unlock()
		return me.c.WriteMessage(kind, p)
	}
	m, err := websocket.NewPreparedMessage(kind, fill(n))
	if err != nil {
		return err
	}
	s.all.each(func(o *gorillaConn) {
		o.Lock()
		defer o.Unlock()
		o.c.WritePreparedMessage(m)
	})
	return nil
}
