// Deflatebench prints what permessage-deflate costs a server: CPU time of an echo
// beside the same echo without compression, memory per connection, bytes on the
// wire, and a gigabyte of zeros.
//
//	go run ./examples/deflatebench
//	go run ./examples/deflatebench -only cpu -rounds 21 -cpuprofile /tmp/deflate
//
// The messages are JSON of 256 bytes. Every server is a process of its own on one
// processor's worth of Go; the client is this process, which compresses its
// messages beforehand and inflates and compares the answers of some connections.
// The two servers of a pair take turns in short slices, and the ratio is the
// median over the pairs, so that a machine whose speed drifts does not decide.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"

	"anyloop/examples/internal/app"
)

// options are the flags.
type options struct {
	rounds  int
	slice   time.Duration
	conns   int   // of which memory is measured
	bomb    int64 // bytes of zeros
	loop    string
	profile string
	self    func() *exec.Cmd // this program again
}

// parts are what can be measured, in the order of the output.
var parts = []struct {
	name string
	f    func(w io.Writer, o *options) error
}{{"cpu", printCPU}, {"memory", printMemory}, {"size", printSize}, {"bomb", printBomb}}

func main() {
	app.RaiseFileLimit()
	if what := os.Getenv(childEnv); what != "" {
		if err := child(what); err != nil {
			app.Fatal(fmt.Errorf("server: %w", err))
		}
		return
	}
	var o options
	only := flag.String("only", "cpu,memory,size,bomb", "what to measure")
	flag.IntVar(&o.rounds, "rounds", 25, "pairs of slices")
	flag.DurationVar(&o.slice, "slice", 40*time.Millisecond, "length of a slice")
	flag.IntVar(&o.conns, "conns", 2000, "connections whose memory is measured")
	flag.Int64Var(&o.bomb, "bomb", 1<<30, "bytes of zeros in one message")
	flag.StringVar(&o.loop, "loop", "poll", "event loop: "+app.Loops())
	flag.StringVar(&o.profile, "cpuprofile", "", "write CPU profiles of the compressing servers to files that begin with this")
	flag.Parse()
	self, err := os.Executable()
	if err != nil {
		app.Fatal(err)
	}
	o.self = func() *exec.Cmd { return exec.Command(self) }
	for _, p := range parts {
		if !strings.Contains(*only, p.name) {
			continue
		}
		if err := p.f(os.Stdout, &o); err != nil {
			app.Fatal(fmt.Errorf("%s: %w", p.name, err))
		}
		fmt.Println()
	}
}
