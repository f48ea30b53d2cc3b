module anyloop/examples/bench

go 1.26.0

require (
	anyloop v0.0.0-00010101000000-000000000000
	github.com/gobwas/ws v1.5.0
	github.com/gorilla/websocket v1.5.3
	golang.org/x/sys v0.49.0
)

require github.com/gobwas/httphead v0.1.0 // indirect

replace anyloop => ../..
