// Package matrix has tests only: the end-to-end suite, package
// core/loop/looptest/e2e, over every loop that the examples can be run on, times
// one and two service threads, times no TLS, TLS, and TLS whose ciphertext comes in
// other shapes. From what the runs give it makes the table in loops/README.md.
//
//	go test ./examples/matrix                  every pair of backend, case, threads and wire
//	go test ./examples/matrix -args -full      the whole product
//	go test ./examples/matrix -args -update    write the table
//
// With -v, one line per cell tells what was run and how long it took. The loops
// of C libraries are in with -tags foreignloops; without it their columns are
// left as they are.
package matrix
