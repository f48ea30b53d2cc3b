// Broadcast measures one message for many receivers: a server with one group, and
// receivers in child processes, all on loopback.
//
//	go run ./examples/broadcast -receivers 10000 -messages 100 -size 256 -slow 1
//
// It sends the messages twice: first without the slow receivers, which take
// nothing at all, then with them in the group. It prints what a delivered message
// costs the server, when the last of the others had everything, and what the slow
// ones hold.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"

	"anyloop/examples/internal/app"
)

// options are the flags.
type options struct {
	receivers, children, slow int
	size, messages            int
	threads                   int
	loop                      string
}

// childEnv tells this program that it is a child: "address number slow size total".
const childEnv = "ANYLOOP_BROADCAST_CHILD"

func main() {
	app.RaiseFileLimit()
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what); err != nil {
			app.Fatal(fmt.Errorf("receiver: %w", err))
		}
		return
	}
	var o options
	flag.IntVar(&o.receivers, "receivers", 10000, "connections that read")
	flag.IntVar(&o.children, "children", 4, "processes that they are in")
	flag.IntVar(&o.slow, "slow", 1, "further connections, which never read")
	flag.IntVar(&o.size, "size", 256, "bytes of a message, at least 8")
	flag.IntVar(&o.messages, "messages", 100, "messages in each of the two rounds")
	flag.IntVar(&o.threads, "threads", 1, "service threads")
	flag.StringVar(&o.loop, "loop", "poll", "event loop: "+app.Loops())
	flag.Parse()
	self, err := os.Executable()
	if err != nil {
		app.Fatal(err)
	}
	rep, err := measure(context.Background(), o, func() *exec.Cmd { return exec.Command(self) })
	if err != nil {
		app.Fatal(err)
	}
	rep.print(os.Stdout)
}
