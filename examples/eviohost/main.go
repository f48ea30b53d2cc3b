//go:build linux || darwin || freebsd

// Eviohost is an evio program of its own, the lamps of a house with a line
// protocol, that has gained a page and WebSockets: on the same port, on the same
// event loop. lamps.go is the program as it was, web.go is what was added.
//
//	go run ./examples/eviohost
//	nc localhost 7686             # type: ON kitchen
//	open http://localhost:7686/
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/tidwall/evio"

	"anyloop/core"
	"anyloop/examples/internal/app"
	"anyloop/loops/evio"
)

func main() {
	addr := flag.String("addr", "tcp://localhost:7686", "address of everything: tcp://host:port or unix://path")
	flag.Parse()
	if err := run(*addr); err != nil {
		app.Fatal(err)
	}
}

func run(addr string) error {
	l := newLamps()
	bridge, err := evioloop.New()
	if err != nil {
		return err
	}
	defer bridge.Close()
	eng, err := addWeb(l, bridge)
	if err != nil {
		return err
	}
	ev := l.events()
	ev.Serving = func(s evio.Server) evio.Action {
		fmt.Fprintf(os.Stderr, "lamps: %s://%s\n", s.Addrs[0].Network(), s.Addrs[0])
		go stopAtSignal(bridge, eng)
		return evio.None
	}
	return bridge.Serve(ev, addr)
}

// stopAtSignal says goodbye to the pages, then ends evio, which cannot be stopped
// from outside otherwise.
func stopAtSignal(bridge *evioloop.Bridge, eng *core.Engine) {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	<-sig
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := eng.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	if err := bridge.Shutdown(); err != nil {
		app.Fatal(err)
	}
}
