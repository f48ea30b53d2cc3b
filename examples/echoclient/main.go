// Echoclient connects to a WebSocket server and sends every message back as it
// came, text as text and binary as binary, until the server closes. It ends with
// status 0 if that was in good order: a Close frame, answered.
//
//	go run ./examples/echoclient -url ws://localhost:9001/
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"
	"time"

	"anyloop/core"
	"anyloop/examples/internal/app"
)

func main() {
	url := flag.String("url", "ws://localhost:9001/", "server to connect to")
	subprotocols := flag.String("subprotocols", "", "subprotocols to offer, comma-separated")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
	maxMessage := flag.Int64("max-message", 16<<20, "largest message, bytes")
	deflate := app.DeflateFlags()
	clientTLS := app.ClientTLSFlags()
	logLevel := flag.String("log", "warn", "debug, info, warn, error or off")
	flag.Parse()

	log, err := app.Log(*logLevel)
	if err != nil {
		app.Fatal(err)
	}
	host, err := app.NewHost(*loopName, 1)
	if err != nil {
		app.Fatal(err)
	}
	var e echoer
	eng, err := core.New(core.Config{
		Backend: host.Backend,
		Log:     log,
		Limits: core.Limits{
			MaxMessage:  *maxMessage,
			MaxInflated: *maxMessage,
			MaxFrame:    *maxMessage,
			WriteLimit:  int(*maxMessage),
			OutboxBytes: int(*maxMessage),
		},
		VHosts: []core.VHost{{
			Deflate:   deflate(),
			ClientTLS: clientTLS(),
			Protocols: []core.Protocol{{Name: "echo", WS: e.handler}},
		}},
	})
	if err != nil {
		app.Fatal(err)
	}
	e.eng = eng
	d := core.Dial{URL: *url, Protocol: "echo"}
	if *subprotocols != "" {
		d.Subprotocols = strings.Split(*subprotocols, ",")
	}
	if _, err := eng.Thread(0).Dial(eng.VHost("default"), d); err != nil {
		app.Fatal(err)
	}
	if err := app.Serve(host, eng); err != nil {
		app.Fatal(err)
	}
	if err := e.verdict(); err != nil {
		app.Fatal(err)
	}
}

// echoer is the program's one connection.
type echoer struct {
	eng *core.Engine
	end error // what ended it
}

// echo is the connection's handler: core's own for messages, and the end.
type echo struct {
	core.WSHandler
	e *echoer
}

func (e *echoer) handler(c *core.Conn) core.WSHandler {
	return &echo{core.OnMessage(func(_ *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) })(c), e}
}

// ConnectFailed implements core.ConnectFailer.
func (h *echo) ConnectFailed(c *core.Conn, err error) { h.e.over(err) }

// Closed implements core.ClosedHandler.
func (h *echo) Closed(c *core.Conn, err error) { h.e.over(err) }

func (e *echoer) over(err error) {
	e.end = err
	e.eng.Stop(time.Second)
}

// verdict is nil after a closing handshake that the server began.
func (e *echoer) verdict() error {
	var ce *core.CloseError
	switch {
	case errors.As(e.end, &ce) && ce.Remote:
		fmt.Fprintln(os.Stderr, "echoclient:", e.end)
		return nil
	case e.end == nil:
		return errors.New("echoclient: ended before the server closed")
	}
	return fmt.Errorf("echoclient: %w", e.end)
}
