// Package loop is the contract between anyloop's core and an event loop.
//
// # Who does what
//
// The loop watches descriptors and says "7 is readable"; core owns the
// descriptors, reads and writes them, and keeps all timers. Per service thread
// there is one [Loop], which core calls to say what to watch, and one
// [Service], which the loop calls to say what happened.
//
//	core  ->  loop   AddPollFD, ChangeModePollFD, DelPollFD; Rearm if the loop has it
//	loop  ->  core   ServiceFD, AdjustTimeout, ServicePending, NextDeadline
//	anyone -> core   Wake
//
// One turn of any loop is therefore
//
//	d := s.AdjustTimeout(-1)          // how long may I sleep
//	wait(d)                           // poll(2), epoll_wait(2), select(2), ...
//	for each ready fd { if !s.ServiceFD(&p) { the fd is the application's own } }
//	s.ServicePending()                // work that no descriptor announces
//
// # The contract
//
// The numbers name tests of package looptest.
//
//  1. Core calls AddPollFD and DelPollFD exactly once per registration, and
//     ChangeModePollFD only between them, only when the mask really changes,
//     with the true previous mask. Core keeps the shadow mask; a loop may use
//     next alone.
//  2. Every descriptor of core goes through the loop: listeners, the wake-up,
//     pipes, adopted files. Nothing is hidden.
//  3. ServiceFD on a descriptor that is not core's touches nothing and returns
//     false; on core's own it zeroes Revents before any callback runs, and
//     never touches the PollFD again, so the array it lies in may move.
//  4. A PollFD may be made up from {Fd, Revents} alone: Events is never used.
//     Events == 0 with In or Out in Revents works; it is logged once.
//  5. AdjustTimeout returns 0 exactly when work is pending that no descriptor
//     will announce, else the lesser of its argument and the time to the next
//     deadline. ServicePending does that work: in time proportional to what is
//     pending, never to the number of connections, and it never blocks.
//  6. Readiness is a hint: spurious, duplicated, late, or meant for an earlier
//     owner of the same descriptor number. None of that loses data or hits
//     the wrong connection.
//  7. Core never sleeps, never polls by itself and never blocks.
//  8. Nothing that another goroutine asks for touches a loop: it is posted, and
//     happens on the loop's thread after a wake-up.
//  9. All four masks are legal: none, In, Out, In|Out. Hup and Err may arrive
//     whether asked for or not.
//  10. A callback may close any connection, remove any vhost, or stop the engine.
//  11. The work done for one descriptor in one turn is bounded.
//  12. At the descriptor limit core stops watching its listeners and resumes
//     when there is room; EMFILE neither spins nor ends the engine.
//  13. After a detach or the end of the engine no descriptor, timer, goroutine
//     or watcher of core remains in the loop, and it can host again.
//
// # Streams
//
// An engine that owns its sockets (tier Bytes) hands core bytes instead: see
// [Stream] and [StreamConn]. The numbers name tests of the stream suite of
// package looptest.
//
//	S1.  After a Write that took less than everything core does not write again
//	     before Room. Of an engine that has Send, at most one Send is out, and
//	     Sent adds up to its length, never more.
//	S2.  Memory given to Write is core's again when it returns. Memory given to
//	     Send stays as it is, to the last byte, until all of it is Sent, or
//	     Closed. The engine changes neither.
//	S3.  Memory given to Feed and Steal is the engine's again when they return.
//	S4.  PauseInput is called only on a change, true first. What is fed during a
//	     pause is kept, in order, and its amount is the engine's to bound. The
//	     end of the input comes behind it.
//	S5.  An orderly end waits until Buffered is 0 and no Send is out, for at
//	     most FlushTimeout. The engine says Room when that comes to be so.
//	S6.  Core calls Close at most once, and not after Closed. After Close it
//	     calls nothing but Buffered, after Closed nothing.
//	S7.  Closed is the engine's last call, made once. Each handler that was opened
//	     has its own Closed once, whoever began.
//	S8.  From inside a call of core's the engine may report Room, Sent and Closed,
//	     of that connection or another, and call nothing else.
//	S9.  Core's engine ends when every stream is Closed, and not before.
//	S10. After Steal core serves the descriptor: no byte is lost, doubled or out
//	     of order, and the Stream is not called again. Nothing may be Buffered,
//	     and no Send be out, at that moment.
//	S11. A connection that accept refuses (MaxConns, FilterConn, the engine ends)
//	     is closed at once by the engine that accepted it, and counted by core.
//	S12. EOF is said at most once, and nothing is fed after it. The peer still
//	     gets what it has asked for. An engine that cannot tell says Closed.
//	S13. What a call of the engine's leaves to be done (a Writable for another
//	     connection, a timer) makes the thread's loop turn, by Rearm if it
//	     sleeps.
//
// # Writing a backend
//
// Implement [Backend] and [Loop]; if the loop sleeps on a timer that somebody
// else has set (libuv, libev, GLib), implement [Rearmer] too. A backend whose
// loop is run by core's Engine.Run implements [Runner]. Then run
// looptest.Run(t, newBackend) over it. If its engine owns the sockets, implement
// [Acceptor], and run looptest.RunStreams(t, newHost).
package loop
