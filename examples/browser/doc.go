// Package browser holds the tests that look at examples/server with the eyes
// of its users: through headless Chromium.
//
// It is a module of its own, so that what drives the browser never becomes a
// dependency of a program that uses anyloop. Run it from this folder:
//
//	go test ./...
//	go test . -loop external
//	go test . -tls
//
// Without a Chromium the tests are skipped by name; with ANYLOOP_CI=1 in the
// environment they fail instead. ANYLOOP_SERVER may name another server
// command to test in place of a fresh build of examples/server; it is given
// the same flags.
package browser
