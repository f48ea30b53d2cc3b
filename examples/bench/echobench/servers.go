//go:build linux

package echobench

import (
	"fmt"
	"net"
	"slices"
	"strings"
	"time"

	"anyloop/core/loop/looptest/client"
	"anyloop/examples/bench/internal/peer"
	"anyloop/examples/bench/internal/plain"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/internal/app"
)

// server is one that can be measured.
type server struct {
	name    string
	raw     bool     // echoes bytes, knows no WebSocket
	kinds   []string // of work that it can do
	only    []string // rows that it is measured in unless it is asked for by name; nil: all
	engine  string   // the bare engine that it runs on and is compared with; "": the row's reference
	module  string   // whose version is told; "" for none
	collect bool     // can be asked to collect garbage
	start   func(b *bench, r *row, addr string) (process, error)
}

// process is a server that runs.
type process interface {
	Pid() int
	Stop() error
}

var (
	webSocket = []string{plain.Echo, plain.Connect, plain.Broadcast}
	noMembers = []string{plain.Echo, plain.Connect} // cannot broadcast
	files     = []string{plain.Get}
)

// enginesRows are where backends are compared with their bare engines.
var engineRows = []string{"e64", "p16"}

// engines are the bare engines of our backends.
var engines = map[string]string{
	"poll2": "rawpoll", "external": "rawpoll",
	"gnet": "baregnet", "gnet-engine": "baregnet", "gnet-stream": "baregnet",
	"evio": "bareevio", "evio-stream": "bareevio",
}

// servers returns all servers, ours first.
func servers() []server {
	all := []server{{name: "ours-poll", kinds: append(files, webSocket...), start: startOurs("poll")}}
	for _, name := range app.Names() {
		if name == "poll" {
			continue
		}
		engine := engines[name]
		if engine == "" {
			engine = "raw"
		}
		all = append(all, server{name: "ours-" + name, kinds: append(files, webSocket...), only: engineRows, engine: engine, start: startOurs(name)})
	}
	for _, s := range peers {
		s.start, s.collect = startPeer(s.name), true
		all = append(all, s)
	}
	if lwsVersion() != "" {
		all = append(all, server{name: "lws", kinds: append(files, webSocket...), start: startLWS})
	}
	return all
}

// peers are those of package peer.
var peers = []server{
	{name: "raw", raw: true, kinds: noMembers},
	{name: "rawws", kinds: noMembers},
	{name: "rawpoll", raw: true, kinds: noMembers, only: engineRows},
	{name: "baregnet", raw: true, kinds: noMembers, only: engineRows, module: "github.com/panjf2000/gnet/v2"},
	{name: "bareevio", raw: true, kinds: noMembers, only: engineRows, module: "github.com/tidwall/evio"},
	{name: "gnet", kinds: webSocket, module: "github.com/panjf2000/gnet/v2"},
	{name: "gobwas", kinds: webSocket, module: "github.com/gobwas/ws"},
	{name: "gobwas-epoll", kinds: webSocket, module: "github.com/gobwas/ws"},
	{name: "gws", kinds: webSocket, module: "github.com/lxzan/gws"},
	{name: "gorilla", kinds: webSocket, module: "github.com/gorilla/websocket"},
	{name: "coder", kinds: webSocket, module: "github.com/coder/websocket"},
	{name: "nbio", kinds: webSocket, module: "github.com/lesismal/nbio"},
	{name: "nbio-inline", kinds: webSocket, module: "github.com/lesismal/nbio"},
	{name: "fasthttp", kinds: files, module: "github.com/valyala/fasthttp"},
	{name: "nethttp", kinds: files},
}

// startPeer starts a server of package peer.
func startPeer(name string) func(*bench, *row, string) (process, error) {
	return func(b *bench, r *row, addr string) (process, error) {
		return proc.StartOn(b.serverCore, "peer", peer.Config{
			Name: name, Addr: addr, Broadcast: r.work.Kind == plain.Broadcast, Dir: b.www,
		}, 1)
	}
}

// startOurs starts the example that does this work, on a loop, with its defaults.
func startOurs(loop string) func(*bench, *row, string) (process, error) {
	return func(b *bench, r *row, addr string) (process, error) {
		args := []string{"-addr", addr, "-loop", loop}
		which := "echo"
		switch r.work.Kind {
		case plain.Get:
			which = "server"
			args = append(args, "-www", b.www)
		case plain.Broadcast:
			args = append(args, "-broadcast")
		}
		path, err := b.built(which)
		if err != nil {
			return nil, err
		}
		return proc.Run(b.serverCore, path, args...)
	}
}

// does reports whether the server is measured in a row; asked: it was named.
func (s *server) does(r *row, asked bool) bool {
	return slices.Contains(s.kinds, r.work.Kind) && (s.only == nil || asked || slices.Contains(s.only, r.name))
}

// reference returns with whom it is compared, "" if with nobody.
func (s *server) reference(r *row) string {
	ref := r.reference
	if s.engine != "" && r.work.Kind == plain.Echo {
		ref = s.engine
	}
	if ref == s.name {
		return ""
	}
	return ref
}

// find finds a server by name.
func (b *bench) find(name string) (*server, error) {
	var names []string
	for i := range b.servers {
		if b.servers[i].name == name {
			return &b.servers[i], nil
		}
		names = append(names, b.servers[i].name)
	}
	return nil, fmt.Errorf("no server is called %q; there are: %s", name, strings.Join(names, ", "))
}

// up starts a server and waits until it accepts.
func (b *bench) up(s *server, r *row) (p process, addr string, err error) {
	if addr, err = client.FreePort(); err != nil {
		return nil, "", err
	}
	if p, err = s.start(b, r, addr); err != nil {
		return nil, "", err
	}
	for until := time.Now().Add(time.Minute); ; time.Sleep(2 * time.Millisecond) {
		c, err := net.Dial("tcp4", addr)
		if err == nil {
			return p, addr, c.Close()
		}
		if _, gone := proc.Used(p.Pid()); gone != nil || time.Now().After(until) {
			return nil, "", fmt.Errorf("does not listen: %w", firstError(p.Stop(), err))
		}
	}
}

// firstError returns the first that is one.
func firstError(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
