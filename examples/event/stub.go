//go:build !(foreignloops && cgo && linux)

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprint(os.Stderr, `This program is built through cgo, on Linux, with a tag:

	apt-get install gcc pkg-config libevent-dev
	go build -tags foreignloops ./examples/event
`)
	os.Exit(2)
}
