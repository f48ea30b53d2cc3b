//go:build linux

// Bench measures the library beside its peers: what other Go servers need for the
// same work. It is a module of its own, so that the peers are in nobody's go.mod.
//
//	cd examples/bench
//	go run . all
//	go run . echo -only e64,p16 -servers ours-poll
//	go run . tls
//	go run . tls -only echo,shake -rounds 41
//
// Every server and every load is a process of its own; the servers of a comparison
// take turns in short slices, and what counts is the CPU time of the server. It needs
// Linux.
package main

import (
	"fmt"
	"os"

	"anyloop/examples/bench/echobench"
	"anyloop/examples/bench/internal/load"
	"anyloop/examples/bench/internal/peer"
	"anyloop/examples/bench/internal/plain"
	"anyloop/examples/bench/internal/proc"
	"anyloop/examples/bench/internal/serve"
	"anyloop/examples/bench/millionbench"
	"anyloop/examples/bench/scalebench"
	"anyloop/examples/bench/stormbench"
	"anyloop/examples/bench/stormbench/crowd"
	"anyloop/examples/bench/tlsbench"
)

// commands are what can be measured, by the first argument.
var commands = []struct {
	name, about string
	run         func(args []string) error
}{
	{"all", "the library on each loop beside other servers: all of echo and http", echobench.All},
	{"echo", "WebSocket: CPU per message, latency, memory of idle connections", echobench.Echo},
	{"http", "HTTP/1.1: CPU per request for a small file", echobench.HTTP},
	{"tls", "memory, handshakes and echoes over TLS", tlsbench.Main},
	{"million", "a million WebSockets in one process, without descriptors", millionbench.Main},
	{"scale", "memory and wake-ups of many idle connections", scalebench.Main},
	{"storm", "echoes beside storms of connections and mass disconnects", stormbench.Storm},
	{"latency", "at full load, at a fixed rate, and beside greedy peers", stormbench.Latency},
}

func main() {
	proc.Main(map[string]proc.Role{"serve": serve.Role, "load": load.Role, "peer": peer.Role, "plain": plain.Role,
		"crowd": crowd.Role, "counted": scalebench.Role})
	if len(os.Args) > 1 {
		for _, c := range commands {
			if c.name != os.Args[1] {
				continue
			}
			if err := c.run(os.Args[2:]); err != nil {
				fmt.Fprintf(os.Stderr, "%s: %v\n", c.name, err)
				os.Exit(1)
			}
			return
		}
	}
	fmt.Fprintln(os.Stderr, "usage: go run . COMMAND [-h]")
	for _, c := range commands {
		fmt.Fprintf(os.Stderr, "  %-8s %s\n", c.name, c.about)
	}
	os.Exit(2)
}
