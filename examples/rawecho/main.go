// Rawecho sends lines back over TCP, and has a page about it on the same port:
// what does not begin like HTTP is raw.
//
//	go run ./examples/rawecho -addr localhost:7007
//	nc localhost 7007
//	curl http://localhost:7007/
package main

import (
	"flag"

	"anyloop/core"
	"anyloop/examples/internal/app"
)

func main() {
	addr := flag.String("addr", "localhost:7007", "address to listen on")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
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
	eng, err := core.New(core.Config{Backend: host.Backend, Log: log, VHosts: []core.VHost{vhost(*addr)}})
	if err != nil {
		app.Fatal(err)
	}
	if err := app.Serve(host, eng); err != nil {
		app.Fatal(err)
	}
}

// vhost is the whole server.
func vhost(addr string) core.VHost {
	return core.VHost{
		Name:        "rawecho",
		Addr:        addr,
		RawFallback: "lines",
		Protocols: []core.Protocol{
			{Name: "page", HTTP: core.HTTPFunc(page)},
			{Name: "lines", Raw: func(*core.Conn) core.RawHandler { return &lines{} }},
		},
	}
}

func page(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
	return w.Respond(200, core.Header{{Name: "content-type", Value: "text/plain"}},
		[]byte("This port sends lines back: try nc. \"quit\" ends.\n"))
}
