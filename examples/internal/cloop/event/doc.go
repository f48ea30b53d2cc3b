// Package event is libevent's loop as a cloop.Loop: struct event for descriptors
// and for time. It is built with the tag foreignloops and needs libevent-dev.
//
// What is peculiar to libevent, and met here:
//
//   - A hung-up or broken descriptor is readable and writable, as far as that was
//     asked.
//   - An event's interest cannot be changed: it is removed and assigned anew.
//   - Time is cached for the turn, and from a coarse clock that lags by up to a
//     tick of the kernel: the timer is set by the precise one, and the lag added.
//   - EVLOOP_ONCE blocks until a callback has run, not only until it has woken;
//     EVLOOP_NONBLOCK alone does not return while a descriptor is ready.
package event
