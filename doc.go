// Package anyloop is the root of a library that puts WebSocket, HTTP/1.1 and
// raw descriptors inside any event loop: its own, or the one your program has.
//
// There is no code here. Start with package core (engine, vhosts, handlers) and
// a loop from loops/poll or loops/external; README.md has the shortest complete
// programs, ARCHITECTURE.md the tour.
package anyloop
