//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package extpoll_test

import (
	"fmt"
	"net/http"
	"os"
	"runtime"
	"time"

	"anyloop/core"
	"anyloop/core/loop"
	"anyloop/extpoll"
)

// A daemon with a descriptor and a timer of its own, which gains a page. What
// comes through its pipe, from a handler of signals for example, ends it.
func ExampleSet() {
	r, w, err := os.Pipe()
	if err != nil {
		fmt.Println(err)
		return
	}
	defer runtime.KeepAlive(r) // else the collector may close its descriptor
	stop := int(r.Fd())

	set := extpoll.New()
	eng, err := core.New(core.Config{Backend: set.Backend(), VHosts: []core.VHost{{
		Addr: "127.0.0.1:0",
		Protocols: []core.Protocol{{Name: "page", HTTP: core.HTTPFunc(func(_ *core.Conn, _ *core.Request, w *core.HTTPWriter) error {
			return w.Respond(200, nil, []byte("fine"))
		})}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	if err := set.Add(stop, loop.In); err != nil {
		fmt.Println(err)
		return
	}
	go func() {
		res, err := http.Get("http://" + eng.VHost("default").Addr())
		fmt.Println(res.StatusCode, err)
		w.Write([]byte("x"))
	}()

	tick := time.Now().Add(time.Second) // the daemon's own timer
	for eng.Thread(0).Hosted() {        // until the engine has ended, some turns after Stop
		err := set.Turn(max(0, time.Until(tick)), func(p *loop.PollFD) {
			switch int(p.Fd) {
			case stop:
				set.Remove(stop)
				eng.Stop(time.Second)
			}
		})
		if err != nil {
			fmt.Println(err)
			return
		}
		if now := time.Now(); !now.Before(tick) {
			tick = now.Add(time.Second)
		}
	}
	fmt.Println("ended,", set.Len(), "descriptors left")
	// Output:
	// 200 <nil>
	// ended, 0 descriptors left
}
