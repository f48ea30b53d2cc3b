package main

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/panjf2000/gnet/v2"
	"github.com/tidwall/evio"

	gnetengine "anyloop/loops/gnet/engine"
)

// bare holds the least that an echo costs on an engine: bytes come back as they
// came, nothing is understood.
var bare = map[string]func(addr string, ready func()) error{
	"gnet": bareGnet,
	"evio": bareEvio,
}

// bareOf names the engine that a loop is compared with.
func bareOf(loop string) string {
	switch {
	case strings.HasPrefix(loop, "gnet-"):
		return "gnet"
	case strings.HasPrefix(loop, "evio"):
		return "evio"
	case loop == "gnet":
		return "netpoll"
	case loop == "external" || loop == "poll2":
		return "poll2"
	}
	return "epoll"
}

// startBare runs a bare echo until the process ends.
func startBare(name string) (addr string, stop func(), err error) {
	f := bare[name]
	if f == nil {
		return "", nil, fmt.Errorf("no bare echo on %q", name)
	}
	// The engines do not tell which port they got, so one is looked for.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", nil, err
	}
	addr = l.Addr().String()
	l.Close()
	ready, failed := make(chan struct{}), make(chan error, 1)
	go func() { failed <- f(addr, func() { close(ready) }) }()
	select {
	case <-ready:
		return addr, func() {}, nil
	case err := <-failed:
		return "", nil, fmt.Errorf("bare %s: %v", name, err)
	}
}

type gnetEcho struct {
	gnet.BuiltinEventEngine
	ready func()
}

func (e *gnetEcho) OnBoot(gnet.Engine) gnet.Action { e.ready(); return gnet.None }

func (e *gnetEcho) OnTraffic(c gnet.Conn) gnet.Action {
	p, err := c.Next(-1)
	if err != nil {
		return gnet.Close
	}
	if _, err := c.Write(p); err != nil {
		return gnet.Close
	}
	return gnet.None
}

func bareGnet(addr string, ready func()) error {
	return gnet.Run(&gnetEcho{ready: ready}, "tcp://"+addr, gnet.WithNumEventLoop(1), gnet.WithReuseAddr(true), gnet.WithLogger(gnetengine.Silent))
}

func bareEvio(addr string, ready func()) error {
	var ev evio.Events
	ev.NumLoops = 1
	ev.Serving = func(evio.Server) evio.Action { ready(); return evio.None }
	ev.Opened = func(evio.Conn) ([]byte, evio.Options, evio.Action) {
		return nil, evio.Options{ReuseInputBuffer: true}, evio.None
	}
	ev.Data = func(_ evio.Conn, in []byte) ([]byte, evio.Action) { return slices.Clone(in), evio.None }
	return evio.Serve(ev, "tcp://"+addr)
}
