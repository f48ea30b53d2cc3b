// Package interop tests the example servers with other people's programs: curl,
// libwebsockets' test client, Node's ws and Python's websockets. It has no code
// of its own.
package interop
