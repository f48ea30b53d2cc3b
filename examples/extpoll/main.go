// Extpoll is a poll(2) program of the old kind, a line chat over TCP with a timer
// and a FIFO, that has gained browsers: in the same array, on the same goroutine.
// chat.go is the program as it was, web.go is what was added.
//
//	go run ./examples/extpoll
//	nc localhost 7683             # and open http://localhost:7682/
package main

import (
	"flag"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"anyloop/core"
	"anyloop/examples/internal/app"
	"anyloop/extpoll"
)

func main() {
	addr := flag.String("addr", "localhost:7682", "address of the page")
	chatAddr := flag.String("chat", "localhost:7683", "address of the TCP chat")
	fifo := flag.String("fifo", "", "FIFO whose lines are announced; made if missing")
	flag.Parse()
	if err := run(*addr, *chatAddr, *fifo); err != nil {
		app.Fatal(err)
	}
}

func run(addr, chatAddr, fifo string) error {
	if err := ensureFIFO(fifo); err != nil {
		return err
	}
	set := extpoll.New()
	c, bound, err := newChat(set, chatAddr, fifo)
	if err != nil {
		return err
	}
	defer c.close()
	eng, err := newWeb(set, addr, c)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "chat: tcp://%s and http://%s/\n", bound, eng.VHost("chat").Addr())
	sig := make(chan os.Signal, 1)
	signal.Notify(sig, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-sig
		eng.Post(func() { c.quit = true })
	}()
	if err := c.run(); err != nil {
		return err
	}
	return leave(set, eng, c)
}

// leave takes core out of the array in good order; the chat goes on meanwhile.
func leave(set *extpoll.Set, eng *core.Engine, c *chat) error {
	eng.Stop(0)
	for eng.Thread(0).Hosted() {
		if err := set.Turn(-1, c.ready); err != nil {
			return err
		}
	}
	return nil
}
