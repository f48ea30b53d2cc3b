// Package demo is a program that owns a loop of a C library, with a timer and a
// descriptor of its own in it, and lets core in and out: the programs
// examples/uv, ev, event and glib, which differ in the library only.
package demo
