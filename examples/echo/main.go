// Echo sends every WebSocket message back as it came: text as text, binary as
// binary, on any path and with any subprotocol (the first that is offered).
//
//	go run ./examples/echo -addr localhost:9001
//
// With -broadcast the text message "B<n>" is an order instead: a text message of n
// bytes goes to every open connection.
package main

import (
	"flag"
	"fmt"
	"os"

	"anyloop/core"
	"anyloop/examples/internal/app"
)

func main() {
	addr := flag.String("addr", "localhost:9001", "address to listen on")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
	threads := flag.Int("threads", 1, "service threads")
	maxMessage := flag.Int64("max-message", 16<<20, "largest message, bytes")
	broadcast := flag.Bool("broadcast", false, "answer the text message B<n> with n bytes to every connection")
	deflate := app.DeflateFlags()
	secure := app.TLSFlags()
	logLevel := flag.String("log", "warn", "debug, info, warn, error or off")
	flag.Parse()

	log, err := app.Log(*logLevel)
	if err != nil {
		app.Fatal(err)
	}
	app.RaiseFileLimit()
	host, err := app.NewHost(*loopName, *threads)
	if err != nil {
		app.Fatal(err)
	}
	tls, err := secure()
	if err != nil {
		app.Fatal(err)
	}
	handler := core.OnMessage(echo)
	if *broadcast {
		handler = broadcasting(int(*maxMessage))
	}
	eng, err := core.New(core.Config{
		Backend: host.Backend,
		Threads: *threads,
		Log:     log,
		Limits:  limits(*maxMessage),
		VHosts: []core.VHost{{
			Name: "echo",
			Addr: *addr,
			TLS:  tls,
			// It echoes to whoever asks and knows no session: a foreign
			// page can do no harm through it.
			Origin:  core.AnyOrigin,
			Deflate: deflate(),
			Protocols: []core.Protocol{{
				Name:    "echo",
				AnyName: true,
				WS:      handler,
			}},
		}},
	})
	if err != nil {
		app.Fatal(err)
	}
	fmt.Fprintf(os.Stderr, "echo: %s://%s/ on %s\n", app.Scheme("ws", tls), eng.VHost("echo").Addr(), host.Name)
	if err := app.Serve(host, eng); err != nil {
		app.Fatal(err)
	}
}

// limits lets messages of that many bytes through, in and out.
func limits(message int64) core.Limits {
	return core.Limits{
		MaxMessage:  message,
		MaxInflated: message,
		MaxFrame:    message,
		WriteLimit:  int(message),
		OutboxBytes: int(message),
	}
}

func echo(c *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }
