module anyloop/examples/interop/gopeers

go 1.26.0

require (
	anyloop v0.0.0-00010101000000-000000000000
	github.com/coder/websocket v1.8.15
	github.com/gobwas/httphead v0.1.0
	github.com/gobwas/ws v1.5.0
	github.com/gorilla/websocket v1.5.3
)

require golang.org/x/sys v0.49.0 // indirect

replace anyloop => ../../..
