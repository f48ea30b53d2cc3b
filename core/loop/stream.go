package loop

import "io"

// A stream is a connection whose socket another engine owns (tier Bytes). Core
// never sees the socket: the engine feeds it what it has received and takes what
// is to be sent. Stream is the engine's side and StreamConn core's. All methods
// of both run on the goroutine that drives the service thread. The package's doc
// has the contract line by line.
//
//	engine -> core  Feed, Room, Sent, EOF, Closed, Steal
//	core -> engine  Write (or Send), Buffered, PauseInput, CloseWrite, Close
//
// A connection ends in this order, whoever begins: core calls Close, unless the
// engine has called Closed before; the engine calls Closed, then or later. Only
// then is it gone for both, and counted out; an engine of core's does not end
// before.
//
// Core calls Stream while it is inside one of its own calls, so a Stream must
// not call back, with one exception: it may report Room, Sent and Closed at
// once, of the connection in hand or another. Core takes note and acts when it
// is done.

// Stream is a connection whose socket an engine owns, as core uses it.
type Stream interface {
	// Write takes what it can of head followed by tail and returns how much: it
	// has sent or copied that, and the memory is core's again. A short count
	// says "not now", and core does not write again before Room. An error ends
	// the connection.
	Write(head, tail []byte) (n int, err error)
	// Buffered returns how many bytes were taken and have not been sent on
	// yet; those of a Send do not count. Core closes in good order only at 0,
	// which the engine reports with Room.
	Buffered() int
	// PauseInput asks the engine to stop receiving, or to go on. What it feeds
	// all the same is kept by core, so an engine that cannot stop must bound
	// that, or Steal. After resuming it feeds what it has held back, not
	// before PauseInput has returned.
	PauseInput(on bool)
	// CloseWrite sends the end of the stream behind what was written. An
	// error says that the engine cannot, and core closes altogether.
	CloseWrite() error
	// Close ends the connection now; what is still Buffered may be lost. It is
	// called once, unless Closed came first. The engine calls Closed when it
	// has let go of it, also inside Close.
	Close() error
}

// StreamHolder is a Stream of an engine that sends from memory which must stay
// as it is until it is sent: a completion engine. Core calls Send instead of
// Write.
type StreamHolder interface {
	Stream
	// Send gives the engine all of p, by reference: core does not touch it
	// until Sent has reported len(p) bytes in total, or Closed. Only one Send
	// is out at a time. An error ends the connection.
	Send(p []byte) error
}

// StreamConn is core's side of a Stream: the engine says what happened. It is
// made by adopting the Stream.
type StreamConn interface {
	// Feed hands over received bytes. They are lent until Feed returns; core
	// may overwrite them meanwhile (a WebSocket's mask is removed in place).
	// Feeding while the input is paused is legal: the bytes are copied.
	Feed(p []byte)
	// Room says that the engine can take more, or that nothing is Buffered
	// any more. Needless calls are harmless.
	Room()
	// Sent says that n more bytes of the last Send are on their way.
	Sent(n int)
	// EOF says that the peer sends no more, but still receives.
	EOF()
	// Closed says that the connection is gone in both directions and that
	// the engine has let go of it: the last call. err is nil if the peer
	// closed it, or core did.
	Closed(err error)
	// Steal says that the engine has let go of the socket without closing it:
	// from now on core owns fd, a non-blocking duplicate of it, and serves it
	// through the thread's loop. early is what the engine had received and not
	// fed; it is copied. Nothing may be Buffered, and no Send out. On an error
	// the descriptor is the engine's to close, and the connection ends as if
	// Closed had been called.
	Steal(fd int, early []byte) error
}

// Acceptor is a Backend of tier Bytes: its engine listens and accepts by
// itself, so core opens no listening sockets.
type Acceptor interface {
	Backend
	// Listen makes the engine listen on network ("tcp", "unix") and address,
	// and call accept for each connection, on the goroutine that drives
	// service thread number thread; peer is the remote address as text.
	// accept answers with core's side, or with an error: then the engine
	// closes the connection at once. bound is the address with the port that
	// was chosen for ":0". Closing listener ends the listening: connections
	// that the engine accepts all the same are refused by accept.
	Listen(network, address string, accept func(thread int, s Stream, peer string) (StreamConn, error)) (bound string, listener io.Closer, err error)
}
