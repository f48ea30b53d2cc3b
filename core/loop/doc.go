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
// # Writing a backend
//
// Implement [Backend] and [Loop]; if the loop sleeps on a timer that somebody
// else has set (libuv, libev, GLib), implement [Rearmer] too. A backend whose
// loop is run by core's Engine.Run implements [Runner]. Then run
// looptest.Run(t, newBackend) over it.
package loop
