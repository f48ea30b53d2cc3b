// Server is anyloop's test server: a page with four live parts, each a WebSocket
// protocol of its own, on the event loop of your choice.
//
//	go run ./examples/server
//
// and open http://localhost:7681/. Stock libwebsockets clients can talk to it
// too: the parts have the classic names.
package main

import (
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"os"

	"anyloop/core"
	"anyloop/core/mount"
	"anyloop/examples/internal/app"
	"anyloop/examples/server/mirror"
)

//go:embed www
var www embed.FS

const statusProtocol = "lws-status"

func main() {
	addr := flag.String("addr", "localhost:7681", "address to listen on")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
	threads := flag.Int("threads", 1, "service threads")
	secure := app.TLSFlags()
	dir := flag.String("www", "", "folder to serve instead of the built-in page")
	logLevel := flag.String("log", "info", "debug, info, warn, error or off")
	flag.Parse()
	if err := run(*addr, *loopName, *threads, secure, *dir, *logLevel); err != nil {
		app.Fatal(err)
	}
}

func run(addr, loopName string, threads int, secure func() (*core.TLS, error), dir, logLevel string) error {
	log, err := app.Log(logLevel)
	if err != nil {
		return err
	}
	app.RaiseFileLimit()
	host, err := app.NewHost(loopName, threads)
	if err != nil {
		return err
	}
	files, err := pageFiles(dir)
	if err != nil {
		return err
	}
	tls, err := secure()
	if err != nil {
		return err
	}
	eng, err := core.New(core.Config{
		Backend: host.Backend,
		Threads: threads,
		Log:     log,
		VHosts: []core.VHost{{
			Name:      "localhost",
			Addr:      addr,
			TLS:       tls,
			Protocols: protocols(host.Name),
			Mounts:    []core.Mount{files},
		}},
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "anyloop: %s://%s/ on loop %s\n", app.Scheme("http", tls), eng.VHost("localhost").Addr(), host.Name)
	return app.Serve(host, eng)
}

// protocols are the page's parts. The first serves WebSockets that name none.
func protocols(loopName string) []core.Protocol {
	st := newStatus(loopName)
	return []core.Protocol{
		st.watching(core.Protocol{Name: "dumb-increment-protocol", WS: newIncrement}),
		st.watching(mirror.Protocol("lws-mirror-protocol")),
		st.watching(core.Protocol{Name: "anyloop-echo", WS: core.OnMessage(echo)}),
		st.watching(core.Protocol{
			Name: statusProtocol,
			WS:   func(*core.Conn) core.WSHandler { return &statusConn{st} },
		}),
	}
}

func echo(c *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }

func pageFiles(dir string) (core.Mount, error) {
	if dir != "" {
		return mount.Dir("/", dir)
	}
	sub, err := fs.Sub(www, "www")
	if err != nil {
		return core.Mount{}, err
	}
	return mount.Files("/", sub), nil
}
