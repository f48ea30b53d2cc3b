// Package gnetengine runs anyloop's core inside a running gnet engine: an
// application that has gnet for its own protocol gets HTTP and WebSocket on the
// same event loops, and, if it likes, on the same port.
//
//	bridge := gnetengine.New()
//	eng, err := core.New(core.Config{Backend: bridge, VHosts: ...})
//	err = gnet.Run(bridge.Wrap(handler), "tcp://:9000", append(gnetengine.Options(), opts...)...)
//
// Every turn of a service thread happens on the goroutine of one of gnet's event
// loops. Handlers of core there may therefore use the application's connections
// of the same event loop, and the other way round.
//
// # Three ways
//
//   - The [Bridge] alone: core listens by itself, and gnet's loops turn it. All of
//     core's promises hold, since core owns its descriptors.
//   - [Bridge.Adopt]: gnet listens and accepts, and the application hands over
//     connections from OnOpen, or from OnTraffic when the first bytes tell what they
//     are. Core owns them from then on: again all promises hold.
//   - [Bridge.Stream], and [Streams] for a whole engine: gnet keeps the socket and
//     core speaks through it. This is for who needs gnet to own the sockets. What
//     gnet cannot do is emulated: see [Streams] for what that costs.
//
// # Leaving
//
// Engine.Post a call of Engine.Detach, or, where there are several service threads,
// Thread.Post one of Thread.Detach to each: gnet's loops are then as they were
// found. Engine.Attach puts the engine into another backend, or into the bridge
// again, with Bridge.Start.
//
// # What gnet does that one should know
//
//   - OnTick runs on a goroutine of its own. Do not touch core there; Engine.Post and
//     Engine.Wake are fine.
//   - OnBoot, OnOpen, OnTraffic and OnClose hold the event loops up. To end core's engine
//     there call Engine.Stop: Engine.Shutdown waits for turns that cannot come while
//     it waits, until its context ends.
//   - A job that is queued when gnet shuts down never runs. The bridge waits for none:
//     [Bridge.Lost] tells.
//   - gnet.Run that fails at its start, on a port that is in use for example, has
//     called nothing here: nobody turns the service threads, and Lost stays open.
//     Look at its error first.
//   - EMFILE in accept shuts the whole gnet engine down, and gnet.Run returns nil.
//     Connections of core survive that (not those of Stream): when Lost is closed,
//     run gnet again with the same wrapped handler, or attach the engine elsewhere.
//     Give gnet.WithReuseAddr(true) for that: without it a port on which there
//     were connections is in use for a minute.
//   - Engine.Stop of gnet takes half a second, unless its context has ended.
//   - After OnClose, Conn.Fd still returns the number that the descriptor had.
//
// The package is for the systems that package poll has a nested loop for: Linux,
// macOS and the BSDs.
package gnetengine
