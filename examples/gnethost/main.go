// Gnethost is a gnet program of its own, a score board with a line protocol, that
// has gained a page and WebSockets: on the same port, on the same event loop.
// board.go is the program as it was, web.go is what was added.
//
//	go run ./examples/gnethost
//	nc localhost 7685             # type: ADD ann 3
//	open http://localhost:7685/
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/panjf2000/gnet/v2"

	"anyloop/core"
	"anyloop/examples/internal/app"
	gnetengine "anyloop/loops/gnet/engine"
)

func main() {
	addr := flag.String("addr", "tcp://localhost:7685", "address of everything: tcp://host:port or unix://path")
	flag.Parse()
	if err := run(*addr); err != nil {
		app.Fatal(err)
	}
}

func run(addr string) error {
	b := newBoard()
	bridge := gnetengine.New()
	eng, err := addWeb(b, bridge)
	if err != nil {
		return err
	}
	b.booted = func(g gnet.Engine) {
		fmt.Fprintf(os.Stderr, "score board: %s\n", addr)
		go stopAtSignal(g, eng)
	}
	opts := append(gnetengine.Options(), gnet.WithReuseAddr(true), gnet.WithLogger(gnetengine.Silent))
	return gnet.Run(bridge.Wrap(b), addr, opts...)
}

// stopAtSignal says goodbye to the pages, then ends gnet.
func stopAtSignal(g gnet.Engine, eng *core.Engine) {
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	<-sig
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := eng.Shutdown(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
	}
	g.Stop(ctx)
}
