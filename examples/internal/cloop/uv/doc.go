// Package uv is libuv's loop as a cloop.Loop: uv_poll_t for descriptors, uv_timer_t
// and uv_idle_t for time. It is built with the tag foreignloops and needs
// libuv1-dev.
//
// What is peculiar to libuv, and met here:
//
//   - uv_close is asynchronous: a handle's memory is ours again in its close
//     callback, one turn later. The descriptor is free at once, and may be watched
//     by another uv_poll_t meanwhile. After a detach outside of a turn, one Turn
//     lets the handles go.
//   - On POLLERR a uv_poll_t stops itself. It is started again, since it is not
//     for the watcher to say that the descriptor has ended.
//   - A timer that is set to 0 in its own callback fires in the same turn for
//     ever: what is due at once is left to a uv_idle_t, which only keeps
//     the loop from sleeping.
//   - The loop's time is cached, in whole milliseconds and perhaps from a coarse
//     clock; timers are set by the precise one.
//   - uv_stop outside of uv_run makes the next uv_run do nothing, so it is not
//     called then.
package uv
