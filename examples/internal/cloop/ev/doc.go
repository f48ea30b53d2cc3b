// Package ev is libev's loop as a cloop.Loop: ev_io for descriptors, ev_timer for
// time. It is built with the tag foreignloops and needs libev-dev and
// libevent-dev.
//
// What is peculiar to libev, and met here:
//
//   - Changes of interest are collected and told to the kernel before the next
//     wait; a watcher that is stopped may cost one wake-up that nobody gets.
//   - A hung-up or broken descriptor is readable and writable, as far as that was
//     asked; EV_ERROR means that libev has given up and stopped the watcher.
//   - Time is that of the turn's beginning: ev_now_update comes before a timer.
//   - ev_idle runs only when nothing else does, so that a flood would starve what
//     is due at once: a timer of 0 is in every turn.
//   - The shared library also defines functions of libevent (event_add, ...), and
//     a program that has both may run the wrong ones. So it is linked statically
//     and behind libevent, of which nothing is kept if nothing is used.
//   - It has no public count of watchers but what ev_run returns.
package ev
