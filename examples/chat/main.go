// Chat is a chat for browsers, with rooms. A room is a core.Group: what somebody
// says is encoded once for all in the room. Who reads too slowly costs the others
// nothing: messages wait in that user's outbox, within -outbox, and then -policy
// decides. The page shows what waits for each user, and what was dropped.
//
//	go run ./examples/chat
//
// and open http://localhost:7681/ in a few windows.
package main

import (
	"embed"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/core/mount"
	"anyloop/examples/internal/app"
)

//go:embed www
var www embed.FS

// policies are the values of -policy.
var policies = map[string]core.Policy{
	"pause": core.PauseSource, "refuse": core.Refuse, "drop": core.DropOldest, "close": core.CloseSlow,
}

func main() {
	addr := flag.String("addr", "localhost:7681", "address to listen on")
	loopName := flag.String("loop", "poll", "event loop: "+app.Loops())
	threads := flag.Int("threads", 1, "service threads")
	policy := flag.String("policy", "drop", "for slow readers: drop the oldest, close, refuse or pause")
	outbox := flag.Int("outbox", 64<<10, "bytes that may wait for one user")
	logLevel := flag.String("log", "info", "debug, info, warn, error or off")
	flag.Parse()
	if err := run(*addr, *loopName, *threads, *policy, *outbox, *logLevel); err != nil {
		app.Fatal(err)
	}
}

func run(addr, loopName string, threads int, policy string, outbox int, logLevel string) error {
	p, ok := policies[policy]
	if !ok {
		names := []string{}
		for name := range policies {
			names = append(names, name)
		}
		slices.Sort(names)
		return fmt.Errorf("-policy %s: use %s", policy, strings.Join(names, ", "))
	}
	log, err := app.Log(logLevel)
	if err != nil {
		return err
	}
	app.RaiseFileLimit()
	host, err := app.NewHost(loopName, threads)
	if err != nil {
		return err
	}
	cfg, err := config(host.Backend, addr, threads, p, outbox)
	if err != nil {
		return err
	}
	cfg.Log = log
	eng, err := core.New(cfg)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "chat: http://%s/ on loop %s, policy %v\n", eng.VHost("chat").Addr(), host.Name, p)
	return app.Serve(host, eng)
}

// config is the engine: the page, and the WebSocket behind it.
func config(b loop.Backend, addr string, threads int, p core.Policy, outbox int) (core.Config, error) {
	page, err := fs.Sub(www, "www")
	if err != nil {
		return core.Config{}, err
	}
	h := newHall(p)
	return core.Config{Backend: b, Threads: threads, VHosts: []core.VHost{{
		Name:      "chat",
		Addr:      addr,
		Limits:    core.Limits{MaxMessage: maxMessage, OutboxBytes: outbox},
		Protocols: []core.Protocol{{Name: "chat", WS: h.newUser}},
		Mounts:    []core.Mount{mount.Files("/", page)},
	}}}, nil
}
