//go:build linux

package serve

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"sync"
	"sync/atomic"

	"github.com/gorilla/websocket"
)

// gorilla is net/http's server, with gorilla's WebSockets as their documentation
// recommends for many of them.
type gorilla struct {
	l          net.Listener
	srv        *http.Server
	up         websocket.Upgrader
	conns      atomic.Int64
	hijacked   sync.WaitGroup
	handshakes atomic.Uint64
	resumed    atomic.Uint64
	ended      chan error
}

func startGorilla(cert tls.Certificate) (running, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &gorilla{l: l, ended: make(chan error, 1)}
	s.up = websocket.Upgrader{
		ReadBufferSize: 1024, WriteBufferSize: 1024, WriteBufferPool: &sync.Pool{},
		CheckOrigin: func(*http.Request) bool { return true },
	}
	s.srv = &http.Server{
		Handler:      http.HandlerFunc(s.serve),
		ConnState:    s.state,
		ErrorLog:     log.New(io.Discard, "", 0), // clients that leave after the handshake
		TLSNextProto: map[string]func(*http.Server, *tls.Conn, http.Handler){},
		TLSConfig:    &tls.Config{Certificates: []tls.Certificate{cert}, NextProtos: []string{"http/1.1"}},
	}
	go func() { s.ended <- s.srv.ServeTLS(l, "", "") }()
	return s, nil
}

// state counts: a connection is active when its handshake is over and it has sent
// something.
func (s *gorilla) state(c net.Conn, st http.ConnState) {
	switch st {
	case http.StateNew:
		s.conns.Add(1)
	case http.StateClosed:
		s.conns.Add(-1)
		if cs := c.(*tls.Conn).ConnectionState(); cs.HandshakeComplete {
			s.handshakes.Add(1)
			if cs.DidResume {
				s.resumed.Add(1)
			}
		}
	}
}

func (s *gorilla) serve(w http.ResponseWriter, r *http.Request) {
	c, err := s.up.Upgrade(w, r, nil)
	if err != nil {
		return
	}
	s.handshakes.Add(1)
	s.hijacked.Add(1)
	defer s.hijacked.Done()
	defer s.conns.Add(-1) // net/http says nothing of it any more
	defer c.Close()
	for {
		kind, p, err := c.ReadMessage()
		if err != nil || c.WriteMessage(kind, p) != nil {
			return
		}
	}
}

func (s *gorilla) addr() string { return s.l.Addr().String() }

func (s *gorilla) count(u *Usage) {
	u.Conns, u.Handshakes, u.Resumed = int(s.conns.Load()), s.handshakes.Load(), s.resumed.Load()
}

// stop expects that the clients have gone.
func (s *gorilla) stop() error {
	err := s.srv.Shutdown(context.Background())
	s.hijacked.Wait()
	if e := <-s.ended; !errors.Is(e, http.ErrServerClosed) {
		err = errors.Join(err, e)
	}
	return err
}
