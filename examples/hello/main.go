package main

import (
	"context"
	"log"

	"anyloop/core"
	"anyloop/loops/poll"
)

func main() {
	echo := func(c *core.Conn, m core.Message, out *core.Outbox) error { return out.Send(m) }
	eng, err := core.New(core.Config{
		Backend: poll.Backend(),
		VHosts: []core.VHost{{
			Addr:      "localhost:7681",
			Protocols: []core.Protocol{{Name: "echo", WS: core.OnMessage(echo)}},
		}},
	})
	if err == nil {
		err = eng.Run(context.Background())
	}
	log.Fatal(err)
}
