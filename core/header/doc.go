// Package header keeps the header fields of one message, and reads the lists,
// tokens and qualities in their values (RFC 9110 5, 8, 12). It serves HTTP/1 and
// HTTP/2 alike, does no I/O, and is told everything it knows.
//
//	table.go    Table: the fields of a message in one bounded buffer
//	list.go     comma-separated lists and tokens
//	quality.go  what a client accepts, and how gladly
//	chars.go    which bytes may stand where
//
// A Table belongs to one goroutine at a time; the functions keep no state and
// are safe from any goroutine. Bytes that go in are copied, bytes that come out
// are parts of the Table or of the argument and valid as long as those are.
package header
