// Package glib is GLib's main loop as a cloop.Loop: a GSource for each descriptor,
// and one that is asked in each turn how long the loop may sleep. It is built
// with the tag foreignloops and needs libglib2.0-dev.
//
// What is peculiar to GLib, and met here:
//
//   - The source that g_unix_fd_add makes cannot change its interest; one with
//     g_source_add_unix_fd and g_source_modify_unix_fd can.
//   - poll(2)'s Hup and Err arrive whether asked for or not.
//   - In a turn, only the ready sources of the highest priority run. Ours have
//     the default, as most of a host's: each has its turn. A host whose
//     own work has a lower one (idle, redraw) would starve in a flood, and
//     gives our sources its own: see [NewWithPriority].
//   - A prepare function says how long the loop may sleep, in every turn. So a
//     timer costs nothing to set, where g_source_set_ready_time would wake
//     the loop that is running.
//   - Run returns at Stop only, since a main loop does not end when it is empty.
package glib
